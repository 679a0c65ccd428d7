//! The numbers that messages are made of: plain floats first, floats with a wide exponent where those underflow.

use super::bands::WIDTH;
use crate::automata::Edge;
use crate::simd::Simd;
use std::f64::consts::{LN_2, LOG2_E};

/// A non-negative number.
pub(super) trait Number: Copy + Send + Sync {
    const ZERO: Self;
    /// What the largest entry of a message is scaled to.
    const FULL: Self;
    /// sum · e^log, for a positive sum.
    fn exp(log: f64, sum: f64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// The product of entries of a forward and a backward message, in a unit of its own.
    fn meet(self, other: Self) -> Self;
    /// self / other; `other` is not zero.
    fn over(self, other: Self) -> f64;
    /// Natural logarithm.
    fn ln(self) -> f64;
    /// Of each state of a tile, the sum over its edges in `bands`, mass · value.
    fn banded(bands: &[Edge], mass: &[Self], values: &[Self]) -> [Self; WIDTH] {
        let mut sums = [Self::ZERO; WIDTH];
        for band in bands {
            let mass = mass[band.label as usize];
            for (sum, &value) in sums.iter_mut().zip(&values[band.target as usize..]) {
                *sum = sum.plus(mass.times(value));
            }
        }
        sums
    }
    /// Scales the largest to [`FULL`](Self::FULL); the logarithm of what all have been divided by. `None` where the result
    /// could be inexact.
    fn rescale(values: &mut [Self]) -> Option<f64>;
    /// Whether `self`, the sum of where the entries of rescaled messages [`meet`](Self::meet), is large enough that no
    /// underflow can have mattered.
    fn sound(self) -> bool;
}

/// Messages use the whole range of the exponent. Their largest entry is rescaled to `FULL` at every position, from no
/// less than `LEAST_SCALE`, and what is below `LEAST` is dropped before it becomes subnormal, which is slow: errors of at
/// most 1e-480 of the largest entry per edge. Where forward and backward messages meet, both are multiplied by `HALF` to
/// stay in range: the largest possible product is 1e280, and what underflows is an error of at most 1e-168. Where the sum
/// of the products is at least `LEAST_MEETING`, one part in 1e390 of what it can be at most, no relative error exceeds
/// 1e-57 per edge and position. Otherwise [`Wide`] numbers take over.
const FULL: f64 = 1e280;
const LEAST_SCALE: f64 = 1e180;
const LEAST: f64 = 1e-300;
const HALF: f64 = 1e-140;
const LEAST_MEETING: f64 = 1e-110;

impl Number for f64 {
    const ZERO: Self = 0.0;
    const FULL: Self = FULL;
    #[inline]
    fn exp(log: f64, sum: f64) -> Self {
        if log == 0.0 { sum } else { log.exp() * sum }
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
    #[inline]
    fn times(self, other: Self) -> Self {
        self * other
    }
    #[inline]
    fn meet(self, other: Self) -> Self {
        (self * HALF) * (other * HALF)
    }
    #[inline]
    fn over(self, other: Self) -> f64 {
        self / other
    }
    #[inline]
    fn ln(self) -> f64 {
        self.ln()
    }
    fn banded(bands: &[Edge], mass: &[Self], values: &[Self]) -> [Self; WIDTH] {
        Simd::best().banded(bands, mass, values)
    }
    #[inline]
    fn rescale(values: &mut [Self]) -> Option<f64> {
        // Lanes of their own, so that the comparisons need not wait for each other.
        let (groups, rest) = values.as_chunks::<8>();
        let lanes = groups.iter().fold([0.0; 8], |max, group| std::array::from_fn(|i| f64::max(max[i], group[i])));
        let largest = lanes.iter().chain(rest).copied().fold(0.0, f64::max);
        if largest < LEAST_SCALE {
            return None;
        }
        let factor = FULL / largest;
        values.iter_mut().for_each(|v| *v = if *v * factor < LEAST { 0.0 } else { *v * factor });
        Some(-factor.ln())
    }
    #[inline]
    fn sound(self) -> bool {
        self >= LEAST_MEETING
    }
}

/// mantissa · 2^exponent with a mantissa in [1, 2), or zero. Never under- or overflows on any canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wide {
    mantissa: f64,
    exponent: i64,
}

impl Wide {
    /// e^x, for any finite x.
    #[inline]
    pub(super) fn power(x: f64) -> Self {
        // What the constant LN_2 lacks of ln 2; it matters for large exponents.
        const LN_2_REST: f64 = 2.319_046_813_846_299_6e-17;
        let exponent = (x * LOG2_E).floor();
        let rest = (-exponent).mul_add(LN_2, x) - exponent * LN_2_REST;
        Self { mantissa: rest.exp(), exponent: exponent as i64 }.carried()
    }

    /// A positive normal float, or zero.
    #[inline]
    pub(super) fn from(value: f64) -> Self {
        if value < f64::MIN_POSITIVE {
            return Self::ZERO;
        }
        let bits = value.to_bits();
        let mantissa = f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52);
        Self { mantissa, exponent: (bits >> 52) as i64 - 1023 }
    }

    #[inline]
    fn carried(self) -> Self {
        match self.mantissa {
            m if m >= 2.0 => Self { mantissa: m * 0.5, exponent: self.exponent + 1 },
            m if m < 1.0 => Self { mantissa: m * 2.0, exponent: self.exponent - 1 },
            _ => self,
        }
    }
}

/// 2^-n for 0 ≤ n ≤ 1022.
#[inline]
fn half_to_the(n: i64) -> f64 {
    f64::from_bits(((1023 - n) as u64) << 52)
}

impl Number for Wide {
    // Far below every other exponent, so that sums need no special case.
    const ZERO: Self = Self { mantissa: 0.0, exponent: i64::MIN / 4 };
    const FULL: Self = Self { mantissa: 1.0, exponent: 0 };
    #[inline]
    fn exp(log: f64, sum: f64) -> Self {
        Self::power(log).times(Self::from(sum))
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        let (large, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = large.exponent - small.exponent;
        if shift > 64 || small.mantissa == 0.0 {
            return large;
        }
        Self { mantissa: large.mantissa + small.mantissa * half_to_the(shift), ..large }.carried()
    }
    #[inline]
    fn times(self, other: Self) -> Self {
        if self.mantissa == 0.0 || other.mantissa == 0.0 {
            return Self::ZERO;
        }
        Self { mantissa: self.mantissa * other.mantissa, exponent: self.exponent + other.exponent }.carried()
    }
    #[inline]
    fn meet(self, other: Self) -> Self {
        self.times(other)
    }
    #[inline]
    fn over(self, other: Self) -> f64 {
        let mantissa = self.mantissa / other.mantissa;
        match self.exponent - other.exponent {
            shift if shift < -1000 => 0.0,
            shift if shift <= 0 => mantissa * half_to_the(-shift),
            shift => mantissa * (shift as f64).exp2(),
        }
    }
    #[inline]
    fn ln(self) -> f64 {
        self.mantissa.ln() + self.exponent as f64 * LN_2
    }
    #[inline]
    fn rescale(_: &mut [Self]) -> Option<f64> {
        Some(0.0)
    }
    #[inline]
    fn sound(self) -> bool {
        true
    }
}
