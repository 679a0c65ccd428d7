use super::{Energies, Guide, classifier_free::finite};
use crate::{Answer, Ask, CanvasView, Error, Result, Step};
use std::sync::Arc;

/// Classifier-free guidance with a hidden prompt: guides away from the prediction that the model makes without the
/// prompt.
///
/// scores = s + w·(s − s_hidden), where every token of the prompt is shown as open for s_hidden: w = 0 changes nothing.
/// Costs one further forward per step. Source: LLaDA's `cfg_scale` (arXiv 2502.09992).
#[derive(Debug, Clone)]
pub struct HiddenPrompt {
    scale: f32,
}

impl HiddenPrompt {
    /// # Errors
    /// When `scale` is not finite.
    pub fn new(scale: f32) -> Result<Self> {
        if scale.is_finite() {
            Ok(Self { scale })
        } else {
            Err(Error::input(format!("the scale of `cfg` must be a finite number, not {scale}")))
        }
    }
}

impl Guide for HiddenPrompt {
    fn ask(&mut self, step: &Step) -> Vec<Ask> {
        let CanvasView { prompt, tokens, .. } = step.canvas.view();
        let tokens = prompt.iter().map(|_| None).chain(tokens).collect();
        vec![Ask::Scores(CanvasView { prompt: Arc::default(), condition: None, tokens })]
    }

    fn guide(&mut self, step: &Step, to: &mut Energies, answers: &[Answer]) -> Result<()> {
        let prompt = step.canvas.prompt().len();
        if prompt == 0 {
            return Err(Error::input("`cfg` without a label hides the prompt, but there is none")
                .help("give a prompt, or a label that the model knows"));
        }
        if step.process.revises() {
            return Err(Error::input(
                "`cfg` without a label needs a model that can be shown nothing, which a \
                                     uniform-state model cannot",
            ));
        }
        let [hidden] = answers else { return Err(Error::model("guidance by a hidden prompt got no prediction")) };
        let (hidden, len) = (hidden.scores()?, to.len());
        for pos in step.canvas.undecided().filter(|&pos| pos < len) {
            let without = hidden.row(prompt + pos);
            to.add_each(pos, |token, score| finite(self.scale * (score - without[token])));
        }
        Ok(())
    }
}
