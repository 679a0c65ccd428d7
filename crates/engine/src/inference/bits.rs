//! Sets of states as bits.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }
    pub(super) fn has(&self, i: u32) -> bool {
        self.0[i as usize / 64] >> (i % 64) & 1 == 1
    }
    pub(super) fn set(&mut self, i: u32, on: bool) {
        let (word, bit) = (&mut self.0[i as usize / 64], 1 << (i % 64));
        if on { *word |= bit } else { *word &= !bit }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
    pub(super) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }
    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().zip(0..).flat_map(|(&word, i)| each_bit(word, 64 * i))
    }
    /// Ranges of neighbours, ascending.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            at = self.next(start, u64::MAX).unwrap_or(64 * self.0.len() as u32);
            Some(start..at)
        })
    }
    /// The first at `from` or after it that is set, where `flip` is 0, or that is not, where all its bits are set.
    fn next(&self, from: u32, flip: u64) -> Option<u32> {
        let first = from as usize / 64;
        let mut skip = u64::MAX << (from % 64);
        for (i, word) in self.0.iter().enumerate().skip(first) {
            let found = (word ^ flip) & skip;
            if found != 0 {
                return Some(64 * i as u32 + found.trailing_zeros());
            }
            skip = u64::MAX;
        }
        None
    }
    /// What is in `other` but not in `self` (true), and the other way round (false).
    pub(super) fn changes<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u32, bool)> + 'a {
        let words = self.0.iter().zip(&other.0).zip(0..);
        words.flat_map(|((&a, &b), i)| each_bit(a ^ b, 64 * i).map(move |at| (at, b >> (at % 64) & 1 == 1)))
    }
}

fn each_bit(mut word: u64, first: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(first + bit)
    })
}
