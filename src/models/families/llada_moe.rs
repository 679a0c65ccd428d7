//! LLaDA-MoE: Qwen's names, norms of queries and keys, experts chosen by a softmax router.

use super::config::Config;
use super::qwen::{MOST_EXPERTS, Sizes, Variant};
use super::{Description, Diffusion};
use crate::models::transformer::{Pattern, plan::*};
use crate::{Error, Result};
use serde_json::Value;

pub fn describe(config: &Config) -> Result<Description> {
    let sizes = Sizes::read(config, None)?;
    let experts = config.count("num_experts", MOST_EXPERTS)?;
    let top_k = config.count("num_experts_per_tok", experts)?;
    let width = |keys: &[&str]| -> Result<Option<usize>> {
        keys.iter().find_map(|key| config.size_if(key).transpose()).transpose()
    };
    let expert_width = width(&["expert_intermediate_size", "moe_intermediate_size", "intermediate_size"])?
        .ok_or_else(|| Error::model("\"expert_intermediate_size\" is missing"))?;
    let dense_width = width(&["dense_intermediate_size", "intermediate_size"])?.unwrap_or(expert_width);
    let shared_width = width(&["shared_expert_intermediate_size"])?;
    let activation = config.activation("hidden_act")?;
    let bias = config.flag("attention_bias", false)?;
    let qk_norm = config.flag("qk_layernorm", config.flag("use_qk_norm", false)?)?;
    let variant = Variant { qkv_bias: bias, out_bias: bias, qk_norm, theta: 5e4 };
    let sigmoid = match config.text("score_function")?.or(config.text("moe_router_score_function")?) {
        None | Some("softmax") => false,
        Some("sigmoid") => true,
        Some(other) => return Err(Error::unsupported(format!("\"score_function\": {other:?} is not supported"))),
    };
    let router_bias = config.flag("moe_router_enable_expert_bias", false)?;
    let renormalize = config.flag("norm_topk_prob", false)?;
    let scale = config.positive("routed_scaling_factor", 1.0)? as f32;
    let mixed = Mixed::read(config, sizes.layers)?;

    let layer = |i: usize| {
        let name = format!("model.layers.{i}.mlp");
        let feed_forward = if mixed.0[i] {
            FeedForwardPlan::Moe(Box::new(MoePlan {
                router: RouterPlan {
                    gate: TensorPlan::new(format!("{name}.gate.weight"), &[experts, sizes.hidden]),
                    sigmoid,
                    choice_bias: router_bias.then(|| TensorPlan::new(format!("{name}.gate.expert_bias"), &[experts])),
                    top_k,
                    groups: None,
                    renormalize,
                    scale,
                    expert_scale: None,
                    input: None,
                },
                experts: ExpertsPlan::Separate(
                    (0..experts).map(|e| sizes.mlp(&format!("{name}.experts.{e}"), expert_width, activation)).collect(),
                ),
                shared: shared_width.map(|width| sizes.mlp(&format!("{name}.shared_expert"), width, activation)),
            }))
        } else {
            FeedForwardPlan::Dense(sizes.mlp(&name, dense_width, activation))
        };
        sizes.layer(i, &variant, feed_forward)
    };
    let layers = (0..sizes.layers).map(layer).collect();
    let rotary = config.rotary(sizes.head_dim)?;
    let rope = config.rope(sizes.head_dim, rotary, variant.theta, sizes.max_len)?;
    let plan = sizes.network(config, rope, layers)?;
    let process = Diffusion::Masked { pattern: Pattern::Full, timed: false };
    let mut new = Description::new("LLaDA-MoE", plan, sizes.max_len, process).with_tokens(config)?;
    new.mask_default = (sizes.vocab > 156895).then_some(156895);
    Ok(new)
}

/// The layers with experts: `moe_layer_freq` is a list of 0 and 1, or a period.
struct Mixed(Vec<bool>);

impl Mixed {
    fn read(config: &Config, layers: usize) -> Result<Self> {
        let every = |period: u64| (0..layers).map(|i| period > 0 && (i as u64).is_multiple_of(period)).collect();
        let wrong = || Error::model(format!("\"moe_layer_freq\": expected {layers} times 0 or 1, or a period"));
        match config.get("moe_layer_freq") {
            None => Ok(Self(vec![true; layers])),
            Some(Value::Number(n)) => n.as_u64().map(|n| Self(every(n))).ok_or_else(wrong),
            Some(Value::Array(items)) if items.len() == layers => {
                items.iter().map(|v| v.as_u64().map(|n| n != 0)).collect::<Option<_>>().map(Self).ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }
}
