//! Subsets of a row that are summed while it is read.

use super::kernels::LANES;
pub(super) use super::kernels::SPAN;
use super::picks::{self, Counts, Picks};
use std::collections::HashMap;

/// What is summed on the way, and the sums, in units of the largest number read.
#[derive(Debug, Default)]
pub(crate) struct Parts<'a> {
    /// Large subsets: one bit for each number, [`LANES`](super::LANES) a word. None where lists are
    /// [alone](Lists::alone).
    pub(crate) masks: &'a [&'a [u16]],
    /// The sum of each mask.
    pub(crate) masked: &'a mut [f64],
    /// Small subsets.
    pub(crate) lists: Option<&'a Lists>,
    /// The sum of each list.
    pub(crate) listed: &'a mut [f64],
}

/// Small subsets, cut into spans that stay in a near cache. Most of their numbers are sorted into lanes; the rest are added
/// one by one, by list where it has many in a span, otherwise in the order of the row, so that two additions to one sum
/// seldom follow each other.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// Where each span begins, and where the last one ends.
    spans: Vec<Start>,
    picks: Picks,
    segments: Vec<Segment>,
    /// [`RUN`] places each, the first in the lowest bits: within the span, or among what is taken of it.
    runs: Vec<u64>,
    singles: Vec<Single>,
    /// Numbers of each span that are in a list, where nothing else is read.
    taken: Vec<u16>,
    len: usize,
}

/// Places that are read as one word. More would take no less time, and would be fetched into vectors by the compiler,
/// which takes longer.
pub(super) const RUN: usize = 4;
/// A list with fewer places in a span has them one by one: foreseeing the end of a short loop costs more.
const LEAST: usize = 3 * RUN;

#[derive(Debug, Clone, Copy, Default)]
struct Start {
    block: usize,
    segment: usize,
    run: usize,
    single: usize,
    taken: usize,
}

/// So many runs of a span belong to this list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) list: u32,
    pub(super) runs: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Single {
    pub(super) list: u32,
    pub(super) place: u16,
}

impl Lists {
    /// Of rows of `len` numbers; each list names its numbers in ascending order, and none is in two. `alone`: what is in
    /// no list is not read.
    pub(crate) fn new<'a>(len: usize, lists: impl Iterator<Item = (u32, &'a [u32])>, alone: bool) -> Self {
        let mut spans = vec![Vec::new(); len.div_ceil(SPAN)];
        for (list, numbers) in lists {
            for same in numbers.chunk_by(|a, b| *a as usize / SPAN == *b as usize / SPAN) {
                let places: Vec<u16> = same.iter().map(|&number| (number as usize % SPAN) as u16).collect();
                spans[same[0] as usize / SPAN].push((list, places));
            }
        }
        let mut new = Self { spans: vec![Start::default()], ..Self::default() };
        let mut rank = [0; SPAN];
        let mut usage: HashMap<u32, Counts> = HashMap::new();
        let mut blocks = 0;
        for (n, lists) in spans.iter_mut().enumerate() {
            let mut used = SPAN.min(len - n * SPAN);
            if alone {
                let mut taken: Vec<u16> = lists.iter().flat_map(|(_, places)| places).copied().collect();
                taken.sort_unstable();
                (0..).zip(&taken).for_each(|(i, &place)| rank[place as usize] = i);
                lists.iter_mut().flat_map(|(_, places)| places).for_each(|place| *place = rank[*place as usize]);
                used = taken.len();
                new.taken.extend(taken);
            }
            for (list, places) in lists {
                let counts = usage.entry(*list).or_insert([0; picks::BLOCK]);
                for same in places.chunk_by(|&a, &b| a as usize / picks::BLOCK == b as usize / picks::BLOCK) {
                    counts[..same.len()].iter_mut().for_each(|count| *count += 1);
                }
            }
            blocks += used.div_ceil(picks::BLOCK);
            new.spans.push(Start { block: blocks, taken: new.taken.len(), ..Start::default() });
        }
        new.picks = Picks::new(blocks, &usage);
        let mut rest = Vec::new();
        for (n, lists) in spans.into_iter().enumerate() {
            let first = new.spans[n];
            for (list, places) in lists {
                rest.clear();
                new.picks.sort(list, first.block, &places, &mut rest);
                new.push(list, &rest);
                new.len += places.len();
            }
            new.singles[first.single..].sort_unstable_by_key(|single| single.place);
            let end = &mut new.spans[n + 1];
            (end.segment, end.run, end.single) = (new.segments.len(), new.runs.len(), new.singles.len());
        }
        new
    }

    /// Places of a list in the last span.
    fn push(&mut self, list: u32, places: &[u16]) {
        let (runs, singles) = if places.len() < LEAST { (&[][..], places) } else { places.as_chunks::<RUN>() };
        if !runs.is_empty() {
            self.segments.push(Segment { list, runs: runs.len() as u32 });
        }
        self.runs.extend(runs.iter().map(|run| run.iter().rev().fold(0, |word, &place| word << 16 | place as u64)));
        self.singles.extend(singles.iter().map(|&place| Single { list, place }));
    }

    /// Whether what is in no list is not read.
    pub(crate) fn alone(&self) -> bool {
        !self.taken.is_empty()
    }

    /// How many numbers the lists have together.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let lists = size_of_val(&*self.segments) + size_of_val(&*self.runs) + size_of_val(&*self.singles);
        size_of_val(&*self.spans) + lists + size_of_val(&*self.taken) + self.picks.bytes()
    }

    pub(super) fn picks(&self) -> &Picks {
        &self.picks
    }
    /// What lanes take of a span.
    pub(super) fn picked(&self, n: usize) -> &[[u8; LANES]] {
        self.picks.of_blocks(self.spans[n].block..self.spans[n + 1].block)
    }

    /// What is left of a span.
    pub(super) fn span(&self, n: usize) -> (&[Segment], &[u64], &[Single]) {
        let [from, to] = [self.spans[n], self.spans[n + 1]];
        (&self.segments[from.segment..to.segment], &self.runs[from.run..to.run], &self.singles[from.single..to.single])
    }

    /// What is read of a span.
    #[inline]
    pub(super) fn take<'a>(&self, n: usize, span: &'a [f32], space: &'a mut [f32; SPAN]) -> &'a [f32] {
        if !self.alone() {
            return span;
        }
        let taken = &self.taken[self.spans[n].taken..self.spans[n + 1].taken];
        for (out, &place) in space.iter_mut().zip(taken) {
            *out = span[place as usize];
        }
        &space[..taken.len()]
    }
}
