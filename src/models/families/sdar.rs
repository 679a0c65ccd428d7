//! SDAR: Qwen3's network, bidirectional within blocks and causal between them.

use super::config::Config;
use super::qwen::{Sizes, Variant, dense, window_note};
use super::{Description, Diffusion};
use crate::Result;
use crate::models::transformer::Pattern;

/// The block size, where the configuration gives none.
const BLOCK: usize = 4;

pub fn describe(config: &Config) -> Result<Description> {
    let sizes = Sizes::read(config, Some(128))?;
    let bias = config.flag("attention_bias", false)?;
    let variant = Variant { qkv_bias: bias, out_bias: bias, qk_norm: true, theta: 1e4 };
    let plan = dense(config, &variant, &sizes)?;
    let block = config.size_if("block_size")?.or(config.size_if("block_length")?).unwrap_or(BLOCK);
    let process = Diffusion::Masked { pattern: Pattern::Blocks(block), timed: false };
    let mut new = Description::new("SDAR", plan, sizes.max_len, process).with_tokens(config)?;
    new.notes.extend(window_note(config)?);
    Ok(new)
}
