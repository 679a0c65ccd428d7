//! The largest numbers of subsets of a row, and how spread out these are.

use super::lanes::Lanes;
use super::lists::{Lists, RUN, SPAN};
use super::loops::{Aligned, LANES, Scale, each_exp};

/// The two largest numbers x of a subset, the same one twice if it occurs twice, and Σ t·e^t with
/// t = (x − origin) · scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) best: [f32; 2],
    pub(crate) moment: f64,
}

impl Shape {
    /// Of nothing.
    pub(crate) const NONE: Self = Self { best: [f32::NEG_INFINITY; 2], moment: 0.0 };

    #[inline(always)]
    pub(super) fn see(&mut self, x: f32) {
        let [first, second] = self.best;
        self.best = [larger(first, x), larger(second, smaller(first, x))];
    }
}

/// Lists and their shapes, [`Shape::NONE`] before.
#[derive(Debug)]
pub(crate) struct Shapes<'a> {
    pub(crate) lists: &'a Lists,
    pub(crate) shapes: &'a mut [Shape],
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// t·e^t of each number.
#[inline(always)]
fn moments<V: Lanes>(x: &[f32], (origin, scale): (f32, Scale), out: &mut [[f32; LANES]]) {
    // Where e^t is 0 so is t·e^t; −∞ · 0 would not be.
    let (least, factor) = (V::splat(f32::MIN), V::splat(scale.factor()));
    each_exp::<V>(x, origin, scale, |i, t, e| out[i] = least.max(t).times(e).times(factor).store());
}

#[inline(always)]
fn listed<const MOMENTS: bool>(x: &[f32; SPAN], terms: &[f32; SPAN], lists: &Lists, n: usize, shapes: &mut [Shape]) {
    let (segments, mut runs, singles) = lists.span(n);
    for segment in segments {
        let (own, rest) = runs.split_at(segment.runs as usize);
        runs = rest;
        let (mut best, mut sums) = ([[f32::NEG_INFINITY; 2]; RUN], [0.0f32; RUN]);
        for run in own {
            for i in 0..RUN {
                let place = (run >> (16 * i)) as usize % SPAN;
                let [first, second] = best[i];
                best[i] = [larger(first, x[place]), larger(second, smaller(first, x[place]))];
                if MOMENTS {
                    sums[i] += terms[place];
                }
            }
        }
        let shape = &mut shapes[segment.list as usize];
        best.as_flattened().iter().for_each(|&x| shape.see(x));
        shape.moment += sums.map(f64::from).iter().sum::<f64>();
    }
    for single in singles {
        let (shape, place) = (&mut shapes[single.list as usize], single.place as usize % SPAN);
        shape.see(x[place]);
        if MOMENTS {
            shape.moment += terms[place] as f64;
        }
    }
}

/// Adds a row to `parts`; without moments where no origin and scale are given.
#[inline(always)]
pub(super) fn shapes<V: Lanes>(x: &[f32], moments_of: Option<(f32, Scale)>, parts: &mut Shapes) {
    let Shapes { lists, shapes } = parts;
    let mut values = Aligned([[f32::NEG_INFINITY; LANES]; SPAN / LANES]);
    let mut terms = Aligned([[0.0; LANES]; SPAN / LANES]);
    let mut taken = [0.0; SPAN];
    for (n, span) in x.chunks(SPAN).enumerate() {
        let span = lists.take(n, span, &mut taken);
        if let Some(of) = moments_of {
            moments::<V>(span, of, &mut terms.0);
        }
        let values = match span.as_chunks::<LANES>() {
            (full, []) if full.len() == SPAN / LANES => full,
            _ => {
                values.0.as_flattened_mut()[..span.len()].copy_from_slice(span);
                &values.0[..]
            }
        };
        let (Ok(all), Ok(all_terms)) = (values.as_flattened().try_into(), terms.0.as_flattened().try_into()) else {
            continue;
        };
        match moments_of {
            Some(_) => {
                lists.picks(n).add_shapes::<V, true>(values, &terms.0, shapes);
                listed::<true>(all, all_terms, lists, n, shapes);
            }
            None => {
                lists.picks(n).add_shapes::<V, false>(values, &terms.0, shapes);
                listed::<false>(all, all_terms, lists, n, shapes);
            }
        }
    }
}

/// Where a number is found first; `None` if nowhere.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
pub(super) fn position<V>(x: &[f32], value: f32) -> Option<usize> {
    let (blocks, rest) = x.as_chunks::<{ 4 * LANES }>();
    for (n, block) in blocks.iter().enumerate() {
        if block.iter().fold(false, |found, &x| found | (x == value)) {
            return Some(n * 4 * LANES + block.iter().position(|&x| x == value)?);
        }
    }
    Some(x.len() - rest.len() + rest.iter().position(|&x| x == value)?)
}
