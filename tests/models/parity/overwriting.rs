//! SDAR's static rule with the slip it has where the prompt reaches into a block: it writes the share of a whole block even
//! where fewer positions are open, and then overwrites written ones with what the model now says there. Which ones is left
//! to the order in which the partial sort of C++'s standard library leaves equal numbers; so that order is followed here.

use stencil_lm::{Error, Moves, Policy, Pos, Proposal, Result, Step, policies::Pace};

#[derive(Clone, Default)]
pub struct Overwriting {
    /// What this step writes where something stands already.
    chosen: Vec<Pos>,
}

/// What the rule may come to, and no canvas allows.
pub const PROMPT: &str = "the reference overwrites its prompt";

fn is_open(step: &Step, pos: Pos) -> bool {
    step.canvas.cell(pos).decided().is_none()
}

impl Policy for Overwriting {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        // Places of the block that belong to the prompt come first.
        let part = step.block_size - step.block.len();
        let pos = |place: usize| (place >= part).then(|| step.block.start + place - part);
        let confidence = (0..step.block_size).map(|place| {
            let candidate = pos(place).and_then(|pos| proposal.candidates.iter().find(|c| c.pos == pos));
            candidate.map_or(f32::NEG_INFINITY, |c| c.prob)
        });
        let first = largest(confidence.collect(), Pace::Block.quota(step, proposal.candidates.len()));
        let first: Vec<Pos> = first.into_iter().map(pos).collect::<Option<_>>().ok_or_else(|| Error::input(PROMPT))?;
        self.chosen = first.iter().copied().filter(|&pos| !is_open(step, pos)).collect();
        Ok(Moves::commit(first.into_iter().filter(|&pos| is_open(step, pos))))
    }
    fn edits(&self, step: &Step) -> bool {
        step.block.clone().any(|pos| is_open(step, pos))
    }
    fn edit(&mut self, _: &Step, proposal: &Proposal) -> Result<Vec<Pos>> {
        // Candidates are those positions where the model now says something else.
        Ok(proposal.candidates.iter().map(|c| c.pos).filter(|pos| self.chosen.contains(pos)).collect())
    }
}

/// The places that `torch.topk` gives on a CPU for few numbers: `std::nth_element` as libstdc++ has it.
fn largest(values: Vec<f32>, count: usize) -> Vec<usize> {
    let mut items: Vec<(f32, usize)> = values.into_iter().zip(0..).collect();
    let (mut first, mut last, nth) = (0, items.len(), count - 1);
    while last - first > 3 {
        median_to_first(&mut items, first, first + 1, first + (last - first) / 2, last - 1);
        let cut = partition(&mut items, first + 1, last, first);
        if cut <= nth { first = cut } else { last = cut }
    }
    for i in first + 1..last {
        // A number goes before those it is larger than.
        let to = (first..i).find(|&j| items[i].0 > items[j].0).unwrap_or(i);
        items[to..=i].rotate_right(1);
    }
    items.truncate(count);
    items.into_iter().map(|(_, place)| place).collect()
}

fn median_to_first(items: &mut [(f32, usize)], to: usize, a: usize, b: usize, c: usize) {
    let before = |i: usize, j: usize| items[i].0 > items[j].0;
    let median = match (before(a, b), before(b, c), before(a, c)) {
        (true, true, _) => b,
        (true, false, true) => c,
        (true, false, false) => a,
        (false, _, true) => a,
        (false, true, false) => c,
        (false, false, false) => b,
    };
    items.swap(to, median);
}

/// What is larger than the pivot comes before the place returned.
fn partition(items: &mut [(f32, usize)], mut first: usize, mut last: usize, pivot: usize) -> usize {
    loop {
        while items[first].0 > items[pivot].0 {
            first += 1;
        }
        last -= 1;
        while items[pivot].0 > items[last].0 {
            last -= 1;
        }
        if first >= last {
            return first;
        }
        items.swap(first, last);
        first += 1;
    }
}
