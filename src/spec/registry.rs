//! The plugins a constraint file may name.

use crate::{Constraint, Guide, Model, Result};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What a key of a constraint file turns into.
#[non_exhaustive]
pub enum Part {
    Constraint(Arc<dyn Constraint>),
    Guide(GuideFactory),
    Many(Vec<Part>),
}

/// Makes a guide for one sample, once the model is known.
pub type GuideFactory = Arc<dyn Fn(&Model) -> Result<Box<dyn Guide>> + Send + Sync>;

impl Part {
    pub fn constraint(constraint: impl Constraint + 'static) -> Self {
        Self::Constraint(Arc::new(constraint))
    }
    pub fn guide(make: impl Fn(&Model) -> Result<Box<dyn Guide>> + Send + Sync + 'static) -> Self {
        Self::Guide(Arc::new(make))
    }
}

/// What building a part may depend on.
#[derive(Default)]
#[non_exhaustive]
pub struct BuildCx {
    /// Folder that relative paths start from.
    pub dir: Option<PathBuf>,
    /// Values of `$name` inputs.
    pub inputs: BTreeMap<String, String>,
    /// Constraints on single slots of the template, by slot name.
    pub slots: BTreeMap<String, Vec<Arc<dyn Constraint>>>,
}

/// A plugin that a constraint file can name: `NAME = {…}` deserialises into `Self` and builds a part.
pub trait Kind: DeserializeOwned + JsonSchema {
    const NAME: &'static str;
    fn build(self, cx: &BuildCx) -> Result<Part>;
}
