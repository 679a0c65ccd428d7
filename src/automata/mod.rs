//! Byte automata: from languages to minimal DFAs, and their lifting to token classes.

mod alphabet;
mod compile;
mod dfa;
mod hash;
mod language;
mod lift;
mod limits;
mod minimize;
mod product;
mod regex;
mod subset;
mod token_automaton;
mod trie;

pub use dfa::Dfa;
pub use language::Language;
pub use limits::Limits;
pub use token_automaton::{Class, Edge, Label, TokenAutomaton};

use alphabet::Alphabet;
pub(crate) use trie::TokenTrie;
