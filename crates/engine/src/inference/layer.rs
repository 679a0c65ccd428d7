//! Layers: the feasible states of one gap between positions.

use crate::inference::simd::Semiring;
use std::ops::Range;

/// A run of states with consecutive numbers.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) states: Range<u32>,
    /// The place of the run's first state among the states of its layer.
    pub(super) at: usize,
}

impl Run {
    fn states(&self) -> Range<usize> {
        self.states.start as usize..self.states.end as usize
    }
    fn places(&self) -> Range<usize> {
        self.at..self.at + self.states.len()
    }
}

/// The states of a gap, ascending. The copies that a repetition makes of a state have consecutive numbers, so most
/// layers are a few runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'a>(pub(super) &'a [Run]);

impl<'a> Layer<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().flat_map(|run| run.states.clone())
    }
    pub(super) fn first(self) -> Option<u32> {
        Some(self.0.first()?.states.start)
    }
    pub(super) fn last(self) -> Option<u32> {
        Some(self.0.last()?.states.end - 1)
    }
    pub(super) fn len(self) -> usize {
        self.0.last().map_or(0, |run| run.places().end)
    }
    pub(super) fn has(self, state: u32) -> bool {
        self.place(state).is_some()
    }
    /// The place of a state among those of the layer.
    pub(super) fn place(self, state: u32) -> Option<usize> {
        let run = self.0[..self.0.partition_point(|run| run.states.start <= state)].last()?;
        run.states.contains(&state).then(|| run.at + (state - run.states.start) as usize)
    }

    /// Calls `visit` with each state of the layer and its value.
    #[inline]
    pub(super) fn each<T: Copy>(self, values: &[T], mut visit: impl FnMut(u32, T)) {
        for run in self.0 {
            run.states.clone().zip(&values[run.places()]).for_each(|(state, &value)| visit(state, value));
        }
    }
    /// Copies the values of the layer's states to their places in `all`, which has one for every state.
    pub(super) fn scatter<T: Copy>(self, values: &[T], all: &mut [T]) {
        self.0.iter().for_each(|run| all[run.states()].copy_from_slice(&values[run.places()]));
    }
    /// Appends the values of the layer's states in `all` to `values`.
    pub(super) fn gather<T: Copy>(self, all: &[T], values: &mut Vec<T>) {
        values.reserve(self.len());
        self.0.iter().for_each(|run| values.extend_from_slice(&all[run.states()]));
    }
    /// Whether all states of the layer are in the range.
    pub(super) fn within(self, states: &Range<usize>) -> bool {
        self.0.iter().all(|run| states.start <= run.states().start && run.states().end <= states.end)
    }
    /// Sets the values of the states in the range that are not in the layer to zero.
    pub(super) fn clear_between<S: Semiring>(self, states: Range<usize>, all: &mut [S]) {
        let mut from = states.start;
        for run in self.0 {
            all[from..run.states().start].fill(S::ZERO);
            from = run.states().end;
        }
        all[from..states.end].fill(S::ZERO);
    }
    /// Sets the values of the layer's states to zero.
    pub(super) fn clear<S: Semiring>(self, all: &mut [S]) {
        self.0.iter().for_each(|run| all[run.states()].fill(S::ZERO));
    }
}
