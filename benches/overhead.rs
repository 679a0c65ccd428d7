//! What do constraints cost on the bundled model? Steps with and without them, interleaved in one run, and the
//! forwards that forced positions save.
//!
//! `cargo bench --bench overhead`

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use stencil_lm::{
    CanvasView, Denoiser, Layout, Model, Result, Sampler, Settings, Source,
    spec::{Inputs, Spec},
};

const ROUNDS: usize = 15;

/// A step as an engine without constraints does it: forward, softmax, one draw per position. Milliseconds.
fn unconstrained_step(denoiser: &dyn Denoiser, len: usize, rng: &mut ChaCha8Rng) -> Result<f64> {
    let view = CanvasView { prompt: Vec::new().into(), condition: None, tokens: vec![None; len] };
    let started = Instant::now();
    let scores = denoiser.predict(&[view])?.remove(0);
    let mut drawn = 0;
    for pos in 0..len {
        let row = scores.row(pos);
        let max = row.iter().copied().fold(f32::MIN, f32::max);
        let exp: Vec<f32> = row.iter().map(|s| (s - max).exp()).collect();
        let mut left = rng.random::<f32>() * exp.iter().sum::<f32>();
        drawn += exp
            .iter()
            .position(|e| {
                left -= e;
                left < 0.0
            })
            .unwrap_or(0);
    }
    std::hint::black_box(drawn);
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<()> {
    let model = Model::bundled()?;
    let template = |text: &str| Spec::new().template(&Source::new("template", text), &Inputs::default());
    let items: Vec<(&str, Spec)> = vec![
        ("template of the README", template("The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.")?),
        ("ISO date", Spec::new().regex(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")?),
        ("e-mail", Spec::new().regex(r"[a-z0-9._]+@[a-z0-9]+(\.[a-z]{2,})+")?),
        ("capitalised words", Spec::new().regex("(?:[A-Z][a-z]{0,20} ){1,40}")?),
        ("contains three words", Spec::new().contains(["river", "animal", "large"])?.length("6-20w")?),
        ("choice of 3", Spec::new().choice(["yes", "no", "it depends"])?),
    ];
    println!(
        "| constraint | layout | step ms | unconstrained step ms | ratio | constraint share | compile ms | forced | forwards |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, spec) in &items {
        for layout in [Layout::Pinned, Layout::Floating] {
            let scaffold = *name == "template of the README";
            if layout == Layout::Pinned && !scaffold {
                continue; // only templates have a layout to choose
            }
            let (mut steps, mut free, mut share, mut compile) = (vec![], vec![], vec![], vec![]);
            let (mut forced, mut written, mut nfe) = (0, 0, 0);
            for round in 0..ROUNDS {
                let settings = Settings { layout: Some(layout), seed: Some(round as u64), ..Settings::default() };
                let mut marks: Vec<Instant> = Vec::new();
                let started = Instant::now();
                let mut len = 0;
                let outputs = Sampler::new(&model)
                    .spec(spec)
                    .settings(settings)
                    .observer(|record: &stencil_lm::Record| {
                        match record {
                            stencil_lm::Record::Start { cells, .. } => len = cells.len(),
                            stencil_lm::Record::Step { .. } => {}
                            _ => return std::ops::ControlFlow::Continue(()),
                        }
                        marks.push(Instant::now());
                        std::ops::ControlFlow::Continue(())
                    })
                    .run()?;
                let report = &outputs[0].report;
                compile.push((marks[0] - started).as_secs_f64() * 1e3);
                steps.extend(marks.windows(2).map(|m| (m[1] - m[0]).as_secs_f64() * 1e3));
                for _ in 1..marks.len() {
                    free.push(unconstrained_step(model.denoiser(), len, &mut rng)?);
                }
                share.push(report.constraint_ms / report.elapsed_ms);
                forced += report.forced;
                written += len;
                nfe += report.nfe;
            }
            if steps.is_empty() {
                steps.push(f64::NAN);
                free.push(f64::NAN);
            }
            let (step, alone) = (median(steps), median(free));
            println!(
                "| {name} | {layout:?} | {step:.2} | {alone:.2} | {:.2} | {:.0} % | {:.1} | {:.1} of {:.1} | {:.1} |",
                step / alone,
                100.0 * median(share),
                median(compile),
                forced as f64 / ROUNDS as f64,
                written as f64 / ROUNDS as f64,
                nfe as f64 / ROUNDS as f64,
            );
        }
    }
    Ok(())
}
