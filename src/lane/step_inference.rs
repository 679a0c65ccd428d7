//! The inference of one step: from scores to marginals and a joint draw.

use crate::{
    Candidate, Ending, Pos, Result, Scores, Settings, Step, Token,
    inference::{self, Feasible, Options, Posterior},
    models::Marginals,
};

/// The scores of a step, and the settings that shape its distribution.
pub(super) struct StepInference<'a> {
    /// The scores of the positions in play.
    pub scores: &'a Scores,
    pub settings: &'a Settings,
    /// The temperature; 0 takes the likeliest text.
    pub temperature: f32,
}

impl StepInference<'_> {
    /// The feasible sets of the positions that have scores.
    pub fn scored<'r>(&self, feasible: &Feasible<'r>) -> Feasible<'r> {
        if self.scores.len() < feasible.len() { feasible.prefix(self.scores.len()) } else { feasible.clone() }
    }

    /// The model's distribution over the feasible texts.
    pub fn posterior<'r>(&'r self, feasible: &Feasible<'r>) -> Result<Posterior<'r>> {
        let options = Options {
            temperature: if self.temperature == 0.0 { 1.0 } else { self.temperature },
            top_k: self.settings.top_k,
            top_p: self.settings.top_p,
            ..Options::default()
        };
        inference::infer(feasible, self.scores, &options)
    }

    /// Draws one text from the posterior.
    pub fn draw(&self, posterior: &Posterior, step: &Step, purpose: u64) -> Vec<Token> {
        if self.temperature == 0.0 { posterior.map() } else { posterior.sample(&mut step.rng(purpose)) }
    }

    /// The candidates among which a policy chooses: the drawn tokens at the positions of the block. Where the end is to
    /// be written last, tokens behind the text are left out as long as there are others.
    pub fn candidates(&self, posterior: &Posterior, step: &Step, block: &[Pos], text: &[Token]) -> Vec<Candidate> {
        let mut candidates = posterior.candidates_at(block, text);
        let in_text = |c: &Candidate| !step.vocab.is_tail(c.token);
        if self.settings.ending == Some(Ending::Last) && candidates.iter().any(in_text) {
            candidates.retain(in_text);
        }
        candidates
    }

    /// The marginal distribution of every position in play.
    pub fn marginals(&self, posterior: &Posterior) -> Marginals {
        let vocab = self.scores.vocab();
        let mut values = vec![0.0; self.scores.len() * vocab];
        values.chunks_exact_mut(vocab).enumerate().for_each(|(pos, row)| posterior.log_marginal(pos, row));
        Marginals { vocab, values }
    }
}
