//! The numbering of subsets that every subset construction needs.
//!
//! Three constructions share it: of characters from regular expressions (`nfa`), of finished automata that are read one
//! after the other or side by side (`network`), and of the rules of a grammar (`grammar::determinize`). The rest of these
//! differs for a reason. The first reads classes of characters into a dense table; the second steps automata and must keep
//! track of token boundaries; the third reads calls of rules beside bytes, so that its rows are sparse.

use crate::util::FastMap;

/// Distinct sets of numbers, numbered from 0 in order of appearance.
#[derive(Default)]
pub(crate) struct Subsets {
    sets: Vec<Box<[u32]>>,
    ids: FastMap<Box<[u32]>, u32>,
    members: usize,
}

impl Subsets {
    /// The number of a set, whose members are ascending and distinct, and whether it is new.
    pub(crate) fn number(&mut self, set: &[u32]) -> (u32, bool) {
        if let Some(&id) = self.ids.get(set) {
            return (id, false);
        }
        let (id, key) = (self.sets.len() as u32, Box::<[u32]>::from(set));
        self.members += set.len();
        self.sets.push(key.clone());
        self.ids.insert(key, id);
        (id, true)
    }
    /// How many sets there are.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
    /// Members of all sets together.
    pub(crate) fn members(&self) -> usize {
        self.members
    }
    /// The set of a number, if there is one.
    pub(crate) fn get(&self, id: usize) -> Option<&[u32]> {
        self.sets.get(id).map(|set| &**set)
    }
    /// All sets, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.sets.iter().map(|set| &**set)
    }
}
