//! The loops over the vocabulary, with explicit SIMD.
//!
//! One algorithm for each question, written once over sixteen lanes ([`lanes::Lanes`]); AVX-512, AVX2 and NEON say
//! how sixteen lanes are held in their registers, and plain arrays are the fallback. Which one runs is decided when it
//! runs. All hold sixteen lanes, so they add in the same order: AVX-512, AVX2 and NEON agree to the last bit, the
//! fallback but for fused multiply-adds.
//!
//! # The exponential
//! e^t is 2^n · 2^f with n an integer and |f| ≤ ½; a polynomial of degree 5 gives 2^f with a relative error of 9.2e-8.
//! With the roundings on the way the relative error is below 3e-7 + 6e-8·|t|, of the fallback 3e-7 + 2.4e-7·|t|: the
//! argument is a difference of single precision. e^0 is exactly 1. Results below 2^-126 are 0: who needs them asks
//! again with an origin nearby.

mod edges;
mod lanes;
mod lists;
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
mod picks;
mod portable;
mod shapes;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::{self, Level};
pub(crate) use edges::{Edges, MaxPlus, NUMBERS, Numbers, Semiring, WINDOW};
pub(crate) use lists::{Lists, Parts};
pub(crate) use loops::{LANES, Peak, Scale};
pub(crate) use shapes::{Shape, Shapes};
use std::ops::Range;

/// The instructions that a loop uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Simd(Level);

/// Calls a loop compiled for the instructions at hand.
macro_rules! dispatch {
    ($simd:expr, $function:ident ( $($argument:expr),* )) => {
        match $simd.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(proof) => x86::avx512::$function(proof, $($argument),*),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(proof) => x86::avx2::$function(proof, $($argument),*),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(proof) => neon::$function(proof, $($argument),*),
            Level::Portable => loops::$function::<portable::Array>($($argument),*),
        }
    };
}

impl Simd {
    /// Those of the level that all loops use.
    #[inline]
    pub(crate) fn best() -> Self {
        Self(cpu::level())
    }

    /// Those of each level of this processor, the best first.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        Level::available().into_iter().map(Self).collect()
    }

    /// The largest; −∞ of none. NaN is passed over.
    pub(crate) fn max(self, x: &[f32]) -> f32 {
        dispatch!(self, max(x))
    }
    /// Σ e^((x − origin) · scale), for x ≤ origin; NaN where one is NaN.
    pub(crate) fn sum_exp(self, x: &[f32], origin: f32, scale: Scale) -> f64 {
        dispatch!(self, sum_exp(x, origin, scale))
    }
    /// Σ e^t and Σ t·e^t, with t = (x − origin) · scale.
    pub(crate) fn moments(self, x: &[f32], origin: f32, scale: Scale) -> (f64, f64) {
        dispatch!(self, moments(x, origin, scale))
    }
    /// e^((x − origin) · scale) of each, for x ≤ origin.
    pub(crate) fn exp(self, x: &[f32], origin: f32, scale: Scale, out: &mut [f32]) {
        dispatch!(self, exp(x, origin, scale, out))
    }
    /// One pass over a row: [`sum_exp`](Self::sum_exp) relative to the largest, of all that is read; the sums of lists, in
    /// the same units, are added to those in `parts`. Returns the largest and the sum of all.
    pub(crate) fn softmax_parts(self, x: &[f32], scale: Scale, parts: &mut Parts) -> (f32, f64) {
        dispatch!(self, softmax_parts(x, scale, parts))
    }
    /// The work that every sampler does anyway, in one pass: largest, where it is, Σ e^((x − largest) · scale).
    pub(crate) fn softmax(self, x: &[f32], scale: Scale) -> Peak {
        dispatch!(self, softmax(x, scale))
    }
    /// Adds a row to the shapes of its subsets; moments only relative to an origin and in a scale, which are those of the
    /// row's sums.
    pub(crate) fn shapes(self, x: &[f32], moments_of: Option<(f32, Scale)>, parts: &mut Shapes) {
        dispatch!(self, shapes(x, moments_of, parts))
    }
    /// Where a number is found first; `None` if nowhere.
    pub(crate) fn position(self, x: &[f32], value: f32) -> Option<usize> {
        dispatch!(self, position(x, value))
    }
    /// [`Edges::sums`] in single precision.
    pub(crate) fn edge_sums32(
        self,
        edges: &Edges,
        windows: Range<usize>,
        mass: &Numbers<f32>,
        values: &Numbers<f32>,
        out: &mut [f32],
    ) {
        dispatch!(self, edge_sums32(edges, windows, mass, values, out))
    }
    /// [`Edges::sums`] in double precision.
    pub(crate) fn edge_sums64(
        self,
        edges: &Edges,
        windows: Range<usize>,
        mass: &Numbers<f64>,
        values: &Numbers<f64>,
        out: &mut [f64],
    ) {
        dispatch!(self, edge_sums64(edges, windows, mass, values, out))
    }
    /// Scales the largest to `full`, unless it is below `enough`; what is below `least` then is dropped. The factor, if it
    /// is a number.
    pub(crate) fn rescale32(self, values: &mut [f32], full: f32, enough: f32, least: f32) -> Option<f32> {
        dispatch!(self, rescale32(values, full, enough, least))
    }
    /// [`Edges::sums`] of logarithms: the largest instead of the sum.
    pub(crate) fn edge_maxima(
        self,
        edges: &Edges,
        windows: Range<usize>,
        mass: &Numbers<MaxPlus>,
        values: &Numbers<MaxPlus>,
        out: &mut [MaxPlus],
    ) {
        dispatch!(self, edge_maxima(edges, windows, mass, values, out))
    }
    /// [`Edges::meetings`].
    pub(crate) fn edge_meetings(
        self,
        edges: &Edges,
        windows: Range<usize>,
        values: (&[f64], &[f64]),
        labels: &mut [f64],
    ) {
        dispatch!(self, edge_meetings(edges, windows, values, labels))
    }
    /// [`rescale32`](Self::rescale32) in double precision.
    pub(crate) fn rescale64(self, values: &mut [f64], full: f64, enough: f64, least: f64) -> Option<f64> {
        dispatch!(self, rescale64(values, full, enough, least))
    }
}
