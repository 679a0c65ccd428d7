//! Projections: what a caller asks of a conditioned distribution.

use crate::inference::Posterior;
use crate::{Candidate, Error, Pos, Result, Token};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The distribution of one step, conditioned on the constraint.
///
/// Positions and tokens are indices into the canvas and the vocabulary; one that lies outside is a mistake of the
/// caller and panics.
pub struct Projection<'a> {
    pub(super) posterior: Posterior<'a>,
    pub(super) exact: bool,
}

impl Projection<'_> {
    /// One text, drawn jointly: a token for each position, tail included. Any part of it can be committed; the rest
    /// completes it. The same seed gives the same text.
    pub fn sample(&self, seed: u64) -> Vec<Token> {
        self.posterior.sample(&mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// The most probable text.
    pub fn map(&self) -> Vec<Token> {
        self.posterior.map()
    }

    /// Logarithm, in nats, of the probability that a text drawn from the logits satisfies the constraint.
    ///
    /// This needs the weight of illegal tokens too: rows whose legal scores alone were read are read in full now.
    ///
    /// # Errors
    /// NaN or +∞ among them.
    pub fn log_z(&self) -> Result<f64> {
        let log_z = self.posterior.log_z();
        if log_z.is_nan() || log_z == f64::NEG_INFINITY {
            return Err(Error::model("the scores of illegal tokens are damaged: log Z is not a number")
                .help("scores are finite or −∞"));
        }
        Ok(log_z)
    }

    /// Writes the projected logits of a position: logarithms of probabilities that sum to 1, and −∞ for illegal tokens.
    /// At a decided position its token has 0.
    ///
    /// # Panics
    /// When `out` does not have V values.
    pub fn logits(&self, pos: Pos, out: &mut [f32]) {
        self.posterior.log_marginal(pos, out);
    }

    /// Probability of `token` at `pos`, given that the text satisfies the constraint.
    pub fn probability(&self, pos: Pos, token: Token) -> f32 {
        self.posterior.prob(pos, token)
    }

    /// Probability, margin and entropy of some undecided positions, with the tokens that `text` has there: the input of
    /// a policy. Only these positions are computed; decided ones are skipped.
    pub fn candidates(&self, positions: &[Pos], text: &[Token]) -> Vec<Candidate> {
        self.posterior.candidates_at(positions, text)
    }

    /// Whether all texts of the constraint took part; a recursive grammar may have been explored within a budget.
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}
