//! The program `stencil`, run as a user runs it.

#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;

mod broken_inputs;
mod cli;
mod cli_checkpoints;
mod eval;
mod grammar_slots;
mod json_schema_cli;
mod json_schema_suite;
mod simd_levels;
mod train;
