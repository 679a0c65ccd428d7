//! The sampler of uniform-state models beside DiffusionGemma's own `generate`, chance scripted on both sides: the noise that
//! the network is shown comes from the reference, and an accepted position is shown its likeliest token. What is left is
//! compared: who is accepted at each step, the temperatures and beliefs that lead there, when a canvas is finished, what
//! stands on it, and how it is read before the next.

use super::{case::Case, samplers};
use serde_json::Value;
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use stencil_lm::{
    CanvasView, Denoiser, Model, Pos, Record, Result, Sampler, Scores, Settings, Token, Vocab,
    models::{DenoiserState, Item, Prediction, Pretrained, Process, SamplingDefaults, Uses},
};

/// A model that is shown the reference's noise.
struct Noised {
    inner: Pretrained,
    noise: Vec<Vec<Token>>,
    temperature: (f32, f32),
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Rows of noise that have been shown or passed over.
    row: usize,
    block: std::ops::Range<Pos>,
    /// What the latest step accepted.
    accepted: Vec<Pos>,
    /// The likeliest token of each position, a step ago.
    best: Vec<Token>,
}

impl Denoiser for Noised {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn vocab(&self) -> &Vocab {
        self.inner.vocab()
    }
    fn max_len(&self) -> usize {
        self.inner.max_len()
    }
    fn defaults(&self) -> SamplingDefaults {
        SamplingDefaults { temperature: self.temperature, ..self.inner.defaults() }
    }
    fn predict(&self, _: &[CanvasView]) -> Result<Vec<Scores>> {
        unreachable!("a uniform-state model keeps what it believed")
    }
    fn process(&self) -> Process {
        self.inner.process()
    }
    fn uses(&self) -> Uses {
        self.inner.uses()
    }
    fn answer(&self, items: &mut [Item]) -> Result<()> {
        let item = &mut items[0];
        let mut state = self.state.lock().unwrap();
        let block = item.state.as_deref().map(|state: &DenoiserState| state.block.clone()).unwrap();
        if state.block != block {
            // The reference draws noise after the last step of a canvas, too.
            state.row += usize::from(!state.block.is_empty());
            (state.block, state.accepted) = (block.clone(), Vec::new());
        }
        for pos in block.clone() {
            let accepted = state.accepted.contains(&pos);
            let token = if accepted { state.best[pos] } else { self.noise[state.row][pos - block.start] };
            item.view.tokens[pos] = Some(token);
        }
        state.row += 1;
        self.inner.answer(items)?;
        let Some(Prediction::Scores(scores)) = &items[0].prediction else { panic!("no scores") };
        let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as Token;
        state.best = (0..scores.len()).map(|pos| best(scores.row(pos))).collect();
        Ok(())
    }
}

/// Runs the reference's runs of one folder; how many there were.
pub fn check(case: &Case, runs: &serde_json::Map<String, Value>, model: impl Fn() -> Pretrained) -> usize {
    for (name, run) in runs {
        let number = |key: &str| run[key].as_f64().unwrap_or_else(|| panic!("{name}: {key}")) as f32;
        let prompt = case.ids("gen.prompt").unwrap().remove(0);
        let expected = case.ids(&format!("{name}.out")).unwrap().remove(0).split_off(prompt.len());
        let accepted = case.ids(&format!("{name}.accepted")).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let model = Model::new(Noised {
            inner: model(),
            noise: case.ids(&format!("{name}.noise")).unwrap(),
            temperature: (number("t_max"), number("t_min")),
            state: state.clone(),
        });
        let canvases = expected.len().div_ceil(model.denoiser().defaults().blocks.unwrap().size);
        let settings = Settings {
            len: Some(expected.len()),
            steps: Some(canvases * number("max_denoising_steps") as usize),
            ..Settings::default()
        }
        .option("entropy_bound", number("entropy_bound"))
        .option("stop_entropy", number("confidence_threshold"));
        let mut ours = Vec::new();
        let observer = |record: &Record| {
            if let Record::Step { committed, .. } = record {
                let mut state = state.lock().unwrap();
                state.accepted = committed.to_vec();
                let row = state.block.clone().map(|pos| u32::from(committed.contains(&pos)));
                ours.push(row.collect::<Vec<_>>());
            }
            ControlFlow::Continue(())
        };
        let sampler = Sampler::new(&model).settings(settings).prompt(samplers::text(&prompt)).observer(observer);
        let output = sampler.run().unwrap_or_else(|e| panic!("{}: {name}: {e:?}", case.name)).remove(0);
        assert_eq!(ours.len(), accepted.len(), "{}: {name}: steps", case.name);
        for (step, (ours, reference)) in ours.iter().zip(&accepted).enumerate() {
            // With the last step of a canvas all of it is written.
            let last = ours.iter().all(|&a| a == 1);
            assert!(last || ours == reference, "{}: {name}: step {step}: {ours:?} {reference:?}", case.name);
        }
        println!("  {name}: {} tokens in {} forwards", expected.len(), output.report.nfe);
        assert_eq!(samplers::tokens(&output.text), expected, "{}: {name}", case.name);
    }
    runs.len()
}
