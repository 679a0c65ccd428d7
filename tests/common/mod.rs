//! What tests of several binaries share.

pub mod noise;
pub mod process;
pub mod scripted;
