//! Byte automata: from languages to minimal DFAs, and their lifting to token classes.

mod automaton;
mod blame;
mod cache;
mod compile;
mod dfa;
mod json_text;
mod lift;
mod limits;
mod minimize;
mod network;
mod nfa;
mod product;
mod regex;
mod reorder;
mod subsets;
mod symbols;
#[cfg(test)]
mod tests;
mod token_automaton;
mod token_product;
#[cfg(test)]
mod token_tests;
mod utf8;
mod words;

pub use dfa::Dfa;
pub use limits::Limits;
pub(crate) use subsets::Subsets;
pub use token_automaton::{Class, Edge, Label, TokenAutomaton};
