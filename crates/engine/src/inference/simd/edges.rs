//! Sums over the edges of many states at once.

use super::loops::LANES;
use crate::automata::Edge;
use std::ops::Range;

/// States that are looked at together; a multiple of [`LANES`].
pub(crate) const WINDOW: usize = 256;
const TILES: usize = WINDOW / LANES;
/// Tiles that are looked at together where they are alike.
const STRIP: usize = 4;
/// Edges of a state come in groups, and two groups are added side by side.
const GROUP: usize = 2;

/// As many numbers as a place of sixteen bits can name, and those beside the last: no place need be checked.
pub(crate) type Numbers<S> = [S; NUMBERS];
pub(crate) const NUMBERS: usize = (1 << 16) + STRIP * LANES;

/// What can be added and multiplied.
pub(crate) trait Semiring: Copy {
    const ZERO: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// self + a · b, rounded once if the machine can: where it is `fused`.
    #[inline(always)]
    fn plus_product(self, a: Self, b: Self, _fused: bool) -> Self {
        self.plus(a.times(b))
    }
}

/// Floating-point numbers.
pub(crate) trait Float: Semiring + PartialOrd {
    fn over(self, other: Self) -> Self;
}

macro_rules! float {
    ($float:ty) => {
        impl Semiring for $float {
            const ZERO: Self = 0.0;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn plus_product(self, a: Self, b: Self, fused: bool) -> Self {
                if fused { a.mul_add(b, self) } else { self + a * b }
            }
        }
        impl Float for $float {
            #[inline(always)]
            fn over(self, other: Self) -> Self {
                self / other
            }
        }
    };
}
float!(f32);
float!(f64);

/// A logarithm, in the semiring of maxima and sums: the largest product instead of the sum of products.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct MaxPlus(pub(crate) f64);

impl Semiring for MaxPlus {
    const ZERO: Self = Self(f64::NEG_INFINITY);
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// The edges at the states of a graph, laid out to be summed over.
///
/// A counter in the constraint, say that of a repetition, makes many states whose edges lie side by side: the edges of
/// q + 1 lead one state further than those of q, with the same labels. Where [`LANES`] states in a row have such an
/// edge, it is one *band*. Long repetitions make strips of several tiles with the same bands, whose masses are looked up
/// once. What is left is kept in groups, the states of a window by how many groups they have, so that
/// the end of a state's edges can be foreseen.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Where the bands of each tile of [`LANES`] states begin.
    first_band: Vec<u32>,
    /// The other end is that of the tile's first state.
    bands: Vec<Places>,
    /// Of each strip, whether all tiles have the bands of the first.
    alike: Vec<bool>,
    /// Where the rows and the groups of each window begin.
    windows: Vec<(u32, u32)>,
    rows: Vec<Row>,
    groups: Vec<[Places; GROUP]>,
}

/// An edge: the place of its label's mass, and above it that of the other end's value, in one word.
#[derive(Debug, Clone, Copy)]
struct Places(u32);

impl Places {
    fn new(label: u32, end: u32) -> Self {
        Self(end << 16 | label)
    }
    #[inline(always)]
    fn mass<S: Copy>(self, mass: &Numbers<S>) -> S {
        mass[self.label()]
    }
    #[inline(always)]
    fn label(self) -> usize {
        self.0 as usize % (1 << 16)
    }
    #[inline(always)]
    fn end(self) -> usize {
        (self.0 >> 16) as usize
    }
    /// The edges of the same band in some tiles, one behind the other.
    #[inline(always)]
    fn add<S: Semiring, const TILES: usize>(
        self,
        sums: &mut [[S; LANES]; TILES],
        (mass, values): (&Numbers<S>, &Numbers<S>),
        fused: bool,
    ) {
        let (mass, values) = (self.mass(mass), &values[self.end()..][..TILES * LANES]);
        for (sums, values) in sums.iter_mut().zip(values.as_chunks::<LANES>().0) {
            for i in 0..LANES {
                sums[i] = sums[i].plus_product(mass, values[i], fused);
            }
        }
    }
    /// The same some states further.
    fn moved(self, by: usize) -> Option<u32> {
        self.0.checked_add((by as u32) << 16)
    }
}

