//! Policies choose the positions to commit at a step, and the positions to reopen.

mod edit;
mod entropy_bound;
mod factor;
mod hierarchy;
mod kind;
mod pace;
mod ranked;
mod remdm;
mod spread;
mod threshold;

pub use edit::Edit;
pub use entropy_bound::{EntropyBound, Stop};
pub use factor::Factor;
pub use hierarchy::Hierarchy;
pub use kind::{Alias, PolicyFactory, PolicyKey, PolicyKind, PolicyOption, Takes, Values};
pub use pace::Pace;
pub use ranked::{Order, Ranked};
pub use remdm::Remdm;
pub use spread::Spread;
pub use threshold::Threshold;

use crate::{Answer, Ask, Candidate, Pos, Result, Step, Token};
use threshold::THRESHOLD;

/// The policies that settings and constraint files may name.
pub const KINDS: &[PolicyKind] = &[
    ranked::CONFIDENCE,
    ranked::MARGIN,
    ranked::ENTROPY,
    ranked::RANDOM,
    ranked::SEQUENTIAL,
    threshold::KIND,
    hierarchy::KIND,
    factor::KIND,
    entropy_bound::KIND,
    edit::KIND,
    spread::KIND,
    remdm::KIND,
];

/// The options of all policies, in the order in which the command line's help lists them.
pub const OPTIONS: &[&PolicyOption] = &[
    &THRESHOLD,
    &hierarchy::LOW_THRESHOLD,
    &factor::FACTOR,
    &edit::EDITING_THRESHOLD,
    &edit::POST_STEPS,
    &entropy_bound::ENTROPY_BOUND,
    &entropy_bound::STOP_ENTROPY,
    &remdm::ETA,
    &ranked::EPS,
    &ranked::ALG_TEMP,
];

/// One valid text for all undecided positions, drawn jointly. Any subset of it can be committed.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// The drawn tokens at the undecided positions of the block, in order of position. Not empty as long as positions
    /// are to be written.
    pub candidates: Vec<Candidate>,
    /// The whole drawn text, one token for each position in play, including its padding.
    pub text: Vec<Token>,
    /// The answers to [`Policy::ask`], in order.
    pub answers: Vec<Answer>,
}

impl Proposal {
    /// The candidates sorted by `key`, largest first. Ties go to the leftmost position, so the order is deterministic.
    pub fn ranked(&self, key: impl Fn(&Candidate) -> f32) -> Vec<&Candidate> {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        order.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.pos.cmp(&b.pos)));
        order
    }
    /// The number of positions to commit now, so that all are written when the step budget ends.
    pub fn quota(&self, step: &Step) -> usize {
        self.candidates.len().div_ceil(step.left())
    }
}

/// The decision of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Positions of the proposal to commit. A uniform-state process accepts them until the next step only.
    pub commit: Vec<Pos>,
    /// Whether the block is finished: then all of its positions are committed.
    pub done: bool,
}

impl Moves {
    /// Commits these positions.
    pub fn commit(commit: impl IntoIterator<Item = Pos>) -> Self {
        Self { commit: commit.into_iter().collect(), done: false }
    }
    /// Finishes the block.
    pub fn all() -> Self {
        Self { commit: Vec::new(), done: true }
    }
}

/// Chooses positions; the engine writes the tokens. One instance serves one sample of a batch.
///
/// A policy is a type that can be cloned: a sample that is continued in two ways gives each of them a policy in the state
/// of the first. [`Step::new`] and [`Canvas::of`](crate::Canvas::of) make the inputs for a test of a policy:
///
/// ```
/// use stencil_lm::{Candidate, Canvas, Cell, Moves, Policy, Proposal, Result, Step, Vocab};
///
/// #[derive(Clone)]
/// struct Leftmost;
/// impl Policy for Leftmost {
///     fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
///         Ok(Moves::commit(proposal.candidates.first().map(|c| c.pos)))
///     }
/// }
///
/// let vocab = Vocab::from_bytes(vec![Some(b"a".to_vec()), Some(b"b".to_vec()), None], Some(2), None)?;
/// let canvas = Canvas::of([Cell::Fixed(0), Cell::Open, Cell::Open]);
/// let candidate = |pos| Candidate { pos, token: 1, prob: 0.9, best: 1, margin: 0.8, entropy: 0.3 };
/// let proposal = Proposal { candidates: vec![candidate(1), candidate(2)], ..Proposal::default() };
/// let moves = Leftmost.choose(&Step::new(&canvas, &vocab).at(0, 2), &proposal)?;
/// assert_eq!(moves, Moves::commit([1]));
/// # Ok::<(), stencil_lm::Error>(())
/// ```
pub trait Policy: ForkPolicy + Send {
    /// The name in reports: by default the name of the type.
    fn name(&self) -> &str {
        last(std::any::type_name::<Self>())
    }
    /// The held positions to reopen before the next prediction.
    fn reopen(&mut self, _step: &Step) -> Vec<Pos> {
        Vec::new()
    }
    /// The questions of this policy before it chooses. The runner answers the questions of all lanes in one batch.
    fn ask(&mut self, _step: &Step, _proposal: &Proposal) -> Vec<Ask> {
        Vec::new()
    }
    /// The candidates to commit now. An empty answer commits the most probable candidate.
    ///
    /// # Errors
    /// Whatever prevents the policy from choosing; the lane fails.
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves>;
    /// Whether held positions of the block may be edited at this step. The engine also asks when the block is full; the
    /// answer `true` then costs a forward.
    fn edits(&self, _step: &Step) -> bool {
        false
    }
    /// The held positions to overwrite. One text is drawn for all held positions of the block; the candidates are the
    /// positions where its token differs from the present one.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    fn edit(&mut self, _step: &Step, _proposal: &Proposal) -> Result<Vec<Pos>> {
        Ok(Vec::new())
    }
}

/// Copies a policy in its present state. Every policy that is `Clone` has this.
#[diagnostic::on_unimplemented(
    note = "a sample may be continued in two ways, each with a copy of the policy: derive `Clone`"
)]
pub trait ForkPolicy {
    /// The copy.
    fn fork(&self) -> Box<dyn Policy>;
}

impl<P: Policy + Clone + 'static> ForkPolicy for P {
    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

/// The last segment of a type's path.
fn last(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
