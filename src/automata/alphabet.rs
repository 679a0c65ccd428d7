//! Symbol classes: bytes that no state of an automaton tells apart share a column of its table.

use std::collections::HashMap;

/// A partition of the 256 bytes, plus one more class for the token boundary mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Alphabet {
    of: Box<[u8; 256]>,
    bytes: usize,
}

impl Alphabet {
    /// Groups bytes with equal labels; classes are numbered by their first byte.
    pub(crate) fn group<K: std::hash::Hash + Eq>(label: impl Fn(u8) -> K) -> Self {
        let mut ids = HashMap::new();
        let mut of = Box::new([0; 256]);
        for byte in 0..=255u8 {
            let new = ids.len() as u8;
            of[byte as usize] = *ids.entry(label(byte)).or_insert(new);
        }
        Self { of, bytes: ids.len() }
    }

    /// The coarsest alphabet that refines all parts, and for each part the map from its classes to the part's.
    pub(crate) fn join<'a>(parts: impl Iterator<Item = &'a Alphabet> + Clone) -> (Self, Vec<Vec<u16>>) {
        let joint = parts.clone().fold(Self::group(|_| ()), |joint, part| {
            if joint == *part { joint } else { Self::group(|b| (joint.of[b as usize], part.of[b as usize])) }
        });
        let maps = parts
            .map(|part| {
                let bytes = joint.representatives().into_iter().map(|b| part.byte(b) as u16);
                bytes.chain([part.mark() as u16]).collect()
            })
            .collect();
        (joint, maps)
    }

    /// Number of classes, the mark's included.
    pub(crate) fn width(&self) -> usize {
        self.bytes + 1
    }
    pub(crate) fn byte(&self, byte: u8) -> usize {
        self.of[byte as usize] as usize
    }
    /// The mark's class: the last one.
    pub(crate) fn mark(&self) -> usize {
        self.bytes
    }
    /// The first byte of each class, in order of class.
    pub(crate) fn representatives(&self) -> Vec<u8> {
        let mut first = vec![None; self.bytes];
        for byte in 0..=255u8 {
            first[self.byte(byte)].get_or_insert(byte);
        }
        first.into_iter().flatten().collect()
    }
}