/// A state with edges in no band, by its place in the window, and the number of their groups.
#[derive(Debug, Clone, Copy)]
struct Row {
    place: u32,
    groups: u32,
}

impl Edges {
    /// `edges`: those at a state, each with the state at its other end. A label beyond `labels` is used, whose mass is 0.
    /// `None` where there are too many states or labels.
    pub(crate) fn new<'a>(states: usize, labels: usize, edges: impl Fn(u32) -> &'a [Edge]) -> Option<Self> {
        if states.max(labels + 1) > 1 << 16 {
            return None;
        }
        let mut new = Self { first_band: vec![0], windows: vec![(0, 0)], ..Self::default() };
        let mut tile: Vec<(i64, u32, u32)> = Vec::new();
        for window in (0..states.next_multiple_of(WINDOW)).step_by(WINDOW) {
            let mut single = vec![Vec::new(); WINDOW];
            for start in (window..window + WINDOW).step_by(LANES) {
                tile.clear();
                for q in start as u32..states.min(start + LANES) as u32 {
                    tile.extend(edges(q).iter().map(|edge| (edge.target as i64 - q as i64, edge.label, q)));
                }
                tile.sort_unstable();
                for alike in tile.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                    let (by, label, _) = alike[0];
                    let edge = |q: u32| Places::new(label, (q as i64 + by) as u32);
                    match alike.len() {
                        LANES => new.bands.push(edge(start as u32)),
                        _ => alike.iter().for_each(|&(_, _, q)| single[q as usize - window].push(edge(q))),
                    }
                }
                new.first_band.push(new.bands.len() as u32);
            }
            for first in (window / LANES..(window + WINDOW) / LANES).step_by(STRIP) {
                let bands = |tile: usize, by| new.bands(tile).iter().map(move |band| band.moved(by));
                let like = |i: usize| bands(first, i * LANES).eq(bands(first + i, 0));
                let alike = (1..STRIP).all(like);
                new.alike.push(alike);
            }
            let mut rows: Vec<(u32, Vec<Places>)> = (0..).zip(single).collect();
            rows.retain(|(_, edges)| !edges.is_empty());
            rows.sort_by_key(|(_, edges)| edges.len().div_ceil(GROUP));
            for (place, mut edges) in rows {
                edges.sort_unstable_by_key(|edge| edge.end());
                edges.resize(edges.len().next_multiple_of(GROUP), Places::new(labels as u32, 0));
                let groups = edges.as_chunks().0;
                new.rows.push(Row { place, groups: groups.len() as u32 });
                new.groups.extend(groups);
            }
            new.windows.push((new.rows.len() as u32, new.groups.len() as u32));
        }
        Some(new)
    }

    /// Bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let bands = size_of_val(&*self.first_band) + size_of_val(&*self.bands) + self.alike.len();
        bands + size_of_val(&*self.windows) + size_of_val(&*self.rows) + size_of_val(&*self.groups)
    }

    #[inline(always)]
    fn bands(&self, tile: usize) -> &[Places] {
        &self.bands[self.first_band[tile] as usize..self.first_band[tile + 1] as usize]
    }
    #[inline(always)]
    fn rows(&self, window: usize) -> (&[Row], &[[Places; GROUP]]) {
        let [from, to] = [self.windows[window], self.windows[window + 1]];
        (&self.rows[from.0 as usize..to.0 as usize], &self.groups[from.1 as usize..to.1 as usize])
    }

    /// Of each state in `windows`, the sum over its edges, mass of the label · value of the other end, to `out`. `fused`:
    /// the machine multiplies and adds at once.
    #[inline(always)]
    pub(crate) fn sums<S: Semiring>(
        &self,
        windows: Range<usize>,
        (mass, values): (&Numbers<S>, &Numbers<S>),
        out: &mut [S],
        fused: bool,
    ) {
        for (window, out) in windows.zip(out.chunks_exact_mut(WINDOW)) {
            let strips = out.as_chunks_mut::<LANES>().0.as_chunks_mut::<STRIP>().0;
            for (strip, out) in (window * TILES / STRIP..).zip(strips) {
                if self.alike[strip] {
                    let mut sums = [[S::ZERO; LANES]; STRIP];
                    for band in self.bands(strip * STRIP) {
                        band.add(&mut sums, (mass, values), fused);
                    }
                    *out = sums;
                    continue;
                }
                for (tile, out) in (strip * STRIP..).zip(out) {
                    // Loops whose ends are known when this is compiled, twice over: otherwise the sums are kept in memory.
                    let mut sums = [[[S::ZERO; LANES]]; 2];
                    let (pairs, last) = self.bands(tile).as_chunks::<2>();
                    for pair in pairs {
                        for (sums, band) in sums.iter_mut().zip(pair) {
                            band.add(sums, (mass, values), fused);
                        }
                    }
                    for band in last {
                        band.add(&mut sums[0], (mass, values), fused);
                    }
                    *out = std::array::from_fn(|i| sums[0][0][i].plus(sums[1][0][i]));
                }
            }
            let (rows, mut groups) = self.rows(window);
            for row in rows {
                let (own, rest) = groups.split_at(row.groups as usize);
                groups = rest;
                let (pairs, last) = own.as_chunks::<2>();
                let mut sums = [S::ZERO; 2 * GROUP];
                for pair in pairs {
                    for (sum, place) in sums.iter_mut().zip(pair.as_flattened()) {
                        *sum = sum.plus_product(place.mass(mass), values[place.end()], fused);
                    }
                }
                for (sum, place) in sums.iter_mut().zip(last.as_flattened()) {
                    *sum = sum.plus_product(place.mass(mass), values[place.end()], fused);
                }
                let out = &mut out[row.place as usize % WINDOW];
                *out = out.plus(sums[0].plus(sums[1]).plus(sums[2].plus(sums[3])));
            }
        }
    }

    /// Adds to each label's number the products over its edges at the states of some windows, here · there. Both are by
    /// state, with [`LANES`] zeros beyond those of whole windows.
    #[inline(always)]
    pub(crate) fn meetings<S: Semiring>(
        &self,
        windows: Range<usize>,
        (here, there): (&[S], &[S]),
        labels: &mut [S],
        fused: bool,
    ) {
        for window in windows {
            for tile in window * TILES..(window + 1) * TILES {
                let Some(here) = here[tile * LANES..].first_chunk::<LANES>() else { continue };
                for places in &self.bands[self.first_band[tile] as usize..self.first_band[tile + 1] as usize] {
                    let there = &there[places.end()..][..LANES];
                    let mut products: [S; LANES] = std::array::from_fn(|i| here[i].times(there[i]));
                    let mut width = LANES / 2;
                    while width > 0 {
                        (0..width).for_each(|i| products[i] = products[i].plus(products[i + width]));
                        width /= 2;
                    }
                    let label = &mut labels[places.label()];
                    *label = label.plus(products[0]);
                }
            }
            let (rows, mut groups) = self.rows(window);
            for row in rows {
                let (own, rest) = groups.split_at(row.groups as usize);
                groups = rest;
                let here = here[window * WINDOW + row.place as usize % WINDOW];
                for places in own.as_flattened() {
                    let label = &mut labels[places.label()];
                    *label = label.plus_product(here, there[places.end()], fused);
                }
            }
        }
    }
}

/// Scales the largest of `values` to `full`, unless it is below `enough`; what is below `least` then is dropped. The
/// factor, if it is a number.
#[inline(always)]
pub(super) fn rescale<F: Float>(values: &mut [F], full: F, enough: F, least: F) -> Option<F> {
    // Lanes of their own, so that the comparisons need not wait for each other.
    let mut largest = [F::ZERO; LANES];
    let larger = |a: F, b: F| if a > b { a } else { b };
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for i in 0..LANES {
            largest[i] = larger(largest[i], group[i]);
        }
    }
    let largest = rest.iter().chain(&largest).fold(F::ZERO, |a, &b| larger(a, b));
    let factor = full.over(largest);
    if !(largest >= enough && factor > F::ZERO) {
        return None;
    }
    for value in values {
        let scaled = value.times(factor);
        *value = if scaled < least { F::ZERO } else { scaled };
    }
    Some(factor)
}
