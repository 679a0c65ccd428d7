//! Sets of small numbers as bits.

use std::ops::Range;

/// A set of numbers below a bound that is given when it is made ([`none`](Self::none)), or that grows with the set
/// ([`insert`](Self::insert), [`add`](Self::add)).
///
/// Sets are compared by their words: two sets must have the same bound, or both must have grown from nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `len`.
    pub(crate) fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }
    /// The set of one number; its bound grows.
    pub(crate) fn of(item: u32) -> Self {
        let mut new = Self::default();
        new.insert(item);
        new
    }
    /// Adds a number; the bound grows where it must.
    pub(crate) fn insert(&mut self, item: u32) {
        let word = item as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (item % 64);
    }
    /// Adds all numbers of another set; the bound grows where it must.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }
    /// How many words of 64 bits the set takes.
    pub(crate) fn words(&self) -> usize {
        self.0.len()
    }
    /// Whether the number is in the set; it may exceed the bound.
    pub(crate) fn contains(&self, item: u32) -> bool {
        self.0.get(item as usize / 64).is_some_and(|word| word >> (item % 64) & 1 == 1)
    }
    /// Whether the number, which is below the bound, is in the set.
    pub(crate) fn has(&self, i: u32) -> bool {
        self.0[i as usize / 64] >> (i % 64) & 1 == 1
    }
    /// Adds or removes a number below the bound.
    pub(crate) fn set(&mut self, i: u32, on: bool) {
        let (word, bit) = (&mut self.0[i as usize / 64], 1 << (i % 64));
        if on { *word |= bit } else { *word &= !bit }
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }
    /// The numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().zip(0..).flat_map(|(&word, i)| each_bit(word, 64 * i))
    }
    /// Maximal ranges of neighbours, ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            at = self.next(start, u64::MAX).unwrap_or(64 * self.0.len() as u32);
            Some(start..at)
        })
    }
    /// The first number from `from` on that is in the set, if `flip` is 0, or that is not, if all bits of `flip` are set.
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
    /// The numbers that are only in `other` (true), and those that are only in `self` (false).
    pub(crate) fn changes<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u32, bool)> + 'a {
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
