//! Context-free grammars: one representation for everything that recursion takes, whatever syntax it was written in.

mod bits;
mod chart;
mod determinize;
mod lower;
mod moves;
mod narrow;
mod nfa;
mod partition;
mod pushdown;
mod read;
mod rtn;
mod sets;
mod stacks;
mod trie;

pub use pushdown::{Compiled, Pushdown, Question, View};
