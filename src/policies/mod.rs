//! Policies: which positions to commit at a step, and which to take back.

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

/// All their options, in the order in which the command line's help lists them.
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
    /// In order of position; never empty where positions are to be written.
    pub candidates: Vec<Candidate>,
    /// The whole text that was drawn, one token for each position in play, with what pads it.
    pub text: Vec<Token>,
    /// The answers to [`Policy::ask`], in order.
    pub answers: Vec<Answer>,
}

impl Proposal {
    /// The candidates, best first by `key`; ties go to the leftmost, so that the order never depends on chance.
    pub fn ranked(&self, key: impl Fn(&Candidate) -> f32) -> Vec<&Candidate> {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        order.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.pos.cmp(&b.pos)));
        order
    }
    /// How many positions to commit now so that all are written when the step budget ends.
    pub fn quota(&self, step: &Step) -> usize {
        self.candidates.len().div_ceil(step.left())
    }
}

/// What a policy decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Positions of the proposal to commit. In a uniform-state process: to accept, until the next step.
    pub commit: Vec<Pos>,
    /// The block is finished: everything is committed.
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

/// Picks positions; the engine writes the tokens. One instance serves one sample of a batch.
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
    /// What it is called in reports: the name of its type, unless it says otherwise.
    fn name(&self) -> &str {
        last(std::any::type_name::<Self>())
    }
    /// Held positions to open again before the next prediction.
    fn reopen(&mut self, _step: &Step) -> Vec<Pos> {
        Vec::new()
    }
    /// What this policy wants to know before it chooses; answered in one batch for all lanes.
    fn ask(&mut self, _step: &Step, _proposal: &Proposal) -> Vec<Ask> {
        Vec::new()
    }
    /// Which candidates to commit now. An empty answer commits the most probable one.
    ///
    /// # Errors
    /// Whatever the policy cannot go on with; the run ends with it.
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves>;
    /// Whether held positions of the block are to be looked at again in this step. Asked also when the block is full:
    /// the answer yes then costs a forward.
    fn edits(&self, _step: &Step) -> bool {
        false
    }
    /// Held positions to overwrite. The candidates are those for which one text drawn for all held positions of the
    /// block has another token than stands there.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    fn edit(&mut self, _step: &Step, _proposal: &Proposal) -> Result<Vec<Pos>> {
        Ok(Vec::new())
    }
}

/// A copy of a policy in its present state. Every policy that is `Clone` has it.
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

/// The last name of a path to a type.
fn last(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
