//! Sixteen numbers at a time.

use super::loops::LANES;

/// Sixteen floats in registers. Multiplications and additions are fused where the machine can.
pub(super) trait Lanes: Copy {
    /// Whether the machine multiplies and adds at once.
    const FUSED: bool;
    fn splat(x: f32) -> Self;
    /// Hints that the number at `place`, if there is one, and its neighbours will be read soon.
    #[inline(always)]
    fn prefetch(_x: &[f32], _place: usize) {}
    fn load(x: &[f32; LANES]) -> Self;
    fn store(self) -> [f32; LANES];
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// self · factor + addend
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller, of two that are no NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let zero = Self::splat(0.0);
        zero.minus(zero.minus(self).max(zero.minus(other)))
    }
    /// The nearest integer, ties to even.
    fn round(self) -> Self;
    /// 2^self for integers from −126 to 127; 0 for −127.
    fn power_of_two(self) -> Self;
    /// In each lane the number that `places` names for it among the 32 of a pair; `none` where it names none, by its highest
    /// bit.
    #[inline(always)]
    fn pick(pair: [Self; 2], places: &[u8; LANES], none: Self) -> Self {
        let (x, none) = (pair.map(Self::store), none.store());
        let x = x.as_flattened();
        let lane = |i: usize| if places[i] < 0x80 { x[places[i] as usize % (2 * LANES)] } else { none[i] };
        Self::load(&std::array::from_fn(lane))
    }
}
