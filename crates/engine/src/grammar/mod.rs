//! Context-free grammars, compiled: recursive transition networks over bytes, explored with the tokens of a vocabulary.

mod acceptor;
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

pub use acceptor::Acceptor;
pub use pushdown::{Pushdown, Question, View};
