//! Logits as a model returns them, in single or half precision.

use crate::{Pos, Scores, Token};
use half::{bf16, f16, slice::HalfFloatSliceExt};

/// L × V unnormalised log-probabilities in nats, row-major.
///
/// Half precision is that of the crate `half`: the standard library has no such types, and candle, burn and most bindings
/// use these, so that a buffer is passed as it is.
#[derive(Debug, Clone, Copy)]
pub enum Logits<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision.
    F16(&'a [f16]),
    /// Half precision with the exponents of single precision.
    Bf16(&'a [bf16]),
}

impl<'a> Logits<'a> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::Bf16(x) => x.len(),
        }
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The row of a position, for a vocabulary of `vocab` tokens.
    pub(super) fn row(self, pos: Pos, vocab: usize) -> Self {
        let range = pos * vocab..(pos + 1) * vocab;
        match self {
            Self::F32(x) => Self::F32(&x[range]),
            Self::F16(x) => Self::F16(&x[range]),
            Self::Bf16(x) => Self::Bf16(&x[range]),
        }
    }
    pub(super) fn get(&self, token: Token) -> f32 {
        match self {
            Self::F32(x) => x[token as usize],
            Self::F16(x) => x[token as usize].to_f32(),
            Self::Bf16(x) => x[token as usize].to_f32(),
        }
    }
    /// The values of these tokens.
    pub(super) fn gather(&self, tokens: &[Token], out: &mut Vec<f32>) {
        out.clear();
        match self {
            Self::F32(x) => out.extend(tokens.iter().map(|&t| x[t as usize])),
            Self::F16(x) => out.extend(tokens.iter().map(|&t| x[t as usize].to_f32())),
            Self::Bf16(x) => out.extend(tokens.iter().map(|&t| x[t as usize].to_f32())),
        }
    }
    /// All values in single precision; `space` is used where they are not.
    pub(super) fn single<'s>(self, space: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        space.resize(if matches!(self, Self::F32(_)) { 0 } else { self.len() }, 0.0);
        match self {
            Self::F32(x) => return x,
            Self::F16(x) => x.convert_to_f32_slice(space),
            Self::Bf16(x) => x.convert_to_f32_slice(space),
        }
        space
    }
}

impl<'a> From<&'a Scores> for Logits<'a> {
    fn from(scores: &'a Scores) -> Self {
        Self::F32(scores.values())
    }
}
