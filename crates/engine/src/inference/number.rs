//! Number types of messages: plain floats first, and floats with a wide exponent where plain ones underflow.

use super::pool::Pool;
use super::tables::Tables;
use crate::inference::simd::{Edges, MaxPlus, Numbers, Semiring, Simd};
use std::f64::consts::{LN_2, LOG2_E};
use std::ops::Range;

/// A non-negative number.
pub(super) trait Number: Semiring + Send + Sync {
    /// sum · e^log, for a positive sum.
    fn exp(log: f64, sum: f64) -> Self;
    /// Scales an entry of a forward or a backward message so that the product of two scaled entries is in range.
    fn to_meet(self) -> Self;
    /// [`Edges::meetings`] of entries scaled by [`to_meet`](Self::to_meet).
    fn edge_meetings(edges: &Edges, windows: Range<usize>, values: (&[Self], &[Self]), labels: &mut [Self]);
    /// self / other; `other` is not zero.
    fn over(self, other: Self) -> f64;
    /// Natural logarithm.
    fn ln(self) -> f64;
}

/// Numbers whose sums over the edges of many states have an inner loop of their own.
pub(super) trait Summed: Semiring {
    /// [`Edges::sums`].
    fn edge_sums(edges: &Edges, windows: Range<usize>, mass: &Numbers<Self>, values: &Numbers<Self>, out: &mut [Self]);
    /// The memory pool of messages of this type.
    fn pool(tables: &Tables) -> &Pool<Self>;
    /// Scales a message so that its largest entry is a fixed number; returns the logarithm of the divisor. `None` where
    /// the result could be inexact.
    fn rescale(values: &mut [Self]) -> Option<f64>;
}

macro_rules! summed {
    ($number:ty, $sums:ident, $pool:ident, $rescale:expr) => {
        impl Summed for $number {
            fn rescale(values: &mut [Self]) -> Option<f64> {
                $rescale(values)
            }
            fn pool(tables: &Tables) -> &Pool<Self> {
                &tables.pools.$pool
            }
            fn edge_sums(
                edges: &Edges,
                windows: Range<usize>,
                mass: &Numbers<Self>,
                values: &Numbers<Self>,
                out: &mut [Self],
            ) {
                Simd::best().$sums(edges, windows, mass, values, out);
            }
        }
    };
}
summed!(f32, edge_sums32, single, |values| {
    Simd::best().rescale32(values, Self::FULL, 1e4, f32::MIN_POSITIVE).map(|factor| -(factor as f64).ln())
});
summed!(f64, edge_sums64, double, |values| Simd::best()
    .rescale64(values, FULL, ENOUGH, LEAST)
    .map(|factor| -factor.ln()));
// Logarithms need no scale.
summed!(MaxPlus, edge_maxima, logs, |_| Some(0.0));

impl Summed for Wide {
    fn rescale(_: &mut [Self]) -> Option<f64> {
        Some(0.0)
    }
    fn pool(tables: &Tables) -> &Pool<Self> {
        &tables.pools.wide
    }
    fn edge_sums(edges: &Edges, windows: Range<usize>, mass: &Numbers<Self>, values: &Numbers<Self>, out: &mut [Self]) {
        edges.sums(windows, (mass, values), out, false);
    }
}

/// A number in the form in which messages store it.
pub(super) trait Message: Summed + Send + Sync {
    type Number: Number;
    /// The number that the largest entry of a message is scaled to.
    const FULL: Self;
    /// The least logarithm of Σ a · b over the states of a gap, relative to the product of the largest entries of both
    /// messages, at which no underflow can have mattered. `least` is the smallest logarithm that the largest entry of
    /// any message had before it was scaled.
    fn least_meeting(least: f64) -> f64;
    /// The number as an entry; `None` where it would underflow.
    fn of(number: Self::Number) -> Option<Self>;
    fn number(self) -> Self::Number;
}

impl Number for f64 {
    #[inline]
    fn exp(log: f64, sum: f64) -> Self {
        if log == 0.0 { sum } else { log.exp() * sum }
    }
    #[inline]
    fn to_meet(self) -> Self {
        self * HALF
    }
    fn edge_meetings(edges: &Edges, windows: Range<usize>, values: (&[Self], &[Self]), labels: &mut [Self]) {
        Simd::best().edge_meetings(edges, windows, values, labels);
    }
    #[inline]
    fn over(self, other: Self) -> f64 {
        self / other
    }
    #[inline]
    fn ln(self) -> f64 {
        self.ln()
    }
}

/// Messages use the whole range of the exponent. Their largest entry is rescaled to `FULL` at every position, from no
/// less than `ENOUGH`, and what is below `LEAST` is dropped before it becomes subnormal, which is slow: errors of at
/// most 1e-480 of the largest entry per edge. Where forward and backward messages meet, both are multiplied by `HALF` to
/// stay in range: the largest possible product is 1e280, and what underflows is an error of at most 1e-168. Where the sum
/// of the products is at least one part in 1e390 of what it can be at most, no relative error exceeds 1e-57 per edge and
/// position. Otherwise [`Wide`] numbers take over.
const FULL: f64 = 1e280;
const ENOUGH: f64 = 1e180;
const LEAST: f64 = 1e-300;
const HALF: f64 = 1e-140;

impl Message for f64 {
    type Number = f64;
    const FULL: Self = FULL;
    #[inline]
    fn of(number: f64) -> Option<Self> {
        Some(number)
    }
    #[inline]
    fn number(self) -> f64 {
        self
    }
    fn least_meeting(_: f64) -> f64 {
        -898.0
    }
}

/// Single precision takes half the memory and is up to twice as fast; it is tried where there are many states, and serves
/// where scores are not too far apart.
///
/// Entries below 1.2e-38 are dropped; that bound, relative to the largest entry that the message had before it was
/// scaled, is known. Where Σ a · b is at least 1e22 times as much, relative to the product of the largest entries, the
/// relative error from dropping is at most 1e-22 per edge and position. Rounding remains: 6e-8 for each of a few
/// operations per position. A sum can be as large as the largest entry times the number of tokens and states.
impl Message for f32 {
    type Number = f64;
    const FULL: Self = 1e24;
    #[inline]
    fn of(number: f64) -> Option<Self> {
        let message = number as f32;
        (message >= f32::MIN_POSITIVE || number == 0.0).then_some(message)
    }
    #[inline]
    fn number(self) -> f64 {
        self as f64
    }
    fn least_meeting(least: f64) -> f64 {
        (f32::MIN_POSITIVE as f64 * 1e22).ln() - least
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
        // The difference between ln 2 and the constant LN_2, which matters for large exponents.
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

impl Semiring for Wide {
    // Far below every other exponent, so that sums need no special case.
    const ZERO: Self = Self { mantissa: 0.0, exponent: i64::MIN / 4 };
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
}

impl Number for Wide {
    #[inline]
    fn exp(log: f64, sum: f64) -> Self {
        Self::power(log).times(Self::from(sum))
    }
    #[inline]
    fn to_meet(self) -> Self {
        self
    }
    fn edge_meetings(edges: &Edges, windows: Range<usize>, values: (&[Self], &[Self]), labels: &mut [Self]) {
        edges.meetings(windows, values, labels, false);
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
}

impl Message for Wide {
    type Number = Self;
    const FULL: Self = Self { mantissa: 1.0, exponent: 0 };
    #[inline]
    fn of(number: Self) -> Option<Self> {
        Some(number)
    }
    #[inline]
    fn number(self) -> Self {
        self
    }
    fn least_meeting(_: f64) -> f64 {
        f64::NEG_INFINITY
    }
}
