//! Numbers of a row, sorted into lanes.

use super::kernels::LANES;
use super::lanes::Lanes;
use super::shapes::Shape;
use std::collections::HashMap;

/// Numbers that are sorted together: those of two vectors.
pub(super) const BLOCK: usize = 2 * LANES;
/// Most vectors that a block is sorted into.
pub(super) const MOST: usize = 4;
/// A vector of lanes is worth its time if it takes so many numbers of a block, on average: adding numbers one by one
/// is as fast for fewer.
const WORTH: usize = 3;

/// In the place of a number: the lane takes none.
const NONE: u8 = 0x80;
/// In the place of a list: the lane belongs to none.
const NOBODY: u32 = u32::MAX;

/// Each block of a row is sorted into the lanes of a few vectors. A lane belongs to one list, the same in all blocks, so
/// that adding vectors sums the lists. A list has as many lanes as its numbers fill often enough; what finds no lane in
/// its block is left over, for others to sum.
#[derive(Debug, Default)]
pub(super) struct Picks {
    /// The list of each lane.
    lanes: Vec<[u32; LANES]>,
    /// The lanes of a list, in the order in which they are taken.
    of_list: HashMap<u32, Vec<usize>>,
    /// Of each block and each of the vectors, what place in the block the lanes take.
    places: Vec<[u8; LANES]>,
}

/// Of a list the number of blocks in which it has more than j numbers, for each j.
pub(super) type Counts = [u32; BLOCK];

impl Picks {
    /// Lanes for the lists of a row of `blocks`, and no numbers yet.
    pub(super) fn new(blocks: usize, usage: &HashMap<u32, Counts>) -> Self {
        let each = |(&list, counts): (&u32, &Counts)| counts.map(|n| (n, list));
        let mut uses: Vec<(u32, u32)> = usage.iter().flat_map(each).filter(|&(n, _)| n > 0).collect();
        uses.sort_unstable_by(|a, b| b.cmp(a));
        let worth = |lanes: &&[(u32, u32)]| lanes.iter().map(|&(n, _)| n as usize).sum::<usize>() >= WORTH * blocks;
        let vectors = uses.chunks(LANES).take_while(worth).take(MOST);
        let owner = |uses: &[(u32, u32)], i| uses.get(i).map_or(NOBODY, |&(_, list)| list);
        let lanes: Vec<[u32; LANES]> = vectors.map(|uses| std::array::from_fn(|i| owner(uses, i))).collect();
        let mut of_list: HashMap<u32, Vec<usize>> = HashMap::new();
        for (lane, &list) in lanes.as_flattened().iter().enumerate() {
            of_list.entry(list).or_default().push(lane);
        }
        let places = vec![[NONE; LANES]; blocks * lanes.len()];
        Self { lanes, of_list, places }
    }

    /// Gives lanes to a list's ascending `places` among the blocks from `first` on; what is left over is added to `rest`.
    pub(super) fn sort(&mut self, list: u32, first: usize, places: &[u16], rest: &mut Vec<u16>) {
        let lanes = self.of_list.get(&list).map_or(&[][..], |lanes| lanes);
        for same in places.chunk_by(|&a, &b| a as usize / BLOCK == b as usize / BLOCK) {
            for (&place, &lane) in same.iter().zip(lanes) {
                let vector = (first + place as usize / BLOCK) * self.lanes.len() + lane / LANES;
                self.places[vector][lane % LANES] = (place as usize % BLOCK) as u8;
            }
            rest.extend(same.iter().skip(lanes.len()));
        }
    }

    /// What the lanes take of some blocks.
    pub(super) fn of_blocks(&self, blocks: std::ops::Range<usize>) -> &[[u8; LANES]] {
        &self.places[blocks.start * self.lanes.len()..blocks.end * self.lanes.len()]
    }

