//! The kind `cfg`: classifier-free guidance.

use crate::{
    Result,
    guides::{ClassifierFree, HiddenPrompt},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// `cfg = { label = "animal", scale = 1.5 }`: classifier-free guidance towards a label the model was trained with;
/// `cfg = { scale = 1.5 }`: away from what the model says without the prompt. Soft.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierFreeKind {
    /// A condition of the model; the prompt if not given.
    pub label: Option<String>,
    /// 1.5 if not given.
    pub scale: Option<f32>,
}

impl ClassifierFreeKind {
    /// The default scale.
    pub const DEFAULT_SCALE: f32 = 1.5;
}

impl Kind for ClassifierFreeKind {
    const NAME: &'static str = "cfg";
    fn build(self, _: &BuildCx) -> Result<Part> {
        let scale = self.scale.unwrap_or(Self::DEFAULT_SCALE);
        Ok(match self.label {
            Some(label) => {
                Part::guide(move |model| Ok(Box::new(ClassifierFree::new(model.denoiser(), &label, scale)?)))
            }
            None => Part::guide(move |_| Ok(Box::new(HiddenPrompt::new(scale)?))),
        })
    }
}
