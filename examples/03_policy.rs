//! A policy of your own: it picks which positions to commit at each step, and may take held ones back. The engine
//! writes the tokens, all from one valid text, so no order of commits can run into a dead end.
//!
//! This one works from the outside in.
//!
//! `cargo run --release --example 03_policy`

use std::ops::ControlFlow;
use stencil_lm::{Model, Moves, Policy, Proposal, Record, Result, Step};

#[derive(Clone)]
struct OutsideIn;

impl Policy for OutsideIn {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let last = step.canvas.len() - 1;
        // `ranked` orders the candidates; `quota` is how many are due so that the step budget suffices.
        let ranked = proposal.ranked(|c| -(c.pos.min(last - c.pos) as f32));
        Ok(Moves::commit(ranked.iter().take(proposal.quota(step)).map(|c| c.pos)))
    }
}

fn main() -> Result<()> {
    let model = Model::bundled()?;
    let output = model
        .fill("The {{animal}} is an animal that {{does:3-6}}.")?
        .policy_with(|| OutsideIn)
        .observer(|record: &Record| {
            if let Record::Step { index, committed, .. } = record {
                println!("step {index:2}: {committed:?}");
            }
            ControlFlow::Continue(())
        })
        .run()?;
    println!("{}", output.text);
    assert!(output.report.verified);
    Ok(())
}
