//! A guide of your own: soft control. It adds finite energies to the scores of every open position, before the
//! projection onto the constraints, so whatever it wants, the output still satisfies them.
//!
//! This one dislikes repetition: each token that is already on the canvas costs `penalty` nats.
//!
//! `cargo run --release --example 02_guide`

use stencil_lm::{Answer, Energies, Guide, Model, Result, Step};

#[derive(Clone)]
struct NoRepeats {
    penalty: f32,
}

impl Guide for NoRepeats {
    fn guide(&mut self, step: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
        let visible: Vec<_> = step.canvas.cells().iter().filter_map(|cell| cell.token()).collect();
        for pos in step.canvas.undecided() {
            // Padding repeats by nature.
            for &token in visible.iter().filter(|&&token| !step.vocab.is_tail(token)) {
                to.add(pos, token, -self.penalty);
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let model = Model::bundled()?;
    let template = "A {{what:1-2}} is {{a:6-8}}, and {{b:6-8}}.";
    for penalty in [0.0, 3.0] {
        // One instance per sample: a guide may keep state between steps.
        let outputs = model.fill(template)?.guide(move |_| Ok(NoRepeats { penalty })).samples(20)?;
        let (mut words, mut different) = (0, 0);
        for output in &outputs {
            let mut list: Vec<&str> = output.text.split_whitespace().collect();
            words += list.len();
            list.sort_unstable();
            list.dedup();
            different += list.len();
        }
        println!("penalty {penalty}: {different} of {words} words are different within their text");
        println!("  {}", outputs[0].text);
        assert!(outputs.iter().all(|o| o.report.verified));
    }
    Ok(())
}
