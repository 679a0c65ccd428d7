//! Lanes as a plain array: for every machine, and for the compiler to vectorise.

use super::lanes::Lanes;
use super::loops::LANES;

#[derive(Clone, Copy)]
pub(super) struct Array([f32; LANES]);

#[inline(always)]
fn zip(a: Array, b: Array, f: impl Fn(f32, f32) -> f32) -> Array {
    Array(std::array::from_fn(|i| f(a.0[i], b.0[i])))
}

impl Lanes for Array {
    const FUSED: bool = false;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(*x)
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        self.0
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        zip(self, other, |a, b| a + b)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        zip(self, other, |a, b| a - b)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        zip(self, other, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not fused: without the instruction that would be a call for each number.
        self.times(factor).plus(addend)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        zip(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5·2²³ leaves no room for a fraction.
        const ROUND: f32 = 12_582_912.0;
        Self(self.0.map(|x| (x + ROUND) - ROUND))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23)))
    }
}
