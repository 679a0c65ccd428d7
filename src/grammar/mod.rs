//! Context-free grammars: one representation for everything that recursion takes, whatever syntax it was written in.

mod ir;

pub use ir::{Expr, Grammar, Rule, RuleId};
