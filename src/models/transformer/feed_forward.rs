//! Feed-forward layers and mixtures of experts.

use super::ops::{Linear, Norm, activate, add, gated};
use super::plan::Activation;
use candle_core::{D, Result, Tensor};
use candle_nn::ops;

/// down(act(gate(x)) · up(x)), or down(act(up(x))) where there is no gate.
pub struct Mlp {
    pub activation: Activation,
    pub gate: Option<Linear>,
    pub up: Linear,
    pub down: Linear,
}

impl Mlp {
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let up = self.up.forward(x)?;
        let inner = match &self.gate {
            Some(gate) => gated(self.activation, &gate.forward(x)?, &up)?,
            None => activate(self.activation, &up)?,
        };
        self.down.forward(&inner)
    }
}

/// The router, which chooses experts for each token.
pub struct Router {
    pub gate: Linear,
    pub sigmoid: bool,
    pub choice_bias: Option<Vec<f32>>,
    pub top_k: usize,
    pub groups: Option<(usize, usize)>,
    pub renormalize: bool,
    pub scale: f32,
    pub expert_scale: Option<Vec<f32>>,
    pub input: Option<(Norm, Tensor)>,
}

impl Router {
    /// The experts of each row of `x`, with their weights.
    fn choose(&self, x: &Tensor) -> Result<Vec<Vec<(usize, f32)>>> {
        let logits = match &self.input {
            None => self.gate.forward(x)?,
            Some((norm, scale)) => {
                let root = (x.dim(1)? as f64).sqrt();
                self.gate.forward(&(norm.forward(x)?.broadcast_mul(scale)? / root)?)?
            }
        };
        let scores = if self.sigmoid { ops::sigmoid(&logits)? } else { ops::softmax(&logits, D::Minus1)? };
        Ok(scores.to_vec2::<f32>()?.iter().map(|row| self.pick(row)).collect())
    }

    fn pick(&self, scores: &[f32]) -> Vec<(usize, f32)> {
        let mut keys: Vec<f32> = match &self.choice_bias {
            Some(bias) => scores.iter().zip(bias).map(|(s, b)| s + b).collect(),
            None => scores.to_vec(),
        };
        if let Some((groups, kept)) = self.groups {
            let size = keys.len() / groups;
            let two_best = |group: &[f32]| best(group, 2).iter().map(|&i| group[i]).sum::<f32>();
            let sums: Vec<f32> = keys.chunks(size).map(two_best).collect();
            let inside = best(&sums, kept);
            for (i, key) in keys.iter_mut().enumerate() {
                if !inside.contains(&(i / size)) {
                    *key = f32::NEG_INFINITY;
                }
            }
        }
        let chosen = best(&keys, self.top_k);
        let total: f32 = chosen.iter().map(|&e| scores[e]).sum();
        let norm = if self.renormalize { 1.0 / (total + 1e-20) } else { 1.0 };
        let weight = |e: usize| {
            let own = self.expert_scale.as_ref().map_or(1.0, |s| s[e]);
            scores[e] * norm * self.scale * own
        };
        chosen.into_iter().map(|e| (e, weight(e))).collect()
    }
}

/// The indices of the `count` largest values, largest first; the lower index on a tie.
fn best(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(count);
    order
}

/// The weights of the experts.
pub enum Experts {
    Separate(Vec<Mlp>),
    /// For each expert a matrix (2·width, hidden) with the gates first, and a matrix (hidden, width).
    Stacked {
        activation: Activation,
        gate_up: Vec<Linear>,
        down: Vec<Linear>,
    },
}

impl Experts {
    fn forward(&self, expert: usize, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Separate(experts) => experts[expert].forward(x),
            Self::Stacked { activation, gate_up, down } => {
                let both = gate_up[expert].forward(x)?;
                let width = both.dim(1)? / 2;
                let (gate, up) = (both.narrow(1, 0, width)?, both.narrow(1, width, width)?);
                down[expert].forward(&gated(*activation, &gate, &up)?)
            }
        }
    }
}

/// A mixture of experts.
pub struct Moe {
    pub router: Router,
    pub experts: Experts,
    pub shared: Option<Mlp>,
}

impl Moe {
    /// The router reads `routed`, the experts read `x`.
    pub fn forward(&self, x: &Tensor, routed: &Tensor) -> Result<Tensor> {
        let mut out = match &self.shared {
            Some(shared) => shared.forward(x)?,
            None => x.zeros_like()?,
        };
        let mut rows: Vec<(usize, u32, f32)> = Vec::new();
        for (row, chosen) in (0..).zip(self.router.choose(routed)?) {
            rows.extend(chosen.into_iter().map(|(expert, weight)| (expert, row, weight)));
        }
        rows.sort_unstable_by_key(|&(expert, row, _)| (expert, row));
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let ids: Vec<u32> = group.iter().map(|r| r.1).collect();
            let weights: Vec<f32> = group.iter().map(|r| r.2).collect();
            let ids = Tensor::new(ids, x.device())?;
            let weights = Tensor::from_vec(weights, (group.len(), 1), x.device())?;
            let y = self.experts.forward(group[0].0, &x.index_select(&ids, 0)?)?.broadcast_mul(&weights)?;
            out = out.index_add(&ids, &y, 0)?;
        }
        Ok(out)
    }
}

/// The part of a layer after attention.
pub enum FeedForward {
    Dense(Mlp),
    Moe(Moe),
    Both { dense: Mlp, dense_post: Norm, moe: Moe, moe_pre: Norm, moe_post: Norm },
}

impl FeedForward {
    /// `x` is the residual stream after the layer's norm, `residual` the stream itself.
    pub fn forward(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(mlp) => mlp.forward(x),
            Self::Moe(moe) => moe.forward(x, x),
            Self::Both { dense, dense_post, moe, moe_pre, moe_post } => {
                let one = dense_post.forward(&dense.forward(x)?)?;
                let two = moe_post.forward(&moe.forward(&moe_pre.forward(residual)?, residual)?)?;
                add(&one, &two)
            }
        }
    }
}
