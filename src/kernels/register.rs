//! SIMD registers: vectors of f32 for each instruction set.
#![allow(unsafe_code)]

use std::array;

/// Maximum number of lanes of any register.
pub(super) const MOST: usize = 16;

/// A vector of f32 in one register.
///
/// The constructors require a proof that the processor has the instructions; all other vectors are made from vectors.
/// The functions are inlined into code that is compiled for these instructions.
pub(super) trait Register: Copy {
    /// A proof: a value exists only if the processor has the instructions.
    type Proof: Copy + Send + Sync;
    const COUNT: usize;
    fn splat(proof: Self::Proof, x: f32) -> Self;
    /// # Safety
    /// The caller must ensure that `COUNT` numbers can be read from `from`.
    unsafe fn load(proof: Self::Proof, from: *const f32) -> Self;
    /// # Safety
    /// The caller must ensure that `COUNT` numbers can be written to `to`.
    unsafe fn store(self, to: *mut f32);
    /// Loads the first `count` numbers; later lanes are zeros.
    ///
    /// # Safety
    /// The caller must ensure that `count` numbers can be read from `from`.
    unsafe fn load_first(proof: Self::Proof, from: *const f32, count: usize) -> Self;
    /// Stores the first `count` lanes.
    ///
    /// # Safety
    /// The caller must ensure that `count` is at most `COUNT`, and that `count` numbers can be written to `to`.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// self·factor + sum.
    fn multiply_add(self, factor: Self, sum: Self) -> Self;
    /// Transposes the square matrix in as many vectors as there are lanes.
    fn transpose(rows: &mut [Self; MOST]);
}

/// The portable register.
impl Register for [f32; 4] {
    type Proof = ();
    const COUNT: usize = 4;
    #[inline(always)]
    fn splat((): (), x: f32) -> Self {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load((): (), from: *const f32) -> Self {
        // SAFETY: the caller says that four numbers can be read.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller says that four numbers can be written.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn load_first((): (), from: *const f32, count: usize) -> Self {
        // SAFETY: the caller says that `count` numbers can be read.
        array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (i, x) in self.into_iter().enumerate().take(count) {
            // SAFETY: the caller says that `count` numbers can be written.
            unsafe { *to.add(i) = x }
        }
    }
    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        // Without the instruction, a fused multiplication would be a function call.
        const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        array::from_fn(|i| if FUSED { self[i].mul_add(factor[i], sum[i]) } else { self[i] * factor[i] + sum[i] })
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self; MOST]) {
        let [a, b, c, d, ..] = *rows;
        for (i, row) in rows.iter_mut().enumerate().take(4) {
            *row = [a[i], b[i], c[i], d[i]];
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Ymm, Zmm};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{MOST, Register};
    use std::{arch::x86_64::*, array};
    use stencil_engine::cpu::{Avx2, Avx512};

    /// Eight lanes. The field is private, so every value was made from a proof.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(in super::super) struct Ymm(__m256);

    // SAFETY, for each block: a value of `Avx2` or of `Ymm` exists only where the processor has AVX2 and FMA, which these
    // instructions belong to; of pointers the caller says what the trait requires.
    impl Register for Ymm {
        type Proof = Avx2;
        const COUNT: usize = 8;
        #[inline(always)]
        fn splat(_: Avx2, x: f32) -> Self {
            Self(unsafe { _mm256_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(_: Avx2, from: *const f32) -> Self {
            Self(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn load_first(_: Avx2, from: *const f32, count: usize) -> Self {
            Self(unsafe { _mm256_maskload_ps(from, first(count)) })
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, first(count), self.0) }
        }
        #[inline(always)]
        fn multiply_add(self, factor: Self, sum: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, sum.0) })
        }
        #[inline(always)]
        fn transpose(rows: &mut [Self; MOST]) {
            // Transposes 4 × 4 within each half of the lanes, then exchanges the halves.
            let four = |rows: &[Self]| unsafe {
                let (ab, ab_high) =
                    (_mm256_unpacklo_ps(rows[0].0, rows[1].0), _mm256_unpackhi_ps(rows[0].0, rows[1].0));
                let (cd, cd_high) =
                    (_mm256_unpacklo_ps(rows[2].0, rows[3].0), _mm256_unpackhi_ps(rows[2].0, rows[3].0));
                [
                    _mm256_shuffle_ps::<0x44>(ab, cd),
                    _mm256_shuffle_ps::<0xee>(ab, cd),
                    _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
                ]
            };
            let (upper, lower) = (four(&rows[..4]), four(&rows[4..8]));
            for i in 0..4 {
                rows[i] = Self(unsafe { _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]) });
                rows[4 + i] = Self(unsafe { _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]) });
            }
        }
    }

    /// A mask of ones in the first `count` lanes.
    ///
    /// # Safety
    /// The caller must ensure that the processor has AVX2.
    #[inline(always)]
    unsafe fn first(count: usize) -> __m256i {
        // SAFETY: the caller says that the processor has AVX2.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    /// Sixteen lanes. The field is private, so every value was made from a proof.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(in super::super) struct Zmm(__m512);

    // SAFETY, for each block: a value of `Avx512` or of `Zmm` exists only where the processor has AVX-512F, which these
    // instructions belong to; of pointers the caller says what the trait requires.
    impl Register for Zmm {
        type Proof = Avx512;
        const COUNT: usize = 16;
        #[inline(always)]
        fn splat(_: Avx512, x: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(_: Avx512, from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn load_first(_: Avx512, from: *const f32, count: usize) -> Self {
            Self(unsafe { _mm512_maskz_loadu_ps(mask(count), from) })
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, mask(count), self.0) }
        }
        #[inline(always)]
        fn multiply_add(self, factor: Self, sum: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
        }
        #[inline(always)]
        fn transpose(rows: &mut [Self; MOST]) {
            let pairs = |a, b| unsafe { (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)) };
            let doubles = |a, b| unsafe {
                let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
                (_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
            };
            let even = |a, b| unsafe { _mm512_shuffle_f32x4::<0x88>(a, b) };
            let odd = |a, b| unsafe { _mm512_shuffle_f32x4::<0xdd>(a, b) };
            // Transposes 4 × 4 within each quarter of the lanes.
            for four in rows.as_chunks_mut::<4>().0 {
                let [Self(a), Self(b), Self(c), Self(d)] = *four;
                let ((a, b), (c, d)) = (pairs(a, b), pairs(c, d));
                let ((w, x), (y, z)) = (doubles(a, c), doubles(b, d));
                *four = [Self(w), Self(x), Self(y), Self(z)];
            }
            // Then exchanges the quarters.
            let old = *rows;
            for i in 0..4 {
                let [a, b, c, d] = array::from_fn(|q| old[4 * q + i].0);
                rows[i] = Self(even(even(a, b), even(c, d)));
                rows[4 + i] = Self(even(odd(a, b), odd(c, d)));
                rows[8 + i] = Self(odd(even(a, b), even(c, d)));
                rows[12 + i] = Self(odd(odd(a, b), odd(c, d)));
            }
        }
    }

    /// A mask of the first `count` lanes.
    #[inline(always)]
    fn mask(count: usize) -> __mmask16 {
        if count >= MOST { !0 } else { (1 << count) - 1 }
    }
}
