//! Subsets of a row that are summed while it is read.

use super::kernels::SPAN;

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

/// Small subsets, cut into spans that stay in a near cache.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// Of each span its first segment and its first place, and those after the last span.
    first: Vec<(u32, u32)>,
    segments: Vec<Segment>,
    /// Within the span, or among what is taken of it.
    places: Vec<u16>,
    /// Numbers of each span that are in a list, where nothing else is read; as many as places.
    taken: Vec<u16>,
}

/// So many places of a span belong to this list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) list: u32,
    pub(super) len: u32,
}

impl Lists {
    /// Of rows of `len` numbers; each list names its numbers in ascending order, and none is in two. `alone`: what is in
    /// no list is not read.
    pub(crate) fn new<'a>(len: usize, lists: impl Iterator<Item = (u32, &'a [u32])>, alone: bool) -> Self {
        let mut spans = vec![(Vec::new(), Vec::new()); len.div_ceil(SPAN)];
        for (list, numbers) in lists {
            for same in numbers.chunk_by(|a, b| *a as usize / SPAN == *b as usize / SPAN) {
                let (segments, places) = &mut spans[same[0] as usize / SPAN];
                segments.push(Segment { list, len: same.len() as u32 });
                places.extend(same.iter().map(|&number| (number as usize % SPAN) as u16));
            }
        }
        let mut new = Self { first: vec![(0, 0)], ..Self::default() };
        let mut rank = [0; SPAN];
        for (segments, mut places) in spans {
            if alone {
                let mut taken = places.clone();
                taken.sort_unstable();
                (0..).zip(&taken).for_each(|(i, &place)| rank[place as usize] = i);
                places.iter_mut().for_each(|place| *place = rank[*place as usize]);
                new.taken.extend(taken);
            }
            new.segments.extend(segments);
            new.places.extend(places);
            new.first.push((new.segments.len() as u32, new.places.len() as u32));
        }
        new
    }

    /// Whether what is in no list is not read.
    pub(crate) fn alone(&self) -> bool {
        !self.taken.is_empty()
    }

    /// How many numbers the lists have together.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let places = self.places.len() + self.taken.len();
        size_of_val(&*self.first) + size_of_val(&*self.segments) + 2 * places
    }

    pub(super) fn span(&self, n: usize) -> (&[Segment], &[u16]) {
        let [from, to] = [self.first[n], self.first[n + 1]];
        (&self.segments[from.0 as usize..to.0 as usize], &self.places[from.1 as usize..to.1 as usize])
    }

    /// What is read of a span.
    #[inline]
    pub(super) fn take<'a>(&self, n: usize, span: &'a [f32], space: &'a mut [f32; SPAN]) -> &'a [f32] {
        if !self.alone() {
            return span;
        }
        let taken = &self.taken[self.first[n].1 as usize..self.first[n + 1].1 as usize];
        for (out, &place) in space.iter_mut().zip(taken) {
            *out = span[place as usize];
        }
        &space[..taken.len()]
    }
}
