//! DiffusionGemma: Gemma's mixture of experts as a causal encoder and, with the same weights, as a bidirectional
//! decoder that revises a canvas of tokens. There is no mask.

use super::config::{Config, check_heads};
use super::qwen::{MOST_EXPERTS, MOST_LAYERS};
use super::{Description, Diffusion};
use crate::models::transformer::{RopeScaling, plan::*};
use crate::{Error, Result};
use serde_json::Value;

const SLIDING: &str = "sliding_attention";
const FULL: &str = "full_attention";

pub fn describe(config: &Config) -> Result<Description> {
    let text = config.table("text_config")?.ok_or_else(|| Error::model("\"text_config\" is missing"))?;
    if text.text("use_bidirectional_attention")? == Some("all") {
        return Err(Error::unsupported("\"use_bidirectional_attention\": \"all\" is not supported"));
    }
    let hidden = text.size("hidden_size")?;
    let heads = text.count("num_attention_heads", hidden)?;
    let eps = text.positive("rms_norm_eps", 1e-6)?;
    let vocab = text.size("vocab_size")?;
    let max_len = text.size_if("max_position_embeddings")?.unwrap_or(131_072);
    let layers = text.count("num_hidden_layers", MOST_LAYERS)?;
    let activation = match text.get("hidden_activation") {
        None => Activation::GeluTanh,
        Some(_) => text.activation("hidden_activation")?,
    };
    let kinds = kinds(&text, layers)?;
    let experts = text.count("num_experts", MOST_EXPERTS)?;
    let sizes = Sizes {
        hidden,
        heads,
        eps,
        inner: text.size("intermediate_size")?,
        experts,
        top_k: text.count("top_k_experts", experts)?,
        expert_width: text.size("moe_intermediate_size")?,
        bias: text.flag("attention_bias", false)?,
        activation,
        window: text.size_if("sliding_window")?.unwrap_or(512),
    };
    let heads_of = (0..layers).map(|i| head_sizes(&text, i, kinds[i])).collect::<Result<Vec<_>>>()?;
    // Rotary angles depend on the kind of a layer and the width of its heads, which are the same for all layers of a
    // kind.
    let mut ropes = Vec::new();
    for kind in [SLIDING, FULL] {
        let head = (0..layers).find(|&i| kinds[i] == kind).map_or(2, |i| heads_of[i].0);
        ropes.push(rope(&text, kind, head, max_len)?);
    }
    let layers = (0..layers).map(|i| sizes.layer(i, kinds[i], heads_of[i])).collect::<Result<Vec<_>>>()?;
    let name = |part: &str| format!("model.decoder.{part}");
    let tied = config.flag("tie_word_embeddings", true)?;
    let plan = TransformerPlan {
        hidden,
        embedding: TensorPlan::new(name("embed_tokens.weight"), &[vocab, hidden]),
        embedding_scale: (hidden as f32).sqrt(),
        ropes,
        layers,
        norm: NormPlan::rms(&name("norm"), hidden, eps),
        head: (!tied).then(|| LinearPlan::new("lm_head", vocab, hidden, false)),
        logit_scale: 1.0,
        softcap: Some(text.positive("final_logit_softcapping", 30.0)? as f32),
        noise: None,
        self_conditioning: Some(SelfConditioningPlan {
            pre: NormPlan::rms(&name("self_conditioning.pre_norm"), hidden, eps),
            mlp: sizes.mlp(&name("self_conditioning")),
            post: NormPlan::plain(eps),
        }),
    };
    let canvas = config.size_if("canvas_length")?.unwrap_or(256);
    // The defaults of its own generation code.
    let process = Diffusion::Uniform { canvas, steps: 48, temperature: (0.8, 0.4) };
    let mut new = Description::new("DiffusionGemma", plan, max_len, process).with_tokens(&text)?;
    // The encoder shares the decoder's tensors, except the factors of its layers, which are read.
    new.ignored.extend(["encoder.vision_tower.", "encoder.embed_vision.", "encoder.language_model."]);
    if !tied {
        return Err(Error::unsupported(
            "untied encoder and decoder (\"tie_word_embeddings\": false) are not supported",
        ));
    }
    new.notes.push("text only: the vision tower is not read".into());
    Ok(new)
}

fn kinds(text: &Config, layers: usize) -> Result<Vec<&'static str>> {
    let mut kinds = match text.get("layer_types") {
        None => (0..layers).map(|i| if (i + 1) % 6 == 0 { FULL } else { SLIDING }).collect(),
        Some(Value::Array(names)) if names.len() == layers => {
            let kind = |name: &Value| match name.as_str() {
                Some(SLIDING) => Ok(SLIDING),
                Some(FULL) => Ok(FULL),
                _ => Err(Error::unsupported(format!("layer type {name} is not supported"))),
            };
            names.iter().map(kind).collect::<Result<Vec<_>>>()?
        }
        Some(_) => return Err(Error::model(format!("\"layer_types\": expected a list of {layers}"))),
    };
    // The family's own code does the same.
    if let Some(last) = kinds.last_mut() {
        *last = FULL;
    }
    Ok(kinds)
}

