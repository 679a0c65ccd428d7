//! AVX-512 and AVX2.
#![allow(unsafe_code)]

use super::edges::{Edges, MaxPlus, Numbers};
use super::lanes::Lanes;
use super::lists::Parts;
use super::loops::{self, LANES, Peak, Scale};
use super::shapes::Shapes;
use crate::cpu::{Avx2, Avx512};
use std::arch::x86_64::*;
use std::ops::Range;

/// The loops compiled for a set of instructions, in a module of their own.
macro_rules! compile {
    ($module:ident, $proof:ident, $lanes:ident, $features:literal) => {
        pub(super) mod $module {
            use super::*;

            compile!(@ $proof, $lanes, $features, max(x: &[f32]) -> f32);
            compile!(@ $proof, $lanes, $features, sum_exp(x: &[f32], origin: f32, scale: Scale) -> f64);
            compile!(@ $proof, $lanes, $features, moments(x: &[f32], origin: f32, scale: Scale) -> (f64, f64));
            compile!(@ $proof, $lanes, $features, exp(x: &[f32], origin: f32, scale: Scale, out: &mut [f32]) -> ());
            compile!(@ $proof, $lanes, $features,
                softmax_parts(x: &[f32], scale: Scale, parts: &mut Parts) -> (f32, f64));
            compile!(@ $proof, $lanes, $features, softmax(x: &[f32], scale: Scale) -> Peak);
            compile!(@ $proof, $lanes, $features,
                shapes(x: &[f32], moments_of: Option<(f32, Scale)>, parts: &mut Shapes) -> ());
            compile!(@ $proof, $lanes, $features, position(x: &[f32], value: f32) -> Option<usize>);
            compile!(@ $proof, $lanes, $features,
                edge_sums32(edges: &Edges, windows: Range<usize>, mass: &Numbers<f32>, values: &Numbers<f32>, out: &mut [f32]) -> ());
            compile!(@ $proof, $lanes, $features,
                rescale32(values: &mut [f32], full: f32, enough: f32, least: f32) -> Option<f32>);
            compile!(@ $proof, $lanes, $features,
                edge_sums64(edges: &Edges, windows: Range<usize>, mass: &Numbers<f64>, values: &Numbers<f64>, out: &mut [f64]) -> ());
            compile!(@ $proof, $lanes, $features,
                edge_maxima(
                    edges: &Edges,
                    windows: Range<usize>,
                    mass: &Numbers<MaxPlus>,
                    values: &Numbers<MaxPlus>,
                    out: &mut [MaxPlus]
                ) -> ());
            compile!(@ $proof, $lanes, $features,
                edge_meetings(edges: &Edges, windows: Range<usize>, values: (&[f64], &[f64]), labels: &mut [f64]) -> ());
            compile!(@ $proof, $lanes, $features,
                rescale64(values: &mut [f64], full: f64, enough: f64, least: f64) -> Option<f64>);
        }
    };
    (@ $proof:ident, $lanes:ident, $features:literal,
        $function:ident ( $($name:ident : $kind:ty),* ) -> $result:ty) => {
        pub(in super::super) fn $function(_: $proof, $($name: $kind),*) -> $result {
            #[target_feature(enable = $features)]
            fn compiled($($name: $kind),*) -> $result {
                loops::$function::<$lanes>($($name),*)
            }
            // SAFETY: `compiled` requires these features, and a value of `$proof` exists only where the processor has
            // them.
            unsafe { compiled($($name),*) }
        }
    };
}

compile!(avx512, Avx512, Zmm, "avx512f,fma");
compile!(avx2, Avx2, Ymm, "avx2,fma");

/// Sixteen lanes in one register. Made only inside functions compiled for AVX-512.
#[derive(Clone, Copy)]
struct Zmm(__m512);

// SAFETY, for each block: the instructions are those of AVX-512F. `Zmm` is private to this file, where only `avx512` uses
// it, in functions that require this feature. Loads and stores go through references to sixteen floats, or to the
// sixteen bytes of `places`.
impl Lanes for Zmm {
    const FUSED: bool = true;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    fn prefetch(x: &[f32], place: usize) {
        // SAFETY: a hint, which may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(place).cast()) }
    }
    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    fn pick(pair: [Self; 2], places: &[u8; LANES], none: Self) -> Self {
        unsafe {
            let places = _mm512_cvtepi8_epi32(_mm_loadu_si128(places.as_ptr().cast()));
            let empty = _mm512_cmplt_epi32_mask(places, _mm512_setzero_si512());
            // The five lowest bits choose.
            let picked = _mm512_permutex2var_ps(pair[0].0, places, pair[1].0);
            Self(_mm512_mask_mov_ps(picked, empty, none.0))
        }
    }
}

/// Sixteen lanes in two registers. Made only inside functions compiled for AVX2 and FMA.
#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);

impl Ymm {
    #[inline(always)]
    fn each(self, f: impl Fn(__m256) -> __m256) -> Self {
        Self([f(self.0[0]), f(self.0[1])])
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(__m256, __m256) -> __m256) -> Self {
        Self([f(self.0[0], other.0[0]), f(self.0[1], other.0[1])])
    }
}

// SAFETY, for each block: the instructions are those of AVX2 and FMA. `Ymm` is private to this file, where only `avx2` uses
// it, in functions that require these features. Loads and stores go through references to sixteen floats, eight at a
// time.
impl Lanes for Ymm {
    const FUSED: bool = true;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([unsafe { _mm256_set1_ps(x) }; 2])
    }
    #[inline(always)]
    fn prefetch(x: &[f32], place: usize) {
        // SAFETY: a hint, which may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(place).cast()) }
    }
    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x[8..].as_ptr())] })
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(out[8..].as_mut_ptr(), self.0[1]);
        }
        out
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_add_ps(a, b) })
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_sub_ps(a, b) })
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_mul_ps(a, b) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let half = |i: usize| unsafe { _mm256_fmadd_ps(self.0[i], factor.0[i], addend.0[i]) };
        Self([half(0), half(1)])
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_max_ps(a, b) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        self.each(|a| unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        self.each(|a| unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        })
    }
}
