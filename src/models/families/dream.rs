//! Dream, Dream-Coder, DiffuCoder: Qwen2's network, bidirectional, with the output one position late.

use super::config::Config;
use super::qwen::{Sizes, Variant, dense, window_note};
use super::{Description, Diffusion};
use crate::Result;
use crate::models::transformer::Pattern;

pub fn describe(config: &Config) -> Result<Description> {
    let sizes = Sizes::read(config, None)?;
    let variant = Variant { qkv_bias: true, out_bias: false, qk_norm: false, theta: 1e4 };
    let plan = dense(config, &variant, &sizes)?;
    config.refuse("use_mrope")?;
    let process = Diffusion::Masked { pattern: Pattern::Full, timed: false };
    let mut new = Description::new("Dream", plan, sizes.max_len, process).with_tokens(config)?;
    new.shift = true;
    new.notes.extend(window_note(config)?);
    Ok(new)
}
