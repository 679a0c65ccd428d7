//! The plugins a constraint file may name.

use super::{
    document::{Document, Node},
    kinds,
    read::{OWN_KEYS, SIZES},
};
use crate::{Constraint, Error, Guide, GuideFactory, Model, Result, constraints::TemplateCx};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What a key of a constraint file turns into.
#[non_exhaustive]
pub enum Part {
    /// Something that must hold.
    Constraint(Arc<dyn Constraint>),
    /// Something that pulls.
    Guide(GuideFactory),
    /// Several of them, from one key.
    Many(Vec<Part>),
}

impl Part {
    /// A part that must hold.
    pub fn constraint(constraint: impl Constraint + 'static) -> Self {
        Self::Constraint(Arc::new(constraint))
    }
    /// A part that pulls; `make` is called once per sample.
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
    /// What the parts of a template depend on: inputs, and the conditions on single slots.
    pub template: TemplateCx,
}

/// A plugin that a constraint file can name: `NAME = {…}` deserialises into `Self` and builds a part.
///
/// # Errors
/// An error's span counts from the start of the value where the value is a string; otherwise a JSON Pointer
/// relative to the value says where it belongs. With neither, the whole value is shown.
pub trait Kind: DeserializeOwned + JsonSchema {
    /// The key in a file.
    const NAME: &'static str;
    /// Checks what was read and makes the part.
    fn build(self, cx: &BuildCx) -> Result<Part>;
}

/// The kinds a constraint file may use.
///
/// ```
/// let registry = stencil_lm::spec::Registry::builtin();
/// assert!(registry.names().any(|name| name == "regex"));
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Registered>,
}

#[derive(Clone, Copy)]
pub(crate) struct Registered {
    /// Builds the part that a value of the document describes; errors point into the document.
    pub read: fn(&Node, &Document, &BuildCx) -> Result<Part>,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Registry {
    /// No kinds at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The kinds that come with the crate.
    pub fn builtin() -> Self {
        Self::empty()
            .with::<kinds::TemplateKind>()
            .with::<kinds::RegexKind>()
            .with::<kinds::GrammarKind>()
            .with::<kinds::JsonSchemaKind>()
            .with::<kinds::ChoiceKind>()
            .with::<kinds::ContainsKind>()
            .with::<kinds::ExcludesKind>()
            .with::<kinds::LengthKind>()
            .with::<kinds::PrefixKind>()
            .with::<kinds::SuffixKind>()
            .with::<kinds::TopicKind>()
            .with::<kinds::BiasKind>()
            .with::<kinds::ClassifierFreeKind>()
            .with::<kinds::CreditKind>()
    }

    /// Adds a kind; one of the same name is replaced. A kind named like a key of the file itself does not compile.
    pub fn with<K: Kind>(mut self) -> Self {
        const { assert!(is_free(K::NAME), "a kind cannot have the name of a key of the file itself") };
        let read = |node: &Node, document: &Document, cx: &BuildCx| {
            let kind = K::deserialize(node).map_err(|e| document.blame(e.into()))?;
            kind.build(cx).map_err(|e| document.blame(place(e, node, document)))
        };
        self.kinds.insert(K::NAME, Registered { read, schema: |generator| generator.subschema_for::<K>() });
        self
    }

    /// Names of the kinds, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Registered> {
        self.kinds.get(name).copied()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Registered)> {
        self.kinds.iter().map(|(name, kind)| (*name, *kind))
    }
}

/// Whether no key of the file, or of a slot's table, goes by this name.
const fn is_free(name: &str) -> bool {
    let (mut i, mut free) = (0, true);
    while i < OWN_KEYS.len() + SIZES.len() {
        let taken = if i < OWN_KEYS.len() { OWN_KEYS[i] } else { SIZES[i - OWN_KEYS.len()].0 };
        let (a, b) = (name.as_bytes(), taken.as_bytes());
        let mut same = a.len() == b.len();
        let mut j = 0;
        while same && j < a.len() {
            same = a[j] == b[j];
            j += 1;
        }
        free &= !same;
        i += 1;
    }
    free
}

/// Moves an error of building a value from the value's own text to where that stands in the file.
fn place(error: Error, node: &Node, document: &Document) -> Error {
    let Some(source) = &document.source else { return error };
    let value = node.resolve(error.json_pointer().unwrap_or_default());
    match (error.span(), value.verbatim(&source.text)) {
        (Some(_), Some(start)) => error.shifted(start),
        _ => error.replace_span(value.span.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_cannot_take_the_names_of_other_keys() {
        for name in ["version", "slots", "all", "words"] {
            assert!(!is_free(name));
        }
        assert!(Registry::builtin().names().all(is_free));
    }
}
