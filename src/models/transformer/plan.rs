//! Networks described as data. A family fills in a plan, and one implementation runs all plans.

/// A tensor of the checkpoint, with the shape it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPlan {
    /// The name in the file.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl TensorPlan {
    /// A tensor of a name and shape.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec() }
    }
    /// The number of elements; saturates on overflow.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64))
    }
}

/// x·Wᵀ + b.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearPlan {
    /// (out, in)
    pub weight: TensorPlan,
    /// (out)
    pub bias: Option<TensorPlan>,
}

impl LinearPlan {
    /// The tensors `{name}.weight` and, with `bias`, `{name}.bias`.
    pub fn new(name: &str, outputs: usize, inputs: usize, bias: bool) -> Self {
        Self {
            weight: TensorPlan::new(format!("{name}.weight"), &[outputs, inputs]),
            bias: bias.then(|| TensorPlan::new(format!("{name}.bias"), &[outputs])),
        }
    }
}

/// The kind of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Division by the root mean square (arXiv 1910.07467).
    Rms,
    /// Division by the root mean square, with a weight that is stored minus one.
    RmsPlusOne,
    /// Subtraction of the mean, then division by the standard deviation.
    Layer,
}

/// A normalisation over the last dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct NormPlan {
    /// The kind of the normalisation.
    pub kind: NormKind,
    /// The constant added to the variance.
    pub eps: f64,
    /// The weight; `None` stands for ones.
    pub weight: Option<TensorPlan>,
    /// The bias, added after the weight.
    pub bias: Option<TensorPlan>,
}

impl NormPlan {
    /// An RMS norm with the weight `{name}.weight`.
    pub fn rms(name: &str, width: usize, eps: f64) -> Self {
        Self::weighted(NormKind::Rms, name, width, eps)
    }
    /// A norm with the weight `{name}.weight` and without bias.
    pub fn weighted(kind: NormKind, name: &str, width: usize, eps: f64) -> Self {
        Self { kind, eps, weight: Some(TensorPlan::new(format!("{name}.weight"), &[width])), bias: None }
    }
    /// An RMS norm without weight.
    pub fn plain(eps: f64) -> Self {
        Self { kind: NormKind::Rms, eps, weight: None, bias: None }
    }
}

/// The nonlinearity of a feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(x).
    Silu,
    /// The tanh approximation.
    GeluTanh,
    /// With the error function.
    Gelu,
    /// max(x, 0).
    Relu,
}

/// Rotary positions (arXiv 2104.09864), half-split layout: dimension i is rotated with dimension i + half.
#[derive(Debug, Clone, PartialEq)]
pub struct RopePlan {
    /// The angle per position of each pair; 0 leaves the pair unchanged. Later pairs are not rotated.
    pub frequencies: Vec<f32>,
    /// Factor on cos and sin.
    pub magnitude: f32,
}

/// The projections to queries, keys and values.
#[derive(Debug, Clone, PartialEq)]
pub enum QkvPlan {
    /// One matrix each. Without `v`, the values are the keys before their norm and rotation.
    Split {
        /// Queries.
        q: LinearPlan,
        /// Keys.
        k: LinearPlan,
        /// Values.
        v: Option<LinearPlan>,
    },
    /// One matrix: all queries, then all keys, then all values.
    Fused(LinearPlan),
}

/// Attention of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionPlan {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Queries, keys and values.
    pub qkv: QkvPlan,
    /// The output projection.
    pub out: LinearPlan,
    /// The norm of queries: of each head or of all heads together, according to the width of its weight.
    pub q_norm: Option<NormPlan>,
    /// The norm of each key head.
    pub k_norm: Option<NormPlan>,
    /// The norm of each value head.
    pub v_norm: Option<NormPlan>,
    /// Index into [`TransformerPlan::ropes`].
    pub rope: usize,
    /// Factor on the products of queries and keys.
    pub scale: f32,
    /// Bound to which queries, keys and values are clamped.
    pub clip: Option<f32>,
    /// The attention window of a causal pass, in positions including the query's own.
    pub window: Option<usize>,
}

