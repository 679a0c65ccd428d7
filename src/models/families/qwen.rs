//! Layers named as in Qwen, which Dream, SDAR and the mixtures of experts share.

use super::config::{Config, check_heads, even_head};
use crate::Result;
use crate::models::transformer::plan::*;

/// Maximum number of layers of a network, and of experts of a layer.
pub const MOST_LAYERS: usize = 1024;
pub const MOST_EXPERTS: usize = 4096;

/// The optional parts of a layer.
pub struct Variant {
    pub qkv_bias: bool,
    pub out_bias: bool,
    /// Whether queries and keys are normalised, head by head.
    pub qk_norm: bool,
    pub theta: f64,
}

/// The sizes that all these families give under the same keys.
pub struct Sizes {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub vocab: usize,
    pub eps: f64,
    pub max_len: usize,
}

impl Sizes {
    pub fn read(config: &Config, head_dim: Option<usize>) -> Result<Self> {
        let hidden = config.size("hidden_size")?;
        let heads = config.count("num_attention_heads", hidden)?;
        let kv_heads = config.size_if("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match (config.size_if("head_dim")?, head_dim) {
            (Some(given), _) | (None, Some(given)) => given,
            (None, None) => even_head(hidden, heads)?,
        };
        check_heads(heads, kv_heads, head_dim)?;
        Ok(Self {
            hidden,
            layers: config.count("num_hidden_layers", MOST_LAYERS)?,
            heads,
            kv_heads,
            head_dim,
            vocab: config.size("vocab_size")?,
            eps: config.positive("rms_norm_eps", 1e-6)?,
            max_len: config.size_if("max_position_embeddings")?.unwrap_or(2048),
        })
    }

    /// A feed-forward layer with `gate`, `up` and `down` below `name`.
    pub fn mlp(&self, name: &str, width: usize, activation: Activation) -> MlpPlan {
        let linear = |part: &str, out, inputs| LinearPlan::new(&format!("{name}.{part}"), out, inputs, false);
        MlpPlan {
            activation,
            gate: Some(linear("gate_proj", width, self.hidden)),
            up: linear("up_proj", width, self.hidden),
            down: linear("down_proj", self.hidden, width),
        }
    }

    /// A layer named `model.layers.N.{self_attn,mlp,…}`.
    pub fn layer(&self, index: usize, variant: &Variant, feed_forward: FeedForwardPlan) -> LayerPlan {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let linear = |part: &str, out, inputs, bias| LinearPlan::new(&name(part), out, inputs, bias);
        let norm = |part: &str| variant.qk_norm.then(|| NormPlan::rms(&name(part), self.head_dim, self.eps));
        LayerPlan {
            attention_norm: NormPlan::rms(&name("input_layernorm"), self.hidden, self.eps),
            attention: AttentionPlan {
                heads: self.heads,
                kv_heads: self.kv_heads,
                head_dim: self.head_dim,
                qkv: QkvPlan::Split {
                    q: linear("self_attn.q_proj", q, self.hidden, variant.qkv_bias),
                    k: linear("self_attn.k_proj", kv, self.hidden, variant.qkv_bias),
                    v: Some(linear("self_attn.v_proj", kv, self.hidden, variant.qkv_bias)),
                },
                out: linear("self_attn.o_proj", self.hidden, q, variant.out_bias),
                q_norm: norm("self_attn.q_norm"),
                k_norm: norm("self_attn.k_norm"),
                v_norm: None,
                rope: 0,
                scale: 1.0 / (self.head_dim as f32).sqrt(),
                clip: None,
                window: None,
            },
            attention_post: None,
            ff_norm: NormPlan::rms(&name("post_attention_layernorm"), self.hidden, self.eps),
            feed_forward,
            ff_post: None,
            modulation: None,
            factors: None,
        }
    }

    /// A network of such layers, with the usual names of embedding, norm and head.
    pub fn network(&self, config: &Config, rope: RopePlan, layers: Vec<LayerPlan>) -> Result<TransformerPlan> {
        let tied = config.flag("tie_word_embeddings", false)?;
        Ok(TransformerPlan {
            hidden: self.hidden,
            embedding: TensorPlan::new("model.embed_tokens.weight", &[self.vocab, self.hidden]),
            embedding_scale: 1.0,
            ropes: vec![rope],
            layers,
            norm: NormPlan::rms("model.norm", self.hidden, self.eps),
            head: (!tied).then(|| LinearPlan::new("lm_head", self.vocab, self.hidden, false)),
            logit_scale: 1.0,
            softcap: None,
            noise: None,
            self_conditioning: None,
        })
    }
}

/// A dense network of such layers.
pub fn dense(config: &Config, variant: &Variant, sizes: &Sizes) -> Result<TransformerPlan> {
    let width = config.size("intermediate_size")?;
    let activation = config.activation("hidden_act")?;
    let layers = (0..sizes.layers)
        .map(|i| {
            let mlp = sizes.mlp(&format!("model.layers.{i}.mlp"), width, activation);
            sizes.layer(i, variant, FeedForwardPlan::Dense(mlp))
        })
        .collect();
    let rope = config.rope(sizes.head_dim, sizes.head_dim, variant.theta, sizes.max_len)?;
    sizes.network(config, rope, layers)
}

/// The note where the configuration asks for sliding windows, which these families' own code ignores.
pub fn window_note(config: &Config) -> Result<Option<String>> {
    let on = config.flag("use_sliding_window", false)?;
    Ok(on.then(|| "use_sliding_window is set; like the family's own code, attention here is not windowed".into()))
}
