//! Subsets of a row that are summed while it is read.

use super::loops::LANES;
pub(super) use super::loops::SPAN;
use super::picks::{self, Picks};

/// What is summed on the way, and the sums, in units of the largest number read.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) lists: &'a Lists,
    /// The sum of each list.
    pub(crate) sums: &'a mut [f64],
}

/// Subsets, cut into spans that stay in a near cache. Most of their numbers are sorted into lanes; the rest are added
/// one by one, by list where it has many in a span, otherwise in the order of the row, so that two additions to one sum
/// seldom follow each other.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// Where each span begins, and where the last one ends.
    spans: Vec<Start>,
    /// As in [`Picks`], span by span.
    lanes: Vec<[u32; LANES]>,
    places: Vec<[u8; LANES]>,
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
    lane: usize,
    place: usize,
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
        for (n, mut lists) in spans.into_iter().enumerate() {
            let mut used = SPAN.min(len - n * SPAN);
            if alone {
                let mut taken: Vec<u16> = lists.iter().flat_map(|(_, places)| places).copied().collect();
                taken.sort_unstable();
                (0..).zip(&taken).for_each(|(i, &place)| rank[place as usize] = i);
                lists.iter_mut().flat_map(|(_, places)| places).for_each(|place| *place = rank[*place as usize]);
                used = taken.len();
                new.taken.extend(taken);
            }
            new.len += lists.iter().map(|(_, places)| places.len()).sum::<usize>();
            let (lanes, places) = picks::sort(&mut lists, used.div_ceil(picks::BLOCK));
            new.lanes.extend(lanes);
            new.places.extend(places);
            let first_single = new.singles.len();
            for (list, places) in lists {
                new.push(list, &places);
            }
            new.singles[first_single..].sort_unstable_by_key(|single| single.place);
            new.spans.push(Start {
                lane: new.lanes.len(),
                place: new.places.len(),
                segment: new.segments.len(),
                run: new.runs.len(),
                single: new.singles.len(),
                taken: new.taken.len(),
            });
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
        let picks = size_of_val(&*self.lanes) + size_of_val(&*self.places);
        size_of_val(&*self.spans) + lists + picks + size_of_val(&*self.taken)
    }

    /// What of a span is sorted into lanes.
    pub(super) fn picks(&self, n: usize) -> Picks<'_> {
        let [from, to] = [self.spans[n], self.spans[n + 1]];
        Picks { lanes: &self.lanes[from.lane..to.lane], places: &self.places[from.place..to.place] }
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
