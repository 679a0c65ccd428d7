//! Populations: lanes of one job that are weighed against each other; and the potentials that weigh them.

use crate::{Answer, Ask, Canvas, Model, Result, Step, Token};
use std::sync::Arc;

/// Makes a potential for one lane, once the model is known.
pub type PotentialFactory = Arc<dyn Fn(&Model) -> Result<Box<dyn Potential>> + Send + Sync>;

/// What a [`Population`] sees of a lane after a step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LaneView<'a> {
    /// Its place in the population.
    pub index: usize,
    /// Its seed.
    pub seed: u64,
    /// What has been written.
    pub canvas: &'a Canvas,
    /// Steps taken.
    pub steps: usize,
    /// Logarithm of the model's mass on the constraints at the first step, in nats; none before it.
    pub first_log_z: Option<f64>,
    /// The same at the latest step.
    pub log_z: f64,
    /// Sum of the potentials' log-weights of the latest draft.
    pub log_potential: f64,
    /// The text that the latest step drew, with what pads it.
    pub draft: &'a [Token],
    /// Whether something is left to write.
    pub is_open: bool,
}

/// Weighs lanes against each other between the commits of one step and the next look: importance weights, resampling,
/// best-of-k. Lanes that no population joins stand for themselves.
pub trait Population: Send {
    /// Which lane each one continues with: entry i names the lane whose copy takes the place of lane i, i itself where
    /// nothing changes. A copy keeps the seed of the place it takes, so that copies part ways.
    ///
    /// # Errors
    /// What the population cannot do.
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>>;
}

impl Population for Box<dyn Population> {
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>> {
        (**self).resample(lanes)
    }
}

/// Weighs the text that a step drew: a reward, an energy. One instance serves one lane.
pub trait Potential: ForkPotential + Send {
    /// What it wants to know about a draft; answered in one batch for all lanes.
    fn ask(&mut self, _step: &Step, _draft: &[Token]) -> Vec<Ask> {
        Vec::new()
    }
    /// The log-weight of a draft, in nats. `answers` are those to [`ask`](Potential::ask), in order.
    ///
    /// # Errors
    /// What the potential cannot do.
    fn log_weight(&mut self, step: &Step, draft: &[Token], answers: &[Answer]) -> Result<f64>;
}

/// Copies a potential for a copy of its lane: every potential that is `Clone`.
pub trait ForkPotential {
    /// A copy.
    fn fork(&self) -> Box<dyn Potential>;
}

impl<T: Potential + Clone + 'static> ForkPotential for T {
    fn fork(&self) -> Box<dyn Potential> {
        Box::new(self.clone())
    }
}
