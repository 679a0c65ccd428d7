//! The draft of a step: a joint draw for all open positions, and the policy's choice of what to commit.

use super::{Job, Lane, step_inference::StepInference};
use crate::{Answer, Ask, Cell, Moves, Pos, Proposal, Result, Token, engine::plan::lost, models::Process};
use std::{sync::Arc, time::Instant};

/// A joint draw for all open positions, before the policy has chosen what to commit.
pub(super) struct Draft {
    proposal: Proposal,
    pub asks: Vec<Ask>,
    /// The policy's choice; none while the policy waits for answers.
    moves: Option<Moves>,
    /// The text to commit where this step finishes the block: the likeliest text in a process that revises. Otherwise
    /// none, and the drawn text is committed.
    last: Option<Vec<Token>>,
    /// A feasible text for the whole canvas that agrees with the text to commit.
    witness: Option<Vec<Token>>,
    log_z: f64,
    exact: bool,
}

impl Lane {
    /// The requested temperature, or the model's default, which may change linearly over the steps of a block.
    pub(super) fn temperature(&self) -> f32 {
        let (first, last) = self.job.defaults.temperature;
        let left = self.progress.blocks.budget.saturating_sub(self.progress.blocks.index) as f32
            / self.progress.blocks.budget as f32;
        self.job.settings.temperature.unwrap_or(last + (first - last) * left)
    }

    /// Draws a text for all open positions. The policy then chooses among the positions of the block, unless it asks
    /// first.
    pub(super) fn draw(&mut self, job: &Job, inference: &StepInference) -> Result<Draft> {
        let started = Instant::now();
        let decided = self.progress.canvas.decided();
        let region = job.plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        let feasible = region.feasible()?.ok_or_else(lost)?;
        let scored = inference.scored(&feasible);
        let posterior = inference.posterior(&scored)?;
        let step = self.progress.step(job.model.denoiser());
        let text = inference.draw(&posterior, &step, 0xd4a3);
        let candidates = inference.candidates(&posterior, &step, &self.progress.open_in_block(), &text);
        let proposal = Proposal { candidates, text, answers: Vec::new() };
        self.constraint_time += started.elapsed();

        let last = self.progress.blocks.last();
        let asks = if last { Vec::new() } else { self.policy.ask(&step, &proposal) };
        let moves = match (last, asks.is_empty()) {
            (true, _) => Some(Moves::all()),
            (false, true) => Some(self.policy.choose(&step, &proposal)?),
            (false, false) => None,
        };

        let started = Instant::now();
        let (revises, may_finish) = (self.progress.process.revises(), moves.as_ref().is_none_or(|moves| moves.done));
        // A finished block of a process that revises holds the likeliest text, not a random one.
        let likeliest = (revises && may_finish).then(|| posterior.map());
        let committed = if revises { likeliest.as_ref() } else { Some(&proposal.text) };
        let whole =
            |text: &Vec<Token>| if text.len() < feasible.len() { feasible.completed(text) } else { Some(text.clone()) };
        let witness = committed.and_then(whole);
        let log_z = posterior.log_z();
        let finished = moves.as_ref().is_some_and(|moves| moves.done);
        self.feedback =
            if job.feeds_back && !finished { Some(Arc::new(inference.marginals(&posterior))) } else { None };
        self.constraint_time += started.elapsed();
        Ok(Draft { proposal, asks, moves, last: likeliest, witness, log_z, exact: region.exact() })
    }

    /// Commits the positions that the policy chooses.
    pub(super) fn commit(&mut self, job: &Job, draft: Draft, answers: Vec<Answer>) -> Result<()> {
        let Draft { mut proposal, asks: _, moves, last, witness, log_z, exact } = draft;
        proposal.answers = answers;
        let moves = match moves {
            Some(moves) => moves,
            None => self.policy.choose(&self.progress.step(job.model.denoiser()), &proposal)?,
        };
        let block = self.progress.open_in_block();
        let commit = if moves.done { block.clone() } else { chosen(moves.commit, &proposal)? };
        let canvas = &mut self.progress.canvas;
        if self.progress.process.revises() && !moves.done {
            // No position is decided yet. The chosen tokens become drafts of a uniform process; its other positions are
            // shown as noise. A continuous process keeps its state in latents.
            block.iter().for_each(|&pos| canvas.set(pos, Cell::Open));
            if self.progress.process == Process::Uniform {
                commit.iter().for_each(|&pos| canvas.set(pos, Cell::Draft { token: proposal.text[pos] }));
            }
        } else {
            let text = last.as_ref().unwrap_or(&proposal.text);
            let step = self.progress.taken;
            commit.iter().for_each(|&pos| canvas.set(pos, Cell::Held { token: text[pos], step }));
            self.witness = witness;
        }
        self.log_z.get_or_insert(log_z);
        self.exact &= exact;
        self.last.log_z = log_z;
        self.last.candidates = proposal.candidates;
        self.last.text = last.filter(|_| moves.done).unwrap_or(proposal.text);
        self.last.committed = commit;
        Ok(())
    }
}

/// Checks the policy's choice: every position must be a candidate. Duplicates are removed. Where the policy chose none,
/// the position with the most probable token is committed.
fn chosen(mut commit: Vec<Pos>, proposal: &Proposal) -> Result<Vec<Pos>> {
    commit.sort_unstable();
    commit.dedup();
    if let Some(stray) = commit.iter().find(|&&pos| proposal.candidates.binary_search_by_key(&pos, |c| c.pos).is_err())
    {
        return Err(crate::Error::input(format!("the policy commits position {stray}, which is not open"))
            .help("choose among the proposal's candidates"));
    }
    if commit.is_empty() {
        commit.extend(proposal.ranked(|c| c.prob).first().map(|c| c.pos));
    }
    Ok(commit)
}
