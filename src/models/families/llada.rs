//! LLaDA-8B, LLaDA-1.5 and relatives: OLMo's network without the causal mask.

use super::config::{Config, check_heads, even_head};
use super::qwen::MOST_LAYERS;
use super::{Description, Diffusion};
use crate::models::transformer::{Pattern, plan::*};
use crate::{Error, Result};

pub fn describe(config: &Config) -> Result<Description> {
    let hidden = config.size("d_model")?;
    let heads = config.count("n_heads", hidden)?;
    let kv_heads = match config.size_if("n_kv_heads")? {
        Some(n) => n,
        None if config.flag("multi_query_attention", false)? => 1,
        None => heads,
    };
    let head = even_head(hidden, heads)?;
    check_heads(heads, kv_heads, head)?;
    config.refuse("alibi")?;
    if !config.flag("rope", true)? {
        return Err(Error::unsupported("\"rope\": false (learned positions) is not supported"));
    }
    if let Some(other) = config.text("block_type")?.filter(|&t| t != "llama") {
        return Err(Error::unsupported(format!("\"block_type\": {other:?} is not supported")).help("known: llama"));
    }
    let width = match config.size_if("mlp_hidden_size")? {
        Some(width) => width,
        None => hidden * config.size_if("mlp_ratio")?.unwrap_or(4).min(1 << 10),
    };
    let vocab = config.size("vocab_size")?;
    let rows = config.size_if("embedding_size")?.unwrap_or(vocab).max(vocab);
    let max_len = config.size_if("max_sequence_length")?.unwrap_or(1024);
    let bias = config.flag("include_bias", false)?;
    let qkv_bias = bias || config.flag("include_qkv_bias", false)?;
    let norms = Norms::read(config)?;
    let clip = config.positive_if("clip_qkv")?.map(|c| c as f32);
    let activation = config.activation("activation_type")?;
    let qk_norm = config.flag("attention_layer_norm", false)?;

    let layer = |i: usize| {
        let name = |part: &str| format!("model.transformer.blocks.{i}.{part}");
        let linear = |part: &str, out, inputs, bias| LinearPlan::new(&name(part), out, inputs, bias);
        LayerPlan {
            attention_norm: norms.plan(&name("attn_norm"), hidden),
            attention: AttentionPlan {
                heads,
                kv_heads,
                head_dim: head,
                qkv: QkvPlan::Split {
                    q: linear("q_proj", hidden, hidden, qkv_bias),
                    k: linear("k_proj", kv_heads * head, hidden, qkv_bias),
                    v: Some(linear("v_proj", kv_heads * head, hidden, qkv_bias)),
                },
                out: linear("attn_out", hidden, hidden, bias),
                q_norm: qk_norm.then(|| norms.attention(&name("q_norm"), hidden)),
                k_norm: qk_norm.then(|| norms.attention(&name("k_norm"), kv_heads * head)),
                v_norm: None,
                rope: 0,
                scale: 1.0 / (head as f32).sqrt(),
                clip,
                window: None,
            },
            attention_post: None,
            ff_norm: norms.plan(&name("ff_norm"), hidden),
            feed_forward: FeedForwardPlan::Dense(MlpPlan {
                activation,
                gate: Some(linear("ff_proj", width, hidden, bias)),
                up: linear("up_proj", width, hidden, bias),
                down: linear("ff_out", hidden, width, bias),
            }),
            ff_post: None,
            modulation: None,
            factors: None,
        }
    };
    let tied = config.flag("weight_tying", true)?;
    let root = (hidden as f32).sqrt();
    let plan = TransformerPlan {
        hidden,
        embedding: TensorPlan::new("model.transformer.wte.weight", &[rows, hidden]),
        embedding_scale: if config.flag("input_emb_norm", false)? { root } else { 1.0 },
        ropes: vec![config.rope(head, head, 1e4, max_len)?],
        layers: (0..config.count("n_layers", MOST_LAYERS)?).map(layer).collect(),
        norm: norms.plan("model.transformer.ln_f", hidden),
        head: (!tied).then(|| LinearPlan::new("model.transformer.ff_out", rows, hidden, bias)),
        logit_scale: if config.flag("scale_logits", false)? { 1.0 / root } else { 1.0 },
        softcap: None,
        noise: None,
        self_conditioning: None,
    };
    let process = Diffusion::Masked { pattern: Pattern::Full, timed: false };
    let mut new = Description::new("LLaDA", plan, max_len, process).with_tokens(config)?;
    new.mask_default = (vocab > 126336).then_some(126336);
    Ok(new)
}

/// The properties that all norms of a checkpoint share.
struct Norms {
    kind: NormKind,
    eps: f64,
    affine: bool,
    attention_affine: bool,
    bias: bool,
}

impl Norms {
    fn read(config: &Config) -> Result<Self> {
        let (kind, eps) = match config.text("layer_norm_type")?.unwrap_or("default") {
            "rms" => (NormKind::Rms, config.positive("rms_norm_eps", 1e-5)?),
            "gemma_rms" => (NormKind::RmsPlusOne, config.positive("rms_norm_eps", 1e-5)?),
            "default" | "low_precision" => (NormKind::Layer, 1e-5),
            other => {
                return Err(Error::unsupported(format!("\"layer_norm_type\": {other:?} is not supported"))
                    .help("known: rms, gemma_rms, default, low_precision"));
            }
        };
        let bias = config.flag("include_bias", false)?;
        Ok(Self {
            kind,
            eps,
            affine: config.flag("layer_norm_with_affine", true)?,
            attention_affine: config.flag("attention_layer_norm_with_affine", true)?,
            bias: config.flag("bias_for_layer_norm", bias)?,
        })
    }
    fn plan(&self, name: &str, width: usize) -> NormPlan {
        self.build(name, width, self.affine)
    }
    fn attention(&self, name: &str, width: usize) -> NormPlan {
        self.build(name, width, self.attention_affine)
    }
    fn build(&self, name: &str, width: usize, affine: bool) -> NormPlan {
        let mut plan = NormPlan::weighted(self.kind, name, width, self.eps);
        if self.bias && affine {
            plan.bias = Some(TensorPlan::new(format!("{name}.bias"), &[width]));
        }
        if !affine {
            plan.weight = None;
        }
        plan
    }
}
