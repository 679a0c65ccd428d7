//! Context-free grammars: one representation for everything that recursion takes, whatever syntax it was written in.

mod acceptor;
mod bits;
mod chart;
mod determinize;
mod first_follow;
mod gss;
mod intersect;
mod lower;
mod nfa;
mod partition;
mod pushdown;
mod rtn;
mod transitions;
mod trie;

pub use pushdown::{Acceptor, Pushdown, Question, View};
