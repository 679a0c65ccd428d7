//! Sampling: what drives it, what holds always, and what hooks may do.

#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod constraint_files;
mod engine;
mod fuzz;
mod grammars;
mod json_schema_generation;
mod never_dead_ends;
mod runner;
mod sampler;
mod strategies;
mod typed;
