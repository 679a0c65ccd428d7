//! Builds a network from a plan and its tensors.

use super::attention::{Attention, Qkv};
use super::feed_forward::{Experts, FeedForward, Mlp, Moe, Router};
use super::ops::{Linear, Norm};
use super::plan::*;
use super::{Layer, Matrix, Noise, SelfConditioning, Transformer};
use crate::models::OrModel;
use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// A source of a network's weights.
pub trait Tensors {
    /// Reads a vector or a small matrix, in f32.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn tensor(&mut self, plan: &TensorPlan) -> Result<Tensor>;
    /// Reads a matrix (out, in), or the matrices of a stack (n, out, in), in the precision in which they are kept.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn matrices(&mut self, plan: &TensorPlan) -> Result<Vec<Matrix>>;
    /// Reads a table whose rows are looked up, in f32 or 16 bits.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn table(&mut self, plan: &TensorPlan) -> Result<Tensor>;
}

/// Builds networks from a source of weights.
pub struct Builder<'a> {
    /// The source of the weights.
    pub tensors: &'a mut dyn Tensors,
}

impl Builder<'_> {
    /// Builds the network of a plan.
    ///
    /// # Errors
    /// Tensors that are missing or have another shape.
    pub fn transformer(&mut self, plan: &TransformerPlan) -> Result<Transformer> {
        let layers = plan.layers.iter().map(|layer| self.layer(layer)).collect::<Result<Vec<_>>>()?;
        let noise = plan.noise.as_ref().map(|noise| {
            Ok::<_, Error>(Noise {
                width: noise.width,
                first: self.linear(&noise.first)?,
                second: self.linear(&noise.second)?,
                modulation: self.linear(&noise.modulation)?,
            })
        });
        let own = plan.self_conditioning.as_ref().map(|own| {
            Ok::<_, Error>(SelfConditioning {
                pre: self.norm(&own.pre)?,
                mlp: self.mlp(&own.mlp)?,
                post: self.norm(&own.post)?,
            })
        });
        let (noise, self_conditioning) = (noise.transpose()?, own.transpose()?);
        let embedding = self.tensors.table(&plan.embedding)?;
        let head = match &plan.head {
            Some(head) => self.linear(head)?,
            None => Linear { weight: Matrix::Dense(embedding.clone()), bias: None },
        };
        Ok(Transformer {
            embedding,
            embedding_scale: plan.embedding_scale,
            ropes: plan.ropes.clone(),
            layers,
            norm: self.norm(&plan.norm)?,
            head,
            logit_scale: plan.logit_scale,
            softcap: plan.softcap,
            noise,
            self_conditioning,
        })
    }

    fn linear(&mut self, plan: &LinearPlan) -> Result<Linear> {
        let bias = plan.bias.as_ref().map(|bias| self.tensors.tensor(bias)).transpose()?;
        Ok(Linear { weight: self.matrix(&plan.weight)?, bias })
    }

    fn matrix(&mut self, plan: &TensorPlan) -> Result<Matrix> {
        let missing = || Error::model(format!("tensor {:?} is no matrix", plan.name));
        self.tensors.matrices(plan)?.pop().ok_or_else(missing)
    }

    fn matrices(&mut self, plan: &TensorPlan) -> Result<Vec<Linear>> {
        Ok(self.tensors.matrices(plan)?.into_iter().map(|weight| Linear { weight, bias: None }).collect())
    }

    fn norm(&mut self, plan: &NormPlan) -> Result<Norm> {
        let mut weight = plan.weight.as_ref().map(|weight| self.tensors.tensor(weight)).transpose()?;
        if let (NormKind::RmsPlusOne, Some(stored)) = (plan.kind, &weight) {
            weight = Some((stored + 1.0).or_model()?);
        }
        let bias = plan.bias.as_ref().map(|bias| self.tensors.tensor(bias)).transpose()?;
        Ok(Norm { kind: plan.kind, eps: plan.eps, weight, bias })
    }

    fn optional(&mut self, plan: &Option<NormPlan>) -> Result<Option<Norm>> {
        plan.as_ref().map(|norm| self.norm(norm)).transpose()
    }

    fn mlp(&mut self, plan: &MlpPlan) -> Result<Mlp> {
        let gate = plan.gate.as_ref().map(|gate| self.linear(gate)).transpose()?;
        Ok(Mlp { activation: plan.activation, gate, up: self.linear(&plan.up)?, down: self.linear(&plan.down)? })
    }

    fn numbers(&mut self, plan: &TensorPlan) -> Result<Vec<f32>> {
        self.tensors.tensor(plan)?.to_dtype(DType::F32).or_model()?.to_vec1::<f32>().or_model()
    }

    fn moe(&mut self, plan: &MoePlan) -> Result<Moe> {
        let router = &plan.router;
        let input =
            router.input.as_ref().map(|(norm, scale)| Ok::<_, Error>((self.norm(norm)?, self.tensors.tensor(scale)?)));
        let input = input.transpose()?;
        let router = Router {
            gate: Linear { weight: Matrix::Dense(self.tensors.tensor(&router.gate)?), bias: None },
            sigmoid: router.sigmoid,
            choice_bias: router.choice_bias.as_ref().map(|bias| self.numbers(bias)).transpose()?,
            top_k: router.top_k,
            groups: router.groups,
            renormalize: router.renormalize,
            scale: router.scale,
            expert_scale: router.expert_scale.as_ref().map(|scale| self.numbers(scale)).transpose()?,
            input,
        };
        let experts = match &plan.experts {
            ExpertsPlan::Separate(experts) => {
                Experts::Separate(experts.iter().map(|expert| self.mlp(expert)).collect::<Result<_>>()?)
            }
            ExpertsPlan::Stacked { activation, gate_up, down } => Experts::Stacked {
                activation: *activation,
                gate_up: self.matrices(gate_up)?,
                down: self.matrices(down)?,
            },
        };
        let shared = plan.shared.as_ref().map(|shared| self.mlp(shared)).transpose()?;
        Ok(Moe { router, experts, shared })
    }

    fn attention(&mut self, plan: &AttentionPlan) -> Result<Attention> {
        let qkv = match &plan.qkv {
            QkvPlan::Split { q, k, v } => Qkv::Split {
                q: self.linear(q)?,
                k: self.linear(k)?,
                v: v.as_ref().map(|v| self.linear(v)).transpose()?,
            },
            QkvPlan::Fused(qkv) => Qkv::Fused(self.linear(qkv)?),
        };
        Ok(Attention {
            heads: plan.heads,
            kv_heads: plan.kv_heads,
            head_dim: plan.head_dim,
            qkv,
            out: self.linear(&plan.out)?,
            q_norm: self.optional(&plan.q_norm)?,
            k_norm: self.optional(&plan.k_norm)?,
            v_norm: self.optional(&plan.v_norm)?,
            rope: plan.rope,
            scale: plan.scale,
            clip: plan.clip,
            window: plan.window,
        })
    }

    fn layer(&mut self, plan: &LayerPlan) -> Result<Layer> {
        let feed_forward = match &plan.feed_forward {
            FeedForwardPlan::Dense(mlp) => FeedForward::Dense(self.mlp(mlp)?),
            FeedForwardPlan::Moe(moe) => FeedForward::Moe(self.moe(moe)?),
            FeedForwardPlan::Both { dense, dense_post, moe, moe_pre, moe_post } => FeedForward::Both {
                dense: self.mlp(dense)?,
                dense_post: self.norm(dense_post)?,
                moe: self.moe(moe)?,
                moe_pre: self.norm(moe_pre)?,
                moe_post: self.norm(moe_post)?,
            },
        };
        let factors = match &plan.factors {
            Some([encoder, decoder]) => Some([self.tensors.tensor(encoder)?, self.tensors.tensor(decoder)?]),
            None => None,
        };
        Ok(Layer {
            attention_norm: self.norm(&plan.attention_norm)?,
            attention: self.attention(&plan.attention)?,
            attention_post: self.optional(&plan.attention_post)?,
            ff_norm: self.norm(&plan.ff_norm)?,
            feed_forward,
            ff_post: self.optional(&plan.ff_post)?,
            modulation: plan.modulation.as_ref().map(|m| self.linear(m)).transpose()?,
            factors,
        })
    }
}
