//! The loop, driven by hand: lanes that join and leave a running batch, and a population that weighs them.
//!
//! Best of k by log Z: after a few steps all lanes go on from the one whose constraint the model likes best.
//!
//! `cargo run --release --example 07_runner`

use stencil_lm::{LaneView, Model, Population, Record, Result, Runner};

struct BestOf {
    /// Steps after which the choice is made.
    after: usize,
}

impl Population for BestOf {
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>> {
        let best = lanes.iter().max_by(|a, b| a.log_z.total_cmp(&b.log_z)).map_or(0, |lane| lane.index);
        let now = lanes.iter().all(|lane| lane.steps == self.after);
        Ok(lanes.iter().map(|lane| if now { best } else { lane.index }).collect())
    }
}

fn main() -> Result<()> {
    let model = Model::bundled()?;
    let job = model.fill("A {{thing:1-2}} is a thing that {{does:6}}.")?.job()?;
    let mut run = Runner::new(&model);
    let lanes = (0..8).map(|seed| job.lane(seed)).collect::<Result<Vec<_>>>()?;
    let ids = run.submit_population(lanes, BestOf { after: 3 })?;
    let visitor = run.submit(model.fill("The {{animal}} is {{size|small|large}}.")?.job()?.lane(0)?)?;
    while let Some(records) = run.step()? {
        for record in records {
            match record {
                Record::Step { sample, ancestor: Some(from), .. } => println!("lane {sample} goes on from lane {from}"),
                Record::End { sample, text, .. } => println!("lane {sample}: {text}"),
                _ => {}
            }
        }
    }
    for id in ids.into_iter().chain([visitor]) {
        assert!(run.take(id)?.report.verified);
    }
    Ok(())
}
