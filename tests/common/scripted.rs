//! A denoiser that always says the same, and what policies make of it.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use stencil_lm::{CanvasView, Denoiser, Model, Pos, Record, Result, Sampler, Scores, Settings, Vocab, spec::Spec};

/// Token ids: `a` 0, `b` 1, `c` 2, space 3, end 4, a special token 5.
pub fn vocab() -> Vocab {
    let writes = ["a", "b", "c", " "].map(|t| Some(t.as_bytes().to_vec()));
    Vocab::from_bytes(writes.into_iter().chain([None, None]).collect(), Some(4), None).unwrap()
}

/// The same scores at every step: one row per position, log-probabilities of `a b c ␣ end special`.
#[derive(Clone)]
pub struct Scripted {
    pub vocab: Vocab,
    pub rows: Vec<[f32; 6]>,
    pub forwards: Arc<Mutex<usize>>,
}

impl Scripted {
    pub fn new(rows: Vec<[f32; 6]>) -> Self {
        Self { vocab: vocab(), rows, forwards: Arc::default() }
    }
    /// Probability `p` on `a`, the rest on `b`; the special token towers over both.
    pub fn certain(probabilities: &[f32]) -> Self {
        let row = |p: &f32| [p.ln(), (1.0 - p).ln(), -50.0, -50.0, -50.0, 50.0];
        Self::new(probabilities.iter().map(row).collect())
    }
}

impl Denoiser for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.rows.len()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        *self.forwards.lock().unwrap() += views.len();
        let rows = |view: &CanvasView| self.rows[..view.tokens.len()].iter().flatten().copied().collect();
        views.iter().map(|view| Scores::new(6, rows(view))).collect()
    }
}

/// Positions committed and reopened at each step.
pub fn moves(denoiser: &Scripted, settings: Settings, spec: &Spec) -> Vec<(Vec<Pos>, Vec<Pos>)> {
    let mut seen = Vec::new();
    let model = Model::new(denoiser.clone());
    let observer = |record: &Record| {
        if let Record::Step { committed, reopened, .. } = record {
            let mut committed = committed.to_vec();
            committed.sort();
            seen.push((committed, reopened.to_vec()));
        }
        ControlFlow::Continue(())
    };
    Sampler::new(&model).spec(spec).settings(settings).observer(observer).run().unwrap();
    seen
}

pub fn commits(probabilities: &[f32], settings: Settings) -> Vec<Vec<Pos>> {
    let spec = Spec::new().regex("[ab]*").unwrap();
    let settings = Settings { temperature: Some(0.0), len: Some(probabilities.len()), ..settings };
    moves(&Scripted::certain(probabilities), settings, &spec).into_iter().map(|(c, _)| c).collect()
}

pub fn policy(name: &str) -> Settings {
    Settings { policy: Some(name.into()), ..Settings::default() }
}
