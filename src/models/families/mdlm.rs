//! MDLM: a diffusion transformer (adaLN), conditioned on the noise level if it was trained so.

use super::config::{Config, check_heads, even_head};
use super::qwen::MOST_LAYERS;
use super::{Description, Diffusion};
use crate::Result;
use crate::models::transformer::{Pattern, plan::*};

/// Width of the noise level's sinusoidal embedding.
const WAVES: usize = 256;

pub fn describe(config: &Config) -> Result<Description> {
    let hidden = config.size("hidden_dim")?;
    let heads = config.count("n_heads", hidden)?;
    let head = even_head(hidden, heads)?;
    check_heads(heads, heads, head)?;
    let condition = config.size("cond_dim")?;
    let vocab = config.size("vocab_size")?;
    let max_len = config.size_if("model_length")?.or(config.size_if("max_position_embeddings")?).unwrap_or(1024);
    let inner = 4 * hidden;
    let norm = |name: &str| NormPlan::weighted(NormKind::Layer, name, hidden, 1e-5);
    let layer = |i: usize| {
        let name = |part: &str| format!("backbone.blocks.{i}.{part}");
        let linear = |part: &str, out, inputs, bias| LinearPlan::new(&name(part), out, inputs, bias);
        LayerPlan {
            attention_norm: norm(&name("norm1")),
            attention: AttentionPlan {
                heads,
                kv_heads: heads,
                head_dim: head,
                qkv: QkvPlan::Fused(linear("attn_qkv", 3 * hidden, hidden, false)),
                out: linear("attn_out", hidden, hidden, false),
                q_norm: None,
                k_norm: None,
                v_norm: None,
                rope: 0,
                scale: 1.0 / (head as f32).sqrt(),
                clip: None,
                window: None,
            },
            attention_post: None,
            ff_norm: norm(&name("norm2")),
            feed_forward: FeedForwardPlan::Dense(MlpPlan {
                activation: Activation::GeluTanh,
                gate: None,
                up: linear("mlp.0", inner, hidden, true),
                down: linear("mlp.2", hidden, inner, true),
            }),
            ff_post: None,
            modulation: Some(linear("adaLN_modulation", 6 * hidden, condition, true)),
            factors: None,
        }
    };
    let plan = TransformerPlan {
        hidden,
        embedding: TensorPlan::new("backbone.vocab_embed.embedding", &[vocab, hidden]),
        embedding_scale: 1.0,
        ropes: vec![RopePlan::plain(head, 1e4)],
        layers: (0..config.count("n_blocks", MOST_LAYERS)?).map(layer).collect(),
        norm: norm("backbone.output_layer.norm_final"),
        head: Some(LinearPlan::new("backbone.output_layer.linear", vocab, hidden, true)),
        logit_scale: 1.0,
        softcap: None,
        noise: Some(NoisePlan {
            width: WAVES,
            first: LinearPlan::new("backbone.sigma_map.mlp.0", condition, WAVES, true),
            second: LinearPlan::new("backbone.sigma_map.mlp.2", condition, condition, true),
            modulation: LinearPlan::new("backbone.output_layer.adaLN_modulation", 2 * hidden, condition, true),
        }),
        self_conditioning: None,
    };
    let timed = config.flag("time_conditioning", false)?;
    let process = Diffusion::Masked { pattern: Pattern::Full, timed };
    let mut new = Description::new("MDLM", plan, max_len, process).with_tokens(config)?;
    // The mask is appended to the tokenizer's vocabulary.
    new.mask_default = Some(vocab as u32 - 1);
    Ok(new)
}
