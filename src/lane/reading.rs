//! From scores to a text that fits.

use crate::{
    Candidate, Ending, Pos, Result, Scores, Settings, Step, Token,
    inference::{self, Feasible, Options, Posterior},
    models::Marginals,
};

/// How the scores of a step are read.
pub(super) struct Reading<'a> {
    /// Of the positions in play.
    pub scores: &'a Scores,
    pub settings: &'a Settings,
    /// 0 takes the likeliest text.
    pub temperature: f32,
}

impl Reading<'_> {
    /// The part of a canvas that the scores speak of.
    pub fn near<'r>(&self, reach: &Feasible<'r>) -> Feasible<'r> {
        if self.scores.len() < reach.len() { reach.prefix(self.scores.len()) } else { reach.clone() }
    }

    /// The model's distribution on the texts that fit.
    pub fn posterior<'r>(&'r self, reach: &Feasible<'r>) -> Result<Posterior<'r>> {
        let options = Options {
            temperature: if self.temperature == 0.0 { 1.0 } else { self.temperature },
            top_k: self.settings.top_k,
            top_p: self.settings.top_p,
            ..Options::default()
        };
        inference::infer(reach, self.scores, &options)
    }

    /// One text of it.
    pub fn draw(&self, posterior: &Posterior, step: &Step, purpose: u64) -> Vec<Token> {
        if self.temperature == 0.0 { posterior.map() } else { posterior.sample(&mut step.rng(purpose)) }
    }

    /// What a policy may choose from: the drawn tokens at these positions. Where the end is to be written last, tokens
    /// behind the text are left out as long as there are others.
    pub fn candidates(&self, posterior: &Posterior, step: &Step, block: &[Pos], text: &[Token]) -> Vec<Candidate> {
        let mut candidates = posterior.candidates_at(block, text);
        let in_text = |c: &Candidate| !step.vocab.is_tail(c.token);
        if self.settings.ending == Some(Ending::Last) && candidates.iter().any(in_text) {
            candidates.retain(in_text);
        }
        candidates
    }

    /// The distribution of every position in play.
    pub fn marginals(&self, posterior: &Posterior) -> Marginals {
        let vocab = self.scores.vocab();
        let mut values = vec![0.0; self.scores.len() * vocab];
        values.chunks_exact_mut(vocab).enumerate().for_each(|(pos, row)| posterior.log_marginal(pos, row));
        Marginals { vocab, values }
    }
}
