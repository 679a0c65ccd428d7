//! The numbers that messages are made of: plain floats first, floats with a wide exponent where those underflow.

use std::f64::consts::{LN_2, LOG2_E};

/// A non-negative number.
pub(super) trait Number: Copy + Send + Sync {
    const ZERO: Self;
    const ONE: Self;
    /// sum · e^log, for a positive sum.
    fn exp(log: f64, sum: f64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// self / other; `other` is not zero.
    fn over(self, other: Self) -> f64;
    /// Natural logarithm.
    fn ln(self) -> f64;
    /// Divides by the largest, whose logarithm is returned; `None` where the result could be inexact.
    fn rescale(values: &mut [Self]) -> Option<f64>;
    /// Whether `self` = Σ aᵢ bᵢ of rescaled messages is large enough that no underflow can have mattered.
    fn sound(self) -> bool;
}

/// Messages are rescaled to a largest entry of 1 at every position, from no less than `LEAST_SCALE`. What underflows
/// (below about 1e-307) then is an absolute error of at most 1e-207 per edge in a message, and of as much in the mass
/// of all paths, Σ a b, in the same units, since b ≤ 1. Where that mass is at least `LEAST_MASS`, no relative error
/// exceeds 1e-57 per edge and position. Otherwise [`Wide`] numbers take over.
const LEAST_SCALE: f64 = 1e-100;
const LEAST_MASS: f64 = 1e-150;

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline]
    fn exp(log: f64, sum: f64) -> Self {
        log.exp() * sum
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
    fn over(self, other: Self) -> f64 {
        self / other
    }
    #[inline]
    fn ln(self) -> f64 {
        self.ln()
    }
    fn rescale(values: &mut [Self]) -> Option<f64> {
        let largest = values.iter().copied().fold(0.0, f64::max);
        if largest < LEAST_SCALE {
            return None;
        }
        let factor = 1.0 / largest;
        values.iter_mut().for_each(|v| *v *= factor);
        Some(largest.ln())
    }
    #[inline]
    fn sound(self) -> bool {
        self >= LEAST_MASS
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
    pub(super) fn power(x: f64) -> Self {
        // What the constant LN_2 lacks of ln 2; it matters for large exponents.
        const LN_2_REST: f64 = 2.319_046_813_846_299_6e-17;
        let exponent = (x * LOG2_E).floor();
        let rest = (-exponent).mul_add(LN_2, x) - exponent * LN_2_REST;
        Self { mantissa: rest.exp(), exponent: exponent as i64 }.carried()
    }

    /// A positive normal float, or zero.
    pub(super) fn from(value: f64) -> Self {
        if value < f64::MIN_POSITIVE {
            return Self::ZERO;
        }
        let bits = value.to_bits();
        let mantissa = f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52);
        Self { mantissa, exponent: (bits >> 52) as i64 - 1023 }
    }

    fn carried(self) -> Self {
        match self.mantissa {
            m if m >= 2.0 => Self { mantissa: m * 0.5, exponent: self.exponent + 1 },
            m if m < 1.0 => Self { mantissa: m * 2.0, exponent: self.exponent - 1 },
            _ => self,
        }
    }
}

/// 2^-n for 0 ≤ n ≤ 1022.
fn half_to_the(n: i64) -> f64 {
    f64::from_bits(((1023 - n) as u64) << 52)
}

impl Number for Wide {
    // Far below every other exponent, so that sums need no special case.
    const ZERO: Self = Self { mantissa: 0.0, exponent: i64::MIN / 4 };
    const ONE: Self = Self { mantissa: 1.0, exponent: 0 };
    fn exp(log: f64, sum: f64) -> Self {
        Self::power(log).times(Self::from(sum))
    }
    fn plus(self, other: Self) -> Self {
        let (large, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = large.exponent - small.exponent;
        if shift > 64 || small.mantissa == 0.0 {
            return large;
        }
        Self { mantissa: large.mantissa + small.mantissa * half_to_the(shift), ..large }.carried()
    }
    fn times(self, other: Self) -> Self {
        if self.mantissa == 0.0 || other.mantissa == 0.0 {
            return Self::ZERO;
        }
        Self { mantissa: self.mantissa * other.mantissa, exponent: self.exponent + other.exponent }.carried()
    }
    fn over(self, other: Self) -> f64 {
        let mantissa = self.mantissa / other.mantissa;
        match self.exponent - other.exponent {
            shift if shift < -1000 => 0.0,
            shift if shift <= 0 => mantissa * half_to_the(-shift),
            shift => mantissa * (shift as f64).exp2(),
        }
    }
    fn ln(self) -> f64 {
        self.mantissa.ln() + self.exponent as f64 * LN_2
    }
    fn rescale(_: &mut [Self]) -> Option<f64> {
        Some(0.0)
    }
    fn sound(self) -> bool {
        true
    }
}
