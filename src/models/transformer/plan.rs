//! What a network is made of, as data: a family fills this in, and one implementation runs it.

/// A tensor of the checkpoint, with the shape it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPlan {
    /// Name in the file.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl TensorPlan {
    /// A tensor by its name and shape.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec() }
    }
    /// Number of elements; saturates where the shape is absurd.
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
    /// `{name}.weight`, and `{name}.bias` where `bias` holds.
    pub fn new(name: &str, outputs: usize, inputs: usize, bias: bool) -> Self {
        Self {
            weight: TensorPlan::new(format!("{name}.weight"), &[outputs, inputs]),
            bias: bias.then(|| TensorPlan::new(format!("{name}.bias"), &[outputs])),
        }
    }
}

/// How a vector is brought to unit size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Divided by its root mean square (arXiv 1910.07467).
    Rms,
    /// The same, with a weight that is stored minus one.
    RmsPlusOne,
    /// Mean removed, then divided by the standard deviation.
    Layer,
}

/// A normalisation over the last dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct NormPlan {
    /// Which statistic it divides by.
    pub kind: NormKind,
    /// Added to the variance.
    pub eps: f64,
    /// None: a weight of ones.
    pub weight: Option<TensorPlan>,
    /// Added behind the weight.
    pub bias: Option<TensorPlan>,
}

