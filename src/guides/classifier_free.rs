use super::{Energies, Guide};
use crate::models::log_sum_exp;
use crate::{Answer, Ask, CanvasView, Denoiser, Error, Result, Step};

/// Classifier-free guidance towards a condition the denoiser was trained with.
///
/// scores = log p_u + γ·(log p_c − log p_u): γ = 0 ignores the condition, 1 is the conditional model itself, more
/// exaggerates it, less than 0 steers away. Costs one further forward per step (the one without a condition is the
/// sampler's own, unless that is conditioned too).
/// Source: Ho and Salimans, arXiv 2207.12598, in the form used for masked models.
#[derive(Debug, Clone)]
pub struct ClassifierFree {
    condition: usize,
    scale: f32,
}

impl ClassifierFree {
    /// # Errors
    /// When the denoiser knows no such condition, or `scale` is not finite.
    pub fn new(denoiser: &dyn Denoiser, label: &str, scale: f32) -> Result<Self> {
        if !scale.is_finite() {
            return Err(Error::input(format!("the scale of `cfg` must be a finite number, not {scale}")));
        }
        let known = denoiser.conditions();
        let Some(condition) = known.iter().position(|c| c == label) else {
            let error = Error::input(format!("the model {} knows no condition {label:?}", denoiser.name()));
            return Err(match known {
                [] => error.help("it was trained without conditions: leave out `cfg`, or use `topic`"),
                _ => error.help(format!("conditions: {}", known.join(", "))),
            });
        };
        Ok(Self { condition, scale })
    }
}

impl Guide for ClassifierFree {
    fn ask(&mut self, step: &Step) -> Vec<Ask> {
        let view = step.canvas.view();
        let without = CanvasView { condition: None, ..view.clone() };
        vec![Ask::Scores(without), Ask::Scores(CanvasView { condition: Some(self.condition), ..view })]
    }

    fn guide(&mut self, step: &Step, to: &mut Energies, answers: &[Answer]) -> Result<()> {
        let [without, with] = answers else {
            return Err(Error::model("classifier-free guidance got no extra predictions"));
        };
        let (without, with) = (without.scores()?, with.scores()?);
        for pos in step.canvas.undecided() {
            let (u, c) = (without.row(pos), with.row(pos));
            let (zu, zc) = (log_sum_exp(u.iter().copied()), log_sum_exp(c.iter().copied()));
            to.add_each(pos, |token, _| finite(self.scale * ((c[token] - zc) - (u[token] - zu))));
        }
        Ok(())
    }
}

/// Replaces the energy of a token that both distributions forbid (NaN) by 0.
pub(super) fn finite(energy: f32) -> f32 {
    if energy.is_finite() { energy } else { 0.0 }
}
