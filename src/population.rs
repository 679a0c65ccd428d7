//! Populations weigh lanes of one job against each other. Potentials give the weights.

use crate::{Answer, Ask, Canvas, Model, Result, Step, Token};
use std::sync::Arc;

/// Makes a potential for one lane, given the model.
pub type PotentialFactory = Arc<dyn Fn(&Model) -> Result<Box<dyn Potential>> + Send + Sync>;

/// A population's view of a lane after a step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LaneView<'a> {
    /// The index of the lane in its population.
    pub index: usize,
    /// The seed of the lane.
    pub seed: u64,
    /// The canvas of the lane.
    pub canvas: &'a Canvas,
    /// Steps taken.
    pub steps: usize,
    /// log Z of the first step: the logarithm of the model's mass on the constraints, in nats. None before the first
    /// step.
    pub first_log_z: Option<f64>,
    /// log Z of the latest step.
    pub log_z: f64,
    /// The sum of the log-weights that the potentials give the latest draft.
    pub log_potential: f64,
    /// The text that the latest step drew, including its padding.
    pub draft: &'a [Token],
    /// Whether a position is left to write.
    pub is_open: bool,
}

/// Weighs lanes against each other after each step: importance weights, resampling, best-of-k. A lane outside a
/// population is independent of all others.
pub trait Population: Send {
    /// Chooses the lanes that go on. Entry i of the result is the index of the lane that takes the place of lane i; i
    /// itself keeps the lane. A copy takes the seed of the place, so copies diverge.
    ///
    /// # Errors
    /// Whatever prevents the population from choosing; all of its lanes fail.
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>>;
}

impl Population for Box<dyn Population> {
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>> {
        (**self).resample(lanes)
    }
}

/// Weighs the text that a step drew: a reward, an energy. One instance serves one lane.
pub trait Potential: ForkPotential + Send {
    /// The questions of this potential about a draft. The runner answers them in one batch for all lanes.
    fn ask(&mut self, _step: &Step, _draft: &[Token]) -> Vec<Ask> {
        Vec::new()
    }
    /// The log-weight of a draft, in nats. `answers` answer the questions of [`ask`](Potential::ask), in order.
    ///
    /// # Errors
    /// Whatever prevents the potential from weighing; the lane fails.
    fn log_weight(&mut self, step: &Step, draft: &[Token], answers: &[Answer]) -> Result<f64>;
}

/// Copies a potential for a copy of its lane. Every potential that is `Clone` has this.
pub trait ForkPotential {
    /// A copy in the same state.
    fn fork(&self) -> Box<dyn Potential>;
}

impl<T: Potential + Clone + 'static> ForkPotential for T {
    fn fork(&self) -> Box<dyn Potential> {
        Box::new(self.clone())
    }
}
