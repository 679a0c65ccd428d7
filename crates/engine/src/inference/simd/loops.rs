//! The loops, written once for any kind of lanes.

use super::edges::{Edges, MaxPlus, Numbers, rescale};
use super::lanes::Lanes;
use super::lists::{Parts, RUN, Segment, Single};
pub(super) use super::shapes::{position, shapes};
use std::ops::Range;

/// Numbers handled at a time.
pub(crate) const LANES: usize = 16;

/// Numbers that are looked at again and again while they are in the nearest cache; a multiple of [`LANES`].
const BLOCK: usize = 2048;

/// Numbers whose lists are summed together; a multiple of [`BLOCK`]. Lists are short: the longer the span, the less often
/// the end of one has to be foreseen.
pub(super) const SPAN: usize = 4096;

/// Σ of fewer terms than this are exact enough in single precision.
const PARTS: usize = 4;

/// A positive factor, ready for the exponential.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    factor: f32,
    /// factor · log₂ e, in two parts.
    high: f32,
    low: f32,
    /// Below this e^(t · factor) is 0.
    lowest: f32,
}

impl Scale {
    pub(super) fn factor(self) -> f32 {
        self.factor
    }
    pub(crate) fn new(factor: f64) -> Self {
        let exact = (factor * std::f64::consts::LOG2_E).clamp(1e-30, 1e30);
        let high = exact as f32;
        Self { factor: factor as f32, high, low: (exact - high as f64) as f32, lowest: -127.0 / high }
    }
}

/// The largest number of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peak {
    pub(crate) value: f32,
    pub(crate) index: usize,
    /// Σ e^((x − value) · scale)
    pub(crate) sum: f64,
}

/// 2^f for |f| ≤ ½: of the polynomials that are 1 at 0 the one with the least relative error, 9.2e-8.
// The least error needs a coefficient near to ln 2, not ln 2.
#[allow(clippy::approx_constant)]
const POLYNOMIAL: [f32; 6] = [1.0, 0.693_147, 0.240_222_42, 0.055_507_336, 0.009_671_513, 0.001_326_472_7];

/// e^(t · scale) for t ≤ 0; NaN of NaN.
#[inline(always)]
fn exp_lanes<V: Lanes>(t: V, scale: Scale) -> V {
    let t = V::splat(scale.lowest).max(t);
    let n = t.times(V::splat(scale.high)).round();
    let f = t.mul_add(V::splat(scale.high), V::splat(0.0).minus(n));
    let f = t.mul_add(V::splat(scale.low), f);
    let mut sum = V::splat(POLYNOMIAL[5]);
    for i in (0..5).rev() {
        sum = sum.mul_add(f, V::splat(POLYNOMIAL[i]));
    }
    sum.times(n.power_of_two())
}