/// down(act(gate(x)) · up(x)), or down(act(up(x))) where there is no gate.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpPlan {
    /// The nonlinearity.
    pub activation: Activation,
    /// The gate projection, to which the nonlinearity is applied. Without it, the nonlinearity is applied to `up`.
    pub gate: Option<LinearPlan>,
    /// (width, hidden).
    pub up: LinearPlan,
    /// (hidden, width).
    pub down: LinearPlan,
}

/// The router of a mixture of experts: it turns logits into expert weights.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterPlan {
    /// (experts, hidden).
    pub gate: TensorPlan,
    /// Whether scores are sigmoids; otherwise they are a softmax.
    pub sigmoid: bool,
    /// A bias for choosing experts, which is not part of their weights: (experts).
    pub choice_bias: Option<TensorPlan>,
    /// Experts per token.
    pub top_k: usize,
    /// The number of groups of neighbouring experts, and the number of groups from which experts are chosen: those
    /// whose two best scores have the largest sum.
    pub groups: Option<(usize, usize)>,
    /// Whether the weights of the chosen experts are normalised to sum 1.
    pub renormalize: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Factor on the weight of each expert: (experts).
    pub expert_scale: Option<TensorPlan>,
    /// The router's own norm and a factor on each input (hidden), as in Gemma.
    pub input: Option<(NormPlan, TensorPlan)>,
}

/// Weights of the experts.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpertsPlan {
    /// One layer each.
    Separate(Vec<MlpPlan>),
    /// `gate_up`: (experts, 2·width, hidden), gates first; `down`: (experts, hidden, width).
    Stacked {
        /// The nonlinearity of all experts.
        activation: Activation,
        /// The gate and up projections.
        gate_up: TensorPlan,
        /// The down projection.
        down: TensorPlan,
    },
}

/// A mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub struct MoePlan {
    /// The router, which chooses the experts of each token.
    pub router: RouterPlan,
    /// The experts.
    pub experts: ExpertsPlan,
    /// A shared expert, whose output is added for every token.
    pub shared: Option<MlpPlan>,
}

/// The part of a layer after attention.
// One value per layer, made once, so the difference in size costs nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum FeedForwardPlan {
    /// One layer for every token.
    Dense(MlpPlan),
    /// A mixture of experts.
    Moe(Box<MoePlan>),
    /// A dense layer and a mixture in parallel, each with a norm behind it. The mixture also has a norm in front; its
    /// router reads the input without that norm.
    Both {
        /// The dense layer.
        dense: MlpPlan,
        /// The norm behind it.
        dense_post: NormPlan,
        /// The mixture.
        moe: Box<MoePlan>,
        /// The norm in front of the mixture.
        moe_pre: NormPlan,
        /// The norm behind it.
        moe_post: NormPlan,
    },
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// The norm in front of attention.
    pub attention_norm: NormPlan,
    /// The attention.
    pub attention: AttentionPlan,
    /// The norm of attention's output, before it is added.
    pub attention_post: Option<NormPlan>,
    /// The norm in front of the feed-forward part.
    pub ff_norm: NormPlan,
    /// The feed-forward part.
    pub feed_forward: FeedForwardPlan,
    /// The norm of the feed-forward output, before it is added.
    pub ff_post: Option<NormPlan>,
    /// Shift, scale and gate of both parts from the condition (adaLN, arXiv 2212.09748): (6·hidden, condition).
    pub modulation: Option<LinearPlan>,
    /// The factors on the layer's output when the network encodes and when it decodes: (1) each.
    pub factors: Option<[TensorPlan; 2]>,
}

/// The condition of adaLN layers: a noise level, embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct NoisePlan {
    /// Width of the sinusoidal embedding.
    pub width: usize,
    /// The projection of the embedded level.
    pub first: LinearPlan,
    /// The projection to the condition.
    pub second: LinearPlan,
    /// Shift and scale before the head: (2·hidden, condition).
    pub modulation: LinearPlan,
}