    /// Calls `visit` with each list and what one of its lanes has found.
    pub(super) fn each<T: Copy>(&self, found: &[[T; LANES]; MOST], mut visit: impl FnMut(u32, T)) {
        let all = self.lanes.as_flattened().iter().zip(found.as_flattened());
        all.filter(|&(&list, _)| list != NOBODY).for_each(|(&list, &found)| visit(list, found));
    }

    pub(super) fn vectors(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lanes) + size_of_val(&*self.places)
    }
}

/// Adds the numbers of some blocks to the sums of the lanes that take them.
#[inline(always)]
pub(super) fn sums<V: Lanes>(x: &[[f32; LANES]], places: &[[u8; LANES]], n: usize, out: &mut [[f64; LANES]; MOST]) {
    match n {
        0 => {}
        1 => sums_of::<V, 1>(x, places, out),
        2 => sums_of::<V, 2>(x, places, out),
        3 => sums_of::<V, 3>(x, places, out),
        _ => sums_of::<V, MOST>(x, places, out),
    }
}

#[inline(always)]
fn sums_of<V: Lanes, const N: usize>(x: &[[f32; LANES]], places: &[[u8; LANES]], out: &mut [[f64; LANES]; MOST]) {
    let mut sums = [V::splat(0.0); N];
    for (pair, places) in x.as_chunks::<2>().0.iter().zip(places.as_chunks::<N>().0) {
        let pair = [V::load(&pair[0]), V::load(&pair[1])];
        for i in 0..N {
            sums[i] = sums[i].plus(V::pick(pair, &places[i], V::splat(0.0)));
        }
    }
    for (out, sums) in out.iter_mut().zip(sums) {
        let sums = sums.store();
        (0..LANES).for_each(|i| out[i] += sums[i] as f64);
    }
}

/// Adds the numbers of some blocks, and with `MOMENTS` their terms, to the shapes of the lanes that take them.
#[inline(always)]
pub(super) fn shapes<V: Lanes, const MOMENTS: bool>(
    (x, terms): (&[[f32; LANES]], &[[f32; LANES]]),
    places: &[[u8; LANES]],
    n: usize,
    out: &mut [[Shape; LANES]; MOST],
) {
    match n {
        0 => {}
        1 => shapes_of::<V, MOMENTS, 1>(x, terms, places, out),
        2 => shapes_of::<V, MOMENTS, 2>(x, terms, places, out),
        3 => shapes_of::<V, MOMENTS, 3>(x, terms, places, out),
        _ => shapes_of::<V, MOMENTS, MOST>(x, terms, places, out),
    }
}

#[inline(always)]
fn shapes_of<V: Lanes, const MOMENTS: bool, const N: usize>(
    x: &[[f32; LANES]],
    terms: &[[f32; LANES]],
    places: &[[u8; LANES]],
    out: &mut [[Shape; LANES]; MOST],
) {
    let (zero, least) = (V::splat(0.0), V::splat(f32::NEG_INFINITY));
    let (mut best, mut moments) = ([[least; 2]; N], [zero; N]);
    let pairs = x.as_chunks::<2>().0.iter().zip(terms.as_chunks::<2>().0);
    for ((x, terms), places) in pairs.zip(places.as_chunks::<N>().0) {
        let [x, terms] = [x, terms].map(|pair| [V::load(&pair[0]), V::load(&pair[1])]);
        for i in 0..N {
            let (x, [first, second]) = (V::pick(x, &places[i], least), best[i]);
            best[i] = [first.max(x), second.max(first.min(x))];
            if MOMENTS {
                moments[i] = moments[i].plus(V::pick(terms, &places[i], zero));
            }
        }
    }
    for (out, (best, moments)) in out.iter_mut().zip(best.into_iter().zip(moments)) {
        let ([first, second], moments) = (best.map(V::store), moments.store());
        for (i, shape) in out.iter_mut().enumerate() {
            shape.join(Shape { best: [first[i], second[i]], moment: moments[i] as f64 });
        }
    }
}
