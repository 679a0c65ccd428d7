//! Byte automata: from languages to minimal DFAs, and their lifting to token classes.

mod language;
pub use language::Language;
