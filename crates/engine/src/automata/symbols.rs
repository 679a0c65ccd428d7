//! Symbol classes: symbols that no state of an automaton tells apart share a column of its table.

use std::collections::HashMap;
use std::hash::Hash;

/// A partition of the symbols that an automaton reads.
pub(super) trait Symbols: Clone {
    /// Number of classes, the mark's included.
    fn width(&self) -> usize;
    /// The class of the token boundary mark, if it is read at all.
    fn mark(&self) -> Option<usize>;
    /// The coarsest partition that refines all parts, and for each part the map from its classes to the part's.
    fn join<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> (Self, Vec<Vec<u32>>)
    where
        Self: 'a;
    /// Puts classes with equal labels together. Also returns, for each new class, an old one that is part of it.
    /// The mark keeps a class of its own.
    fn merge(&self, label: &[usize]) -> (Self, Vec<usize>);
}

/// The 256 bytes, and the token boundary mark as the last class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bytes {
    of: Box<[u8; 256]>,
    classes: usize,
}

impl Bytes {
    /// Groups bytes with equal labels; classes are numbered by their first byte.
    pub(super) fn group<K: Hash + Eq>(label: impl Fn(u8) -> K) -> Self {
        let mut ids = HashMap::new();
        let mut of = Box::new([0; 256]);
        for byte in 0..=255u8 {
            let new = ids.len() as u8;
            of[byte as usize] = *ids.entry(label(byte)).or_insert(new);
        }
        Self { of, classes: ids.len() }
    }

    pub(super) fn class(&self, byte: u8) -> usize {
        self.of[byte as usize] as usize
    }

    /// The first byte of each class, in order of class.
    pub(super) fn representatives(&self) -> Vec<u8> {
        let mut first = vec![None; self.classes];
        for byte in 0..=255u8 {
            first[self.class(byte)].get_or_insert(byte);
        }
        first.into_iter().flatten().collect()
    }
}

impl Symbols for Bytes {
    fn width(&self) -> usize {
        self.classes + 1
    }
    fn mark(&self) -> Option<usize> {
        Some(self.classes)
    }
    fn join<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> (Self, Vec<Vec<u32>>) {
        let joint = parts.clone().fold(Self::group(|_| ()), |joint, part| {
            if joint == *part { joint } else { Self::group(|b| (joint.of[b as usize], part.of[b as usize])) }
        });
        let bytes = joint.representatives();
        let map = |part: &Self| bytes.iter().map(|&b| part.class(b) as u32).chain([part.classes as u32]).collect();
        let maps = parts.map(map).collect();
        (joint, maps)
    }
    fn merge(&self, label: &[usize]) -> (Self, Vec<usize>) {
        let merged = Self::group(|b| label[self.class(b)]);
        let kept = merged.representatives().into_iter().map(|b| self.class(b)).chain([self.classes]).collect();
        (merged, kept)
    }
}

/// Unicode's code points. Automata over whole characters know no marks: what they accept does not depend on them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chars {
    /// (first code point, class), ascending from 0; each range ends where the next begins.
    ranges: Vec<(u32, u32)>,
    classes: usize,
}

impl Chars {
    pub(super) const END: u32 = 0x11_0000;

    /// From ranges with labels that cover all code points; classes are numbered by their first code point.
    pub(super) fn group<K: Hash + Eq>(ranges: impl Iterator<Item = (u32, K)>) -> Self {
        let mut ids = HashMap::new();
        let mut grouped: Vec<(u32, u32)> = Vec::new();
        for (first, label) in ranges {
            let new = ids.len() as u32;
            let class = *ids.entry(label).or_insert(new);
            if grouped.last().is_none_or(|&(_, last)| last != class) {
                grouped.push((first, class));
            }
        }
        Self { ranges: grouped, classes: ids.len() }
    }

    /// All characters in one class.
    pub(super) fn all() -> Self {
        Self::group([(0, ())].into_iter())
    }

    /// Each of these characters in a class of its own; all others in one.
    pub(super) fn single_out(chars: impl Iterator<Item = char>) -> Self {
        let mut points: Vec<u32> = chars.map(|c| c as u32).collect();
        points.sort_unstable();
        points.dedup();
        let mut ranges = vec![(0, None)];
        for &point in &points {
            ranges.extend([(point, Some(point)), (point + 1, None)]);
        }
        // A range that begins where the one before it did replaces it.
        let latest = ranges.iter().zip(ranges.iter().skip(1).map(Some).chain([None]));
        let distinct = latest.filter(|(this, next)| next.is_none_or(|next| next.0 != this.0)).map(|(&this, _)| this);
        Self::group(distinct.filter(|&(first, _)| first < Self::END))
    }

    /// (first code point, class), ascending.
    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    pub(super) fn class(&self, point: u32) -> usize {
        self.ranges[self.ranges.partition_point(|&(first, _)| first <= point) - 1].1 as usize
    }
}

impl Symbols for Chars {
    fn width(&self) -> usize {
        self.classes
    }
    fn mark(&self) -> Option<usize> {
        None
    }
    fn join<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> (Self, Vec<Vec<u32>>) {
        let joint = parts.clone().fold(Self::all(), |joint, part| {
            if joint == *part {
                return joint;
            }
            let mut firsts: Vec<u32> = joint.ranges.iter().chain(&part.ranges).map(|r| r.0).collect();
            firsts.sort_unstable();
            firsts.dedup();
            let (mut a, mut b) = (0, 0);
            Self::group(firsts.into_iter().map(|first| {
                a += joint.ranges.get(a + 1).is_some_and(|r| r.0 <= first) as usize;
                b += part.ranges.get(b + 1).is_some_and(|r| r.0 <= first) as usize;
                (first, (joint.ranges[a].1, part.ranges[b].1))
            }))
        });
        let mut firsts = vec![None; joint.classes];
        for &(first, class) in &joint.ranges {
            firsts[class as usize].get_or_insert(first);
        }
        let map = |part: &Self| firsts.iter().flatten().map(|&point| part.class(point) as u32).collect();
        let maps = parts.map(map).collect();
        (joint, maps)
    }
    fn merge(&self, label: &[usize]) -> (Self, Vec<usize>) {
        let merged = Self::group(self.ranges.iter().map(|&(first, class)| (first, label[class as usize])));
        let mut kept = vec![None; merged.classes];
        for &(first, class) in &self.ranges {
            kept[merged.class(first)].get_or_insert(class as usize);
        }
        (merged, kept.into_iter().flatten().collect())
    }
}
