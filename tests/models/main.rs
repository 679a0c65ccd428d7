//! Models and their checkpoints, against references, in every spelling, damaged and mutated.

#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;

mod checkpoints;
mod copies;
mod damaged_checkpoints;
mod fuzz_checkpoints;
mod gguf;
mod gguf_file;
mod large;
mod parity;
mod spellings;
mod trained_checkpoint;