/// The width of a head and the number of key heads of one layer.
fn head_sizes(text: &Config, layer: usize, kind: &str) -> Result<(usize, usize)> {
    let mut head = text.size_if("head_dim")?.unwrap_or(256);
    let mut kv_heads = text.size_if("num_key_value_heads")?.unwrap_or(4);
    match text.table("per_layer_config")? {
        Some(table) => {
            let own = table.table(&layer.to_string())?.or(table.table(kind)?);
            if let Some(own) = own {
                head = own.size_if("head_dim")?.unwrap_or(head);
                kv_heads = own.size_if("num_key_value_heads")?.unwrap_or(kv_heads);
            }
        }
        None if kind == FULL => {
            head = text.size_if("global_head_dim")?.unwrap_or(512);
            kv_heads = text.size_if("num_global_key_value_heads")?.unwrap_or(kv_heads);
        }
        None => {}
    }
    Ok((head, kv_heads))
}

fn rope(text: &Config, kind: &str, head: usize, max_len: usize) -> Result<RopePlan> {
    let defaults = match kind {
        SLIDING => RopeScaling { rope_theta: Some(1e4), ..RopeScaling::default() },
        _ => RopeScaling {
            rope_type: Some("proportional".into()),
            partial_rotary_factor: Some(0.25),
            rope_theta: Some(1e6),
            ..RopeScaling::default()
        },
    };
    let scaling = match text.table("rope_parameters")?.and_then(|t| t.get(kind)) {
        None => defaults,
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|e| Error::model(format!("\"rope_parameters\".{kind} cannot be read")).because(e))?,
    };
    let theta = scaling.rope_theta.unwrap_or(1e4);
    let share = scaling.partial_rotary_factor.unwrap_or(1.0).clamp(0.0, 1.0);
    let rotary = if scaling.kind() == "proportional" { head } else { (head as f64 * share) as usize };
    RopePlan::scaled(head, rotary / 2 * 2, theta, &scaling, max_len)
}

struct Sizes {
    hidden: usize,
    heads: usize,
    eps: f64,
    inner: usize,
    experts: usize,
    top_k: usize,
    expert_width: usize,
    bias: bool,
    activation: Activation,
    window: usize,
}

impl Sizes {
    fn mlp(&self, name: &str) -> MlpPlan {
        let linear = |part: &str, out, inputs| LinearPlan::new(&format!("{name}.{part}"), out, inputs, false);
        MlpPlan {
            activation: self.activation,
            gate: Some(linear("gate_proj", self.inner, self.hidden)),
            up: linear("up_proj", self.inner, self.hidden),
            down: linear("down_proj", self.hidden, self.inner),
        }
    }

    fn layer(&self, index: usize, kind: &str, (head, kv_heads): (usize, usize)) -> Result<LayerPlan> {
        check_heads(self.heads, kv_heads, head)?;
        let sliding = kind == SLIDING;
        let name = |part: &str| format!("model.decoder.layers.{index}.{part}");
        let norm = |part: &str| NormPlan::rms(&name(part), self.hidden, self.eps);
        let head_norm = |part: &str| Some(NormPlan::rms(&name(part), head, self.eps));
        let linear = |part: &str, out, inputs| LinearPlan::new(&name(part), out, inputs, self.bias);
        let kv = kv_heads * head;
        let moe = MoePlan {
            router: RouterPlan {
                gate: TensorPlan::new(name("router.proj.weight"), &[self.experts, self.hidden]),
                sigmoid: false,
                choice_bias: None,
                top_k: self.top_k,
                groups: None,
                renormalize: true,
                scale: 1.0,
                expert_scale: Some(TensorPlan::new(name("router.per_expert_scale"), &[self.experts])),
                input: Some((NormPlan::plain(self.eps), TensorPlan::new(name("router.scale"), &[self.hidden]))),
            },
            experts: ExpertsPlan::Stacked {
                activation: self.activation,
                gate_up: TensorPlan::new(
                    name("experts.gate_up_proj"),
                    &[self.experts, 2 * self.expert_width, self.hidden],
                ),
                down: TensorPlan::new(name("experts.down_proj"), &[self.experts, self.hidden, self.expert_width]),
            },
            shared: None,
        };
        let encoder_factor = format!("model.encoder.language_model.layers.{index}.layer_scalar");
        Ok(LayerPlan {
            attention_norm: norm("input_layernorm"),
            attention: AttentionPlan {
                heads: self.heads,
                kv_heads,
                head_dim: head,
                qkv: QkvPlan::Split {
                    q: linear("self_attn.q_proj", self.heads * head, self.hidden),
                    k: linear("self_attn.k_proj", kv, self.hidden),
                    v: sliding.then(|| linear("self_attn.v_proj", kv, self.hidden)),
                },
                out: linear("self_attn.o_proj", self.hidden, self.heads * head),
                q_norm: head_norm("self_attn.q_norm"),
                k_norm: head_norm("self_attn.k_norm"),
                v_norm: Some(NormPlan::plain(self.eps)),
                rope: if sliding { 0 } else { 1 },
                scale: 1.0,
                clip: None,
                window: sliding.then_some(self.window),
            },
            attention_post: Some(norm("post_attention_layernorm")),
            ff_norm: norm("pre_feedforward_layernorm"),
            feed_forward: FeedForwardPlan::Both {
                dense: self.mlp(&name("mlp")),
                dense_post: norm("post_feedforward_layernorm_1"),
                moe: Box::new(moe),
                moe_pre: norm("pre_feedforward_layernorm_2"),
                moe_post: norm("post_feedforward_layernorm_2"),
            },
            ff_post: Some(norm("post_feedforward_layernorm")),
            modulation: None,
            factors: Some([TensorPlan::new(encoder_factor, &[1]), TensorPlan::new(name("layer_scalar"), &[1])]),
        })
    }
}
