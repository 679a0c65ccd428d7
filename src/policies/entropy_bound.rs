use super::{Moves, Policy, Proposal};
use crate::{Result, Step};

/// Commits the most certain positions while what they might owe each other stays bounded.
///
/// Positions in ascending entropy; the largest prefix with Σ H − max H ≤ bound (nats). The left side bounds the
/// error of drawing the prefix independently. Source: arXiv 2505.24857.
#[derive(Debug, Clone, Copy)]
pub struct EntropyBound(pub f32);

impl Policy for EntropyBound {
    fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
        let mut before = 0.0; // Σ H − max H of a prefix in ascending order is the sum without its last
        let prefix = proposal.ranked(|c| -c.entropy).into_iter().take_while(|c| {
            let within = before <= self.0;
            before += c.entropy;
            within
        });
        Ok(Moves::commit(prefix.map(|c| c.pos)))
    }
}
