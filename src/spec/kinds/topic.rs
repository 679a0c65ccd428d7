//! The kind `topic`: guidance towards a topic.

use crate::{
    Error, Result,
    guides::NaiveBayes,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// `topic = "animal"` or `topic = { label = "animal", scale = 2.0 }`: soft.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TopicKind {
    /// A label, with the usual scale.
    Label(String),
    /// A label with a scale.
    Scaled(ScaledLabel),
}

/// A label and how strongly to pull towards it; negative pushes away.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaledLabel {
    /// The label.
    pub label: String,
    /// How strongly; 2 if not given.
    #[serde(default)]
    pub scale: Option<f32>,
}

impl TopicKind {
    /// The default scale.
    pub const DEFAULT_SCALE: f32 = 2.0;
}

impl Kind for TopicKind {
    const NAME: &'static str = "topic";
    fn build(self, _: &BuildCx) -> Result<Part> {
        let (label, scale) = match self {
            TopicKind::Label(label) => (label, None),
            TopicKind::Scaled(ScaledLabel { label, scale }) => (label, scale),
        };
        let scale = scale.unwrap_or(TopicKind::DEFAULT_SCALE);
        Ok(Part::guide(move |model| {
            let topics = model.topics().ok_or_else(|| {
                Error::input("the model comes without topic statistics")
                    .help("use a model that has a topics.safetensors, or leave out `topic`")
            })?;
            Ok(Box::new(NaiveBayes::new(topics.clone(), &label, scale)?))
        }))
    }
}