#[inline(always)]
fn total<V: Lanes>(parts: [V; PARTS]) -> f64 {
    let lanes = parts[0].plus(parts[1]).plus(parts[2].plus(parts[3])).store();
    let mut sums = [0.0; 4];
    for four in lanes.as_chunks::<4>().0 {
        for i in 0..4 {
            sums[i] += four[i] as f64;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// The rest of a row, filled up to sixteen.
#[inline(always)]
fn padded(rest: &[f32], with: f32) -> [f32; LANES] {
    let mut full = [with; LANES];
    full[..rest.len()].copy_from_slice(rest);
    full
}

#[inline(always)]
pub(super) fn max<V: Lanes>(x: &[f32]) -> f32 {
    let mut parts = [V::splat(f32::NEG_INFINITY); PARTS];
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (groups, single) = chunks.as_chunks::<PARTS>();
    for group in groups {
        for (part, chunk) in parts.iter_mut().zip(group) {
            *part = V::load(chunk).max(*part);
        }
    }
    for chunk in single {
        parts[0] = V::load(chunk).max(parts[0]);
    }
    if !rest.is_empty() {
        parts[1] = V::load(&padded(rest, f32::NEG_INFINITY)).max(parts[1]);
    }
    let lanes = parts[0].max(parts[1]).max(parts[2].max(parts[3])).store();
    lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Σ e^((x − origin) · scale) of a block; each of them goes to `out`. Meanwhile `ahead` is fetched, as much as `x` has.
#[inline(always)]
fn exp_block<V: Lanes>(x: &[f32], origin: f32, scale: Scale, out: &mut [[f32; LANES]], ahead: &[f32]) -> f64 {
    let from = V::splat(origin);
    let mut parts = [V::splat(0.0); PARTS];
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (groups, single) = chunks.as_chunks::<PARTS>();
    for (n, (group, out)) in groups.iter().zip(out.as_chunks_mut::<PARTS>().0).enumerate() {
        for i in 0..PARTS {
            V::prefetch(ahead, (n * PARTS + i) * LANES);
            let e = exp_lanes(V::load(&group[i]).minus(from), scale);
            out[i] = e.store();
            parts[i] = parts[i].plus(e);
        }
    }
    let last = padded(rest, f32::NEG_INFINITY);
    let last = single.iter().chain((!rest.is_empty()).then_some(&last));
    for ((chunk, out), part) in last.zip(&mut out[groups.len() * PARTS..]).zip(&mut parts) {
        let e = exp_lanes(V::load(chunk).minus(from), scale);
        *out = e.store();
        *part = part.plus(e);
    }
    total(parts)
}

/// Calls `visit` with the exponentials of sixteen numbers at a time, and with which of them.
#[inline(always)]
pub(super) fn each_exp<V: Lanes>(x: &[f32], origin: f32, scale: Scale, mut visit: impl FnMut(usize, V, V)) {
    let origin = V::splat(origin);
    let (chunks, rest) = x.as_chunks::<LANES>();
    for (i, chunk) in chunks.iter().enumerate() {
        let t = V::load(chunk).minus(origin);
        visit(i, t, exp_lanes(t, scale));
    }
    if !rest.is_empty() {
        let t = V::load(&padded(rest, f32::NEG_INFINITY)).minus(origin);
        visit(chunks.len(), t, exp_lanes(t, scale));
    }
}

#[inline(always)]
pub(super) fn sum_exp<V: Lanes>(x: &[f32], origin: f32, scale: Scale) -> f64 {
    let mut sum = 0.0;
    for block in x.chunks(BLOCK) {
        let mut parts = [V::splat(0.0); PARTS];
        each_exp::<V>(block, origin, scale, |i, _, e| parts[i % PARTS] = parts[i % PARTS].plus(e));
        sum += total(parts);
    }
    sum
}

#[inline(always)]
pub(super) fn moments<V: Lanes>(x: &[f32], origin: f32, scale: Scale) -> (f64, f64) {
    let (mut sum, mut first) = (0.0, 0.0);
    for block in x.chunks(BLOCK) {
        let (mut sums, mut firsts) = ([V::splat(0.0); PARTS], [V::splat(0.0); PARTS]);
        // Where e^t is 0 so is t·e^t; −∞ · 0 would not be.
        let least = V::splat(f32::MIN);
        each_exp::<V>(block, origin, scale, |i, t, e| {
            sums[i % PARTS] = sums[i % PARTS].plus(e);
            firsts[i % PARTS] = least.max(t).mul_add(e, firsts[i % PARTS]);
        });
        sum += total(sums);
        first += total(firsts);
    }
    (sum, first * scale.factor as f64)
}

#[inline(always)]
pub(super) fn exp<V: Lanes>(x: &[f32], origin: f32, scale: Scale, out: &mut [f32]) {
    each_exp::<V>(x, origin, scale, |i, _, e| {
        let e = e.store();
        let out = &mut out[i * LANES..];
        let n = out.len().min(LANES);
        out[..n].copy_from_slice(&e[..n]);
    });
}

/// Where lanes do not cross the lines of the cache.
#[repr(align(64))]
pub(super) struct Aligned<T>(pub(super) T);

/// Moves the origin of sums to a larger number, if it is larger.
#[inline(always)]
fn raise(largest: &mut f32, block: f32, scale: Scale, mut rescale: impl FnMut(f64)) {
    if block > *largest {
        if *largest > f32::NEG_INFINITY {
            rescale(((*largest as f64 - block as f64) * scale.factor as f64).exp());
        }
        *largest = block;
    }
}

/// Adds the numbers that each list names in a span to its sum.
#[inline(always)]
fn listed_sums(x: &[f32; SPAN], (segments, mut runs, singles): (&[Segment], &[u64], &[Single]), sums: &mut [f64]) {
    for segment in segments {
        let (own, rest) = runs.split_at(segment.runs as usize);
        runs = rest;
        let mut parts = [0.0f32; RUN];
        for run in own {
            for i in 0..RUN {
                parts[i] += x[(run >> (16 * i)) as usize % SPAN];
            }
        }
        let [a, b, c, d] = parts.map(f64::from);
        sums[segment.list as usize] += (a + b) + (c + d);
    }
    for single in singles {
        sums[single.list as usize] += x[single.place as usize % SPAN] as f64;
    }
}

#[inline(always)]
pub(super) fn softmax_parts<V: Lanes>(x: &[f32], scale: Scale, parts: &mut Parts) -> (f32, f64) {
    let Parts { lists, sums } = parts;
    let (mut largest, mut all) = (f32::NEG_INFINITY, 0.0);
    let (mut exps, mut taken) = (Aligned([[0.0; LANES]; SPAN / LANES]), [0.0; SPAN]);
    let exps = &mut exps.0;
    for (n, span) in x.chunks(SPAN).enumerate() {
        let span = lists.take(n, span, &mut taken);
        raise(&mut largest, max::<V>(span), scale, |factor| {
            all *= factor;
            sums.iter_mut().for_each(|sum| *sum *= factor);
        });
        let origin = if largest > f32::NEG_INFINITY { largest } else { 0.0 };
        let next = if lists.alone() { &[] } else { x.get((n + 1) * SPAN..).unwrap_or_default() };
        for (b, (block, exps)) in span.chunks(BLOCK).zip(exps.chunks_mut(BLOCK / LANES)).enumerate() {
            all += exp_block::<V>(block, origin, scale, exps, next.get(b * BLOCK..).unwrap_or_default());
        }
        lists.picks(n).add_sums::<V>(exps, sums);
        if let Ok(exps) = exps.as_flattened().try_into() {
            listed_sums(exps, lists.span(n), sums);
        }
    }
    (largest, all)
}

#[inline(always)]
pub(super) fn softmax<V: Lanes>(x: &[f32], scale: Scale) -> Peak {
    let (mut largest, mut sum, mut at) = (f32::NEG_INFINITY, 0.0, 0);
    for (n, block) in x.chunks(BLOCK).enumerate() {
        let before = largest;
        raise(&mut largest, max::<V>(block), scale, |factor| sum *= factor);
        if largest > before {
            at = n;
        }
        let origin = if largest > f32::NEG_INFINITY { largest } else { 0.0 };
        let mut parts = [V::splat(0.0); PARTS];
        each_exp::<V>(block, origin, scale, |i, _, e| parts[i % PARTS] = parts[i % PARTS].plus(e));
        sum += total(parts);
    }
    let block = &x[(at * BLOCK).min(x.len())..];
    let index = at * BLOCK + block.iter().take(BLOCK).position(|&value| value == largest).unwrap_or(0);
    Peak { value: largest, index, sum }
}

/// Loops that leave the lanes to the compiler.
macro_rules! edge_sums {
    ($semiring:ty, $sums:ident) => {
        #[inline(always)]
        pub(super) fn $sums<V: Lanes>(
            edges: &Edges,
            windows: Range<usize>,
            mass: &Numbers<$semiring>,
            values: &Numbers<$semiring>,
            out: &mut [$semiring],
        ) {
            edges.sums(windows, (mass, values), out, V::FUSED);
        }
    };
}
edge_sums!(f32, edge_sums32);
edge_sums!(f64, edge_sums64);
edge_sums!(MaxPlus, edge_maxima);

#[inline(always)]
pub(super) fn edge_meetings<V: Lanes>(
    edges: &Edges,
    windows: Range<usize>,
    values: (&[f64], &[f64]),
    labels: &mut [f64],
) {
    edges.meetings(windows, values, labels, V::FUSED);
}

macro_rules! rescale {
    ($float:ty, $rescale:ident) => {
        #[allow(clippy::extra_unused_type_parameters)]
        #[inline(always)]
        pub(super) fn $rescale<V>(
            values: &mut [$float],
            full: $float,
            enough: $float,
            least: $float,
        ) -> Option<$float> {
            rescale(values, full, enough, least)
        }
    };
}
rescale!(f32, rescale32);
rescale!(f64, rescale64);
