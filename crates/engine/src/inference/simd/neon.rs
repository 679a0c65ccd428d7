//! NEON.
#![allow(unsafe_code)]

use super::edges::{Edges, MaxPlus, Numbers};
use super::lanes::Lanes;
use super::lists::Parts;
use super::loops::{self, LANES, Peak, Scale};
use super::shapes::Shapes;
use crate::cpu::Neon;
use std::arch::aarch64::*;
use std::ops::Range;

/// The loops compiled for NEON.
macro_rules! compile {
    ($($function:ident ( $($name:ident : $kind:ty),* ) -> $result:ty;)*) => {$(
        pub(super) fn $function(_: Neon, $($name: $kind),*) -> $result {
            #[target_feature(enable = "neon")]
            fn compiled($($name: $kind),*) -> $result {
                loops::$function::<Quads>($($name),*)
            }
            // SAFETY: `compiled` requires NEON, and a value of `Neon` exists only where the processor has it.
            unsafe { compiled($($name),*) }
        }
    )*};
}

compile! {
    max(x: &[f32]) -> f32;
    sum_exp(x: &[f32], origin: f32, scale: Scale) -> f64;
    moments(x: &[f32], origin: f32, scale: Scale) -> (f64, f64);
    exp(x: &[f32], origin: f32, scale: Scale, out: &mut [f32]) -> ();
    softmax_parts(x: &[f32], scale: Scale, parts: &mut Parts) -> (f32, f64);
    softmax(x: &[f32], scale: Scale) -> Peak;
    shapes(x: &[f32], moments_of: Option<(f32, Scale)>, parts: &mut Shapes) -> ();
    position(x: &[f32], value: f32) -> Option<usize>;
    edge_sums32(edges: &Edges, windows: Range<usize>, mass: &Numbers<f32>, values: &Numbers<f32>, out: &mut [f32]) -> ();
    rescale32(values: &mut [f32], full: f32, enough: f32, least: f32) -> Option<f32>;
    edge_sums64(edges: &Edges, windows: Range<usize>, mass: &Numbers<f64>, values: &Numbers<f64>, out: &mut [f64]) -> ();
    edge_maxima(
        edges: &Edges,
        windows: Range<usize>,
        mass: &Numbers<MaxPlus>,
        values: &Numbers<MaxPlus>,
        out: &mut [MaxPlus]
    ) -> ();
    edge_meetings(edges: &Edges, windows: Range<usize>, values: (&[f64], &[f64]), labels: &mut [f64]) -> ();
    rescale64(values: &mut [f64], full: f64, enough: f64, least: f64) -> Option<f64>;
}

/// Sixteen lanes in four registers. Made only inside functions compiled for NEON.
#[derive(Clone, Copy)]
struct Quads([float32x4_t; 4]);

impl Quads {
    #[inline(always)]
    fn each(self, f: impl Fn(float32x4_t) -> float32x4_t) -> Self {
        Self(self.0.map(f))
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY, for each block: the instructions are those of NEON. `Quads` is private to this file, where only the functions
// above use it, which require this feature. Loads and stores go through slices of four floats.
impl Lanes for Quads {
    const FUSED: bool = true;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([unsafe { vdupq_n_f32(x) }; 4])
    }
    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(std::array::from_fn(|i| unsafe { vld1q_f32(x[4 * i..4 * i + 4].as_ptr()) }))
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (quad, out) in self.0.into_iter().zip(out.chunks_exact_mut(4)) {
            unsafe { vst1q_f32(out.as_mut_ptr(), quad) };
        }
        out
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| unsafe { vfmaq_f32(addend.0[i], self.0[i], factor.0[i]) }))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        self.each(|a| unsafe { vrndnq_f32(a) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        self.each(|a| unsafe {
            let biased = vaddq_s32(vcvtq_s32_f32(a), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        })
    }
}