/// Self-conditioning: the network of a uniform-state process receives its prediction of the previous step.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfConditioningPlan {
    /// The norm in front of the layer.
    pub pre: NormPlan,
    /// The layer.
    pub mlp: MlpPlan,
    /// The norm behind the sum.
    pub post: NormPlan,
}

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerPlan {
    /// Width of the residual stream.
    pub hidden: usize,
    /// (vocabulary, hidden).
    pub embedding: TensorPlan,
    /// Factor on embeddings.
    pub embedding_scale: f32,
    /// The rotations; layers refer to them by index.
    pub ropes: Vec<RopePlan>,
    /// The layers, in order.
    pub layers: Vec<LayerPlan>,
    /// The norm behind the last layer.
    pub norm: NormPlan,
    /// The output head; `None` uses the embedding.
    pub head: Option<LinearPlan>,
    /// Factor on logits.
    pub logit_scale: f32,
    /// c·tanh(x/c) on logits.
    pub softcap: Option<f32>,
    /// The input of a noise level.
    pub noise: Option<NoisePlan>,
    /// The input of the previous step's prediction.
    pub self_conditioning: Option<SelfConditioningPlan>,
}

impl TransformerPlan {
    /// The size of the vocabulary: the width of a row of logits.
    pub fn vocab(&self) -> usize {
        self.head.as_ref().map_or(self.embedding.shape[0], |head| head.weight.shape[0])
    }
    /// Every tensor that the network reads.
    pub fn tensors(&self) -> Vec<&TensorPlan> {
        let mut list = List(vec![&self.embedding]);
        self.layers.iter().for_each(|layer| list.layer(layer));
        list.norm(Some(&self.norm));
        list.linear(self.head.as_ref());
        if let Some(noise) = &self.noise {
            [&noise.first, &noise.second, &noise.modulation].into_iter().for_each(|l| list.linear(Some(l)));
        }
        if let Some(own) = &self.self_conditioning {
            list.norm(Some(&own.pre));
            list.mlp(&own.mlp);
            list.norm(Some(&own.post));
        }
        list.0
    }
    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().fold(0, |sum, t| sum.saturating_add(t.elements()))
    }
}

struct List<'a>(Vec<&'a TensorPlan>);

impl<'a> List<'a> {
    fn linear(&mut self, plan: Option<&'a LinearPlan>) {
        self.0.extend(plan.map(|p| &p.weight));
        self.0.extend(plan.and_then(|p| p.bias.as_ref()));
    }
    fn norm(&mut self, plan: Option<&'a NormPlan>) {
        self.0.extend(plan.and_then(|p| p.weight.as_ref()));
        self.0.extend(plan.and_then(|p| p.bias.as_ref()));
    }
    fn mlp(&mut self, plan: &'a MlpPlan) {
        self.linear(plan.gate.as_ref());
        self.linear(Some(&plan.up));
        self.linear(Some(&plan.down));
    }
    fn moe(&mut self, plan: &'a MoePlan) {
        let router = &plan.router;
        self.0.push(&router.gate);
        self.0.extend(&router.choice_bias);
        self.0.extend(&router.expert_scale);
        if let Some((norm, scale)) = &router.input {
            self.norm(Some(norm));
            self.0.push(scale);
        }
        match &plan.experts {
            ExpertsPlan::Separate(experts) => experts.iter().for_each(|e| self.mlp(e)),
            ExpertsPlan::Stacked { gate_up, down, .. } => self.0.extend([gate_up, down]),
        }
        plan.shared.iter().for_each(|shared| self.mlp(shared));
    }
    fn layer(&mut self, plan: &'a LayerPlan) {
        let attention = &plan.attention;
        match &attention.qkv {
            QkvPlan::Split { q, k, v } => [Some(q), Some(k), v.as_ref()].into_iter().for_each(|l| self.linear(l)),
            QkvPlan::Fused(qkv) => self.linear(Some(qkv)),
        }
        self.linear(Some(&attention.out));
        self.linear(plan.modulation.as_ref());
        for norm in [&attention.q_norm, &attention.k_norm, &attention.v_norm, &plan.attention_post, &plan.ff_post] {
            self.norm(norm.as_ref());
        }
        self.norm(Some(&plan.attention_norm));
        self.norm(Some(&plan.ff_norm));
        match &plan.feed_forward {
            FeedForwardPlan::Dense(mlp) => self.mlp(mlp),
            FeedForwardPlan::Moe(moe) => self.moe(moe),
            FeedForwardPlan::Both { dense, dense_post, moe, moe_pre, moe_post } => {
                self.mlp(dense);
                self.moe(moe);
                [dense_post, moe_pre, moe_post].into_iter().for_each(|norm| self.norm(Some(norm)));
            }
        }
        self.0.extend(plan.factors.iter().flatten());
    }
}
