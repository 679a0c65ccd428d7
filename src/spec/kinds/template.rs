//! The kind `template`: literal text with slots.

use crate::{
    Result,
    constraints::Template,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Literal text with slots: `The {{animal:1-2}} is {{size|small|large}}.`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct TemplateKind(pub String);

impl Kind for TemplateKind {
    const NAME: &'static str = "template";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(Template::build(&self.0, &cx.template)?))
    }
}
