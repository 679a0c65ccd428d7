//! LLaDA2.x: a mixture of experts with grouped sigmoid routing, block-causal.

use super::config::Config;
use super::qwen::{MOST_EXPERTS, Sizes, Variant, window_note};
use super::{Description, Diffusion};
use crate::models::transformer::{Pattern, plan::*};
use crate::{Error, Result};

/// The block size, where the configuration gives none.
const BLOCK: usize = 32;

pub fn describe(config: &Config) -> Result<Description> {
    let sizes = Sizes::read(config, None)?;
    let experts = config.count("num_experts", MOST_EXPERTS)?;
    let top_k = config.count("num_experts_per_tok", experts)?;
    let width = config.size("moe_intermediate_size")?;
    let dense_width = config.size("intermediate_size")?;
    let activation = config.activation("hidden_act")?;
    let dense_layers = config.natural("first_k_dense_replace")?;
    let shared = config.natural("num_shared_experts")?;
    let groups = match (config.size_if("n_group")?, config.size_if("topk_group")?) {
        (Some(groups), Some(kept)) if groups > 1 => {
            if !experts.is_multiple_of(groups) || kept > groups || top_k > kept * (experts / groups) {
                return Err(Error::model(format!(
                    "{experts} experts in {groups} groups, {kept} of them looked into, cannot give {top_k} experts"
                )));
            }
            Some((groups, kept))
        }
        _ => None,
    };
    let sigmoid = match config.text("score_function")? {
        None | Some("sigmoid") => true,
        Some("softmax") => false,
        Some(other) => return Err(Error::unsupported(format!("\"score_function\": {other:?} is not supported"))),
    };
    let choice_bias = config.flag("moe_router_enable_expert_bias", true)?;
    config.refuse("norm_head")?;
    let (out_bias, qkv_bias) = (config.flag("use_bias", false)?, config.flag("use_qkv_bias", false)?);
    let qk_norm = config.flag("use_qk_norm", true)?;
    let variant = Variant { qkv_bias, out_bias, qk_norm: false, theta: 1e4 };
    let scale = config.positive("routed_scaling_factor", 1.0)? as f32;

    let layer = |i: usize| {
        let name = |part: &str| format!("model.layers.{i}.{part}");
        let mlp = name("mlp");
        let feed_forward = if i < dense_layers {
            FeedForwardPlan::Dense(sizes.mlp(&mlp, dense_width, activation))
        } else {
            FeedForwardPlan::Moe(Box::new(MoePlan {
                router: RouterPlan {
                    gate: TensorPlan::new(format!("{mlp}.gate.weight"), &[experts, sizes.hidden]),
                    sigmoid,
                    choice_bias: choice_bias.then(|| TensorPlan::new(format!("{mlp}.gate.expert_bias"), &[experts])),
                    top_k,
                    groups,
                    // The family's own code ignores `norm_topk_prob`.
                    renormalize: top_k > 1,
                    scale,
                    expert_scale: None,
                    input: None,
                },
                experts: ExpertsPlan::Separate(
                    (0..experts).map(|e| sizes.mlp(&format!("{mlp}.experts.{e}"), width, activation)).collect(),
                ),
                shared: (shared > 0)
                    .then(|| sizes.mlp(&format!("{mlp}.shared_experts"), width.saturating_mul(shared), activation)),
            }))
        };
        let mut layer = sizes.layer(i, &variant, feed_forward);
        let rows = (sizes.heads + 2 * sizes.kv_heads) * sizes.head_dim;
        let norm = |part: &str| qk_norm.then(|| NormPlan::rms(&name(part), sizes.head_dim, sizes.eps));
        let attention = &mut layer.attention;
        attention.qkv =
            QkvPlan::Fused(LinearPlan::new(&name("attention.query_key_value"), rows, sizes.hidden, qkv_bias));
        attention.out = LinearPlan::new(&name("attention.dense"), sizes.hidden, sizes.heads * sizes.head_dim, out_bias);
        attention.q_norm = norm("attention.query_layernorm");
        attention.k_norm = norm("attention.key_layernorm");
        layer
    };
    let layers = (0..sizes.layers).map(layer).collect();
    let rotary = config.rotary(sizes.head_dim)?;
    let rope = config.rope(sizes.head_dim, rotary, variant.theta, sizes.max_len)?;
    let mut plan = sizes.network(config, rope, layers)?;
    plan.embedding.name = "model.word_embeddings.weight".into();
    let block = config.size_if("block_size")?.or(config.size_if("block_length")?).unwrap_or(BLOCK);
    let process = Diffusion::Masked { pattern: Pattern::Blocks(block), timed: false };
    let mut new = Description::new("LLaDA2 MoE", plan, sizes.max_len, process).with_tokens(config)?;
    new.mask_default = (sizes.vocab > 156895).then_some(156895);
    new.notes.extend(window_note(config)?);
    Ok(new)
}
