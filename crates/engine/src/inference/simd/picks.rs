//! Numbers of a span, sorted into lanes.

use super::lanes::Lanes;
use super::loops::LANES;
use super::shapes::Shape;
use std::collections::HashMap;

/// Numbers that are sorted together: those of two vectors.
pub(super) const BLOCK: usize = 2 * LANES;
/// Most vectors that a block is sorted into.
const MOST: usize = 4;
/// A vector of lanes is worth its time if it takes so many numbers of a block, on average: adding fewer one by one is as
/// fast.
const WORTH: usize = 3;

/// In the place of a number: the lane takes none.
const NONE: u8 = 0x80;
/// In the place of a list: the lane belongs to none.
const NOBODY: u32 = u32::MAX;

/// Each block of a span is sorted into the lanes of a few vectors. A lane belongs to one list, the same in all blocks, so
/// that adding vectors sums the lists. A list has as many lanes as it fills often enough; a number that finds no lane in its
/// block is left over, for others to sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picks<'a> {
    /// The list of each lane, vector by vector.
    pub(super) lanes: &'a [[u32; LANES]],
    /// Of each block and each of the vectors, the place in the block that each lane takes.
    pub(super) places: &'a [[u8; LANES]],
}

/// Finds lanes for lists of a span of some blocks, each with its ascending places, and leaves in them what finds none.
pub(super) fn sort(lists: &mut [(u32, Vec<u16>)], blocks: usize) -> (Vec<[u32; LANES]>, Vec<[u8; LANES]>) {
    let same_block = |a: &u16, b: &u16| *a as usize / BLOCK == *b as usize / BLOCK;
    // Of each list, the number of blocks in which it has more than j numbers, for each j.
    let mut uses = Vec::new();
    for &(list, ref places) in &*lists {
        let mut counts = [0usize; BLOCK];
        places.chunk_by(same_block).for_each(|same| counts[..same.len()].iter_mut().for_each(|n| *n += 1));
        uses.extend(counts.into_iter().take_while(|&n| n > 0).map(|n| (n, list)));
    }
    uses.sort_unstable_by(|a, b| b.cmp(a));
    let worth = |uses: &&[(usize, u32)]| uses.iter().map(|&(n, _)| n).sum::<usize>() >= WORTH * blocks;
    let owner = |uses: &[(usize, u32)], lane| uses.get(lane).map_or(NOBODY, |&(_, list)| list);
    let vectors = uses.chunks(LANES).take_while(worth).take(MOST);
    let lanes: Vec<[u32; LANES]> = vectors.map(|uses| std::array::from_fn(|lane| owner(uses, lane))).collect();
    let mut lanes_of: HashMap<u32, Vec<usize>> = HashMap::new();
    for (lane, &list) in lanes.as_flattened().iter().enumerate() {
        lanes_of.entry(list).or_default().push(lane);
    }
    let mut taken = vec![[NONE; LANES]; blocks * lanes.len()];
    for (list, places) in lists {
        let Some(own) = lanes_of.get(list) else { continue };
        let mut rest = Vec::new();
        for same in places.chunk_by(same_block) {
            for (&place, &lane) in same.iter().zip(own) {
                let vector = place as usize / BLOCK * lanes.len() + lane / LANES;
                taken[vector][lane % LANES] = (place as usize % BLOCK) as u8;
            }
            rest.extend(same.iter().skip(own.len()));
        }
        *places = rest;
    }
    (lanes, taken)
}

impl Picks<'_> {
    /// Adds the numbers that lanes take to the sums of their lists.
    #[inline(always)]
    pub(super) fn add_sums<V: Lanes>(self, x: &[[f32; LANES]], sums: &mut [f64]) {
        match self.lanes.len() {
            0 => {}
            1 => self.add_sums_of::<V, 1>(x, sums),
            2 => self.add_sums_of::<V, 2>(x, sums),
            3 => self.add_sums_of::<V, 3>(x, sums),
            _ => self.add_sums_of::<V, MOST>(x, sums),
        }
    }

    #[inline(always)]
    fn add_sums_of<V: Lanes, const N: usize>(self, x: &[[f32; LANES]], sums: &mut [f64]) {
        let mut found = [V::splat(0.0); N];
        for (pair, places) in x.as_chunks::<2>().0.iter().zip(self.places.as_chunks::<N>().0) {
            let pair = [V::load(&pair[0]), V::load(&pair[1])];
            for i in 0..N {
                found[i] = found[i].plus(V::pick(pair, &places[i], V::splat(0.0)));
            }
        }
        let found = found.map(V::store);
        for (&list, &sum) in self.lanes.as_flattened().iter().zip(found.as_flattened()) {
            if list != NOBODY {
                sums[list as usize] += sum as f64;
            }
        }
    }

    /// Adds the numbers that lanes take to the shapes of their lists, with `MOMENTS` their terms, too.
    #[inline(always)]
    pub(super) fn add_shapes<V: Lanes, const MOMENTS: bool>(
        self,
        x: &[[f32; LANES]],
        terms: &[[f32; LANES]],
        shapes: &mut [Shape],
    ) {
        match self.lanes.len() {
            0 => {}
            1 => self.add_shapes_of::<V, MOMENTS, 1>(x, terms, shapes),
            2 => self.add_shapes_of::<V, MOMENTS, 2>(x, terms, shapes),
            3 => self.add_shapes_of::<V, MOMENTS, 3>(x, terms, shapes),
            _ => self.add_shapes_of::<V, MOMENTS, MOST>(x, terms, shapes),
        }
    }

    #[inline(always)]
    fn add_shapes_of<V: Lanes, const MOMENTS: bool, const N: usize>(
        self,
        x: &[[f32; LANES]],
        terms: &[[f32; LANES]],
        shapes: &mut [Shape],
    ) {
        let (zero, least) = (V::splat(0.0), V::splat(f32::NEG_INFINITY));
        let (mut best, mut moments) = ([[least; 2]; N], [zero; N]);
        let pairs = x.as_chunks::<2>().0.iter().zip(terms.as_chunks::<2>().0);
        for ((x, terms), places) in pairs.zip(self.places.as_chunks::<N>().0) {
            let [x, terms] = [x, terms].map(|pair| [V::load(&pair[0]), V::load(&pair[1])]);
            for i in 0..N {
                let (x, [first, second]) = (V::pick(x, &places[i], least), best[i]);
                best[i] = [first.max(x), second.max(first.min(x))];
                if MOMENTS {
                    moments[i] = moments[i].plus(V::pick(terms, &places[i], zero));
                }
            }
        }
        let (best, moments) = (best.map(|best| best.map(V::store)), moments.map(V::store));
        for (i, lists) in self.lanes.iter().enumerate() {
            for (lane, &list) in lists.iter().enumerate().filter(|&(_, &list)| list != NOBODY) {
                let shape = &mut shapes[list as usize];
                best[i].iter().for_each(|best| shape.see(best[lane]));
                shape.moment += moments[i][lane] as f64;
            }
        }
    }
}