impl NormPlan {
    /// Root mean square with the weight `{name}.weight`.
    pub fn rms(name: &str, width: usize, eps: f64) -> Self {
        Self::weighted(NormKind::Rms, name, width, eps)
    }
    /// With the weight `{name}.weight`, without bias.
    pub fn weighted(kind: NormKind, name: &str, width: usize, eps: f64) -> Self {
        Self { kind, eps, weight: Some(TensorPlan::new(format!("{name}.weight"), &[width])), bias: None }
    }
    /// Root mean square without any weight.
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

/// Rotary positions (arXiv 2104.09864), half-split layout: dimension i turns with dimension i + half.
#[derive(Debug, Clone, PartialEq)]
pub struct RopePlan {
    /// Angle per position of each pair; zero leaves the pair as it is. Pairs beyond are not turned.
    pub frequencies: Vec<f32>,
    /// Factor on cos and sin.
    pub magnitude: f32,
}

/// Where queries, keys and values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum QkvPlan {
    /// One matrix each; without `v`, the values are the keys before their norm and rotation.
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
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` heads of queries.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Queries, keys and values.
    pub qkv: QkvPlan,
    /// What mixes the heads.
    pub out: LinearPlan,
    /// Of each head, or of all heads together, by the width of its weight.
    pub q_norm: Option<NormPlan>,
    /// Over each head of keys.
    pub k_norm: Option<NormPlan>,
    /// Over each head of values.
    pub v_norm: Option<NormPlan>,
    /// Index into [`TransformerPlan::ropes`].
    pub rope: usize,
    /// Factor on the products of queries and keys.
    pub scale: f32,
    /// Queries, keys and values are clamped to ± this.
    pub clip: Option<f32>,
    /// Positions that a causal pass looks back, its own included.
    pub window: Option<usize>,
}

/// down(act(gate(x)) · up(x)), or down(act(up(x))) where there is no gate.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpPlan {
    /// Between the matrices.
    pub activation: Activation,
    /// What the nonlinearity is applied to, where it gates.
    pub gate: Option<LinearPlan>,
    /// (width, hidden).
    pub up: LinearPlan,
    /// (hidden, width).
    pub down: LinearPlan,
}

/// How a mixture of experts turns the router's logits into weights.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterPlan {
    /// (experts, hidden)
    pub gate: TensorPlan,
    /// Sigmoid scores; softmax otherwise.
    pub sigmoid: bool,
    /// Added to the scores for choosing, not for weighing: (experts).
    pub choice_bias: Option<TensorPlan>,
    /// Experts per token.
    pub top_k: usize,
    /// Number of groups of neighbouring experts, and how many groups are looked into: the ones whose two best scores
    /// have the largest sum.
    pub groups: Option<(usize, usize)>,
    /// Weights of the chosen experts are made to sum to one.
    pub renormalize: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Factor on the weight of each expert: (experts).
    pub expert_scale: Option<TensorPlan>,
    /// The router's own norm, and a factor on each input (hidden): Gemma's.
    pub input: Option<(NormPlan, TensorPlan)>,
}

/// Weights of the experts.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpertsPlan {
    /// One layer each.
    Separate(Vec<MlpPlan>),
    /// `gate_up`: (experts, 2·width, hidden), gates first; `down`: (experts, hidden, width).
    Stacked {
        /// Of all experts.
        activation: Activation,
        /// Gates and values.
        gate_up: TensorPlan,
        /// Back to the hidden width.
        down: TensorPlan,
    },
}

/// A mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub struct MoePlan {
    /// Which experts a token sees.
    pub router: RouterPlan,
    /// What they are.
    pub experts: ExpertsPlan,
    /// Sees every token and is added.
    pub shared: Option<MlpPlan>,
}

/// What follows attention.
// One for each layer, made once: the difference in size costs nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum FeedForwardPlan {
    /// One layer for every token.
    Dense(MlpPlan),
    /// A mixture of experts.
    Moe(Box<MoePlan>),
    /// A dense layer and a mixture side by side, each with a norm behind it; the mixture has its own in front, and
    /// its router sees the input as it is.
    Both {
        /// The dense layer.
        dense: MlpPlan,
        /// Behind it.
        dense_post: NormPlan,
        /// The mixture.
        moe: Box<MoePlan>,
        /// In front of it.
        moe_pre: NormPlan,
        /// Behind it.
        moe_post: NormPlan,
    },
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// In front of attention.
    pub attention_norm: NormPlan,
    /// Who looks at whom.
    pub attention: AttentionPlan,
    /// On attention's output, before it is added.
    pub attention_post: Option<NormPlan>,
    /// In front of what follows it.
    pub ff_norm: NormPlan,
    /// What follows it.
    pub feed_forward: FeedForwardPlan,
    /// On the feed-forward layer's output, before it is added.
    pub ff_post: Option<NormPlan>,
    /// Shift, scale and gate of both parts from the condition (adaLN, arXiv 2212.09748): (6·hidden, condition).
    pub modulation: Option<LinearPlan>,
    /// Factor on the layer's result when it encodes, and when it decodes: (1) each.
    pub factors: Option<[TensorPlan; 2]>,
}

/// The condition of adaLN layers: a noise level, embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct NoisePlan {
    /// Width of the sinusoidal embedding.
    pub width: usize,
    /// From the features of a level.
    pub first: LinearPlan,
    /// To the condition.
    pub second: LinearPlan,
    /// Shift and scale before the head: (2·hidden, condition).
    pub modulation: LinearPlan,
}

/// What a network of a uniform-state process believed a step ago, fed back to it.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfConditioningPlan {
    /// In front of the layer.
    pub pre: NormPlan,
    /// The layer.
    pub mlp: MlpPlan,
    /// Behind the sum.
    pub post: NormPlan,
}

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerPlan {
    /// Width of a position.
    pub hidden: usize,
    /// (vocabulary, hidden)
    pub embedding: TensorPlan,
    /// Factor on embeddings.
    pub embedding_scale: f32,
    /// Rotations, which layers name by their index.
    pub ropes: Vec<RopePlan>,
    /// In order.
    pub layers: Vec<LayerPlan>,
    /// Behind the last layer.
    pub norm: NormPlan,
    /// None: the embedding itself.
    pub head: Option<LinearPlan>,
    /// Factor on logits.
    pub logit_scale: f32,
    /// c·tanh(x/c) on logits.
    pub softcap: Option<f32>,
    /// How it is told a noise level.
    pub noise: Option<NoisePlan>,
    /// How it is told what it said a step ago.
    pub self_conditioning: Option<SelfConditioningPlan>,
}

impl TransformerPlan {
    /// Width of a row of logits.
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
