//! The registry of plugins that a constraint file may name.

use super::{
    document::{Document, Node},
    kinds,
    read::{OWN_KEYS, SIZES},
};
use crate::{
    Constraint, Error, Guide, GuideFactory, Model, Policy, Potential, PotentialFactory, Result,
    constraints::TemplateCx, policies::PolicyFactory,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A part of a spec, built from a key of a constraint file.
#[non_exhaustive]
pub enum Part {
    /// A hard constraint.
    Constraint(Arc<dyn Constraint>),
    /// A guide.
    Guide(GuideFactory),
    /// A potential.
    Potential(PotentialFactory),
    /// A policy.
    Policy(PolicyFactory),
    /// Several parts from one key.
    Many(Vec<Part>),
}

impl Part {
    /// A hard constraint as a part.
    pub fn constraint(constraint: impl Constraint + 'static) -> Self {
        Self::Constraint(Arc::new(constraint))
    }
    /// A guide as a part; `make` is called once per sample.
    pub fn guide(make: impl Fn(&Model) -> Result<Box<dyn Guide>> + Send + Sync + 'static) -> Self {
        Self::Guide(Arc::new(make))
    }
    /// A potential as a part, for a population that compares drafts; `make` is called once per sample.
    pub fn potential(make: impl Fn(&Model) -> Result<Box<dyn Potential>> + Send + Sync + 'static) -> Self {
        Self::Potential(Arc::new(make))
    }
    /// A policy as a part; `make` is called once per sample.
    pub fn policy<P: Policy + 'static>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self::Policy(PolicyFactory::new(make))
    }

    /// Whether a kind of this role may build the part.
    fn fits(&self, role: Role) -> bool {
        match self {
            Self::Constraint(_) | Self::Guide(_) | Self::Potential(_) => role == Role::Text,
            Self::Policy(_) => role == Role::Policy,
            Self::Many(parts) => role == Role::Text && parts.iter().all(|part| part.fits(role)),
        }
    }
}

/// The role of a kind: where a file may name it. Each role has its own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// A constraint, a guide or a potential: a key of the file itself, of `all` or of a slot.
    Text,
    /// A policy: the key of `[sampler.policy]`.
    Policy,
}

/// The context in which a part is built.
#[derive(Default)]
#[non_exhaustive]
pub struct BuildCx {
    /// The base folder of relative paths.
    pub dir: Option<PathBuf>,
    /// The context of templates: inputs, and the conditions on single slots.
    pub template: TemplateCx,
    /// The key in the file: the kind's name or one of its aliases. Empty for a part built in code.
    pub key: String,
}

/// A plugin that a constraint file can name: `NAME = {…}` deserialises into `Self` and builds a part.
///
/// # Errors
/// An error's span is relative to the start of the value if the value is a string. Otherwise a JSON Pointer relative to
/// the value gives the position. With neither, the whole value is shown.
pub trait Kind: DeserializeOwned + JsonSchema {
    /// The key in files.
    const NAME: &'static str;
    /// The place of the key in files.
    const ROLE: Role = Role::Text;
    /// Whether a name is an alias of the key. Diagnostics do not list aliases.
    fn is_alias(_name: &str) -> bool {
        false
    }
    /// Checks the value and builds the part.
    fn build(self, cx: &BuildCx) -> Result<Part>;
}

/// The kinds that a constraint file may use.
///
/// ```
/// let registry = stencil_lm::spec::Registry::builtin();
/// assert!(registry.names().any(|name| name == "regex"));
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<(Role, &'static str), Registered>,
}

#[derive(Clone, Copy)]
pub(crate) struct Registered {
    /// Builds the part that a value describes; errors point into the document.
    pub read: fn(&Node, &Document, &BuildCx) -> Result<Part>,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub is_alias: fn(&str) -> bool,
}

impl Registry {
    /// A registry without kinds.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The built-in kinds.
    pub fn builtin() -> Self {
        kinds::with_policies(Self::empty())
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

    /// Adds a kind; a kind of the same role and name is replaced. A constraint or guide with the name of one of the
    /// file's own keys does not compile.
    pub fn with<K: Kind>(mut self) -> Self {
        const {
            let free = matches!(K::ROLE, Role::Policy) || is_free(K::NAME);
            assert!(free, "a kind cannot have the name of a key of the file itself");
        };
        let read = |node: &Node, document: &Document, cx: &BuildCx| {
            let kind = K::deserialize(node).map_err(|e| document.blame(e.into()))?;
            let part = kind.build(cx).map_err(|e| document.blame(place(e, node, document)))?;
            match part {
                Part::Policy(policy) if K::ROLE == Role::Policy && policy.options().is_none() => {
                    Ok(Part::Policy(policy.with_name(K::NAME)))
                }
                part if part.fits(K::ROLE) => Ok(part),
                _ => Err(document.blame(wrong_part::<K>().at(node.span.clone()))),
            }
        };
        let schema = |generator: &mut SchemaGenerator| generator.subschema_for::<K>();
        self.kinds.insert((K::ROLE, K::NAME), Registered { read, schema, is_alias: K::is_alias });
        self
    }

    /// The names of constraints and guides, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names_of(Role::Text)
    }
    /// The names of the kinds of a role, in alphabetical order.
    pub fn names_of(&self, role: Role) -> impl Iterator<Item = &'static str> {
        self.iter(role).map(|(name, _)| name)
    }

    pub(crate) fn get(&self, role: Role, name: &str) -> Option<Registered> {
        let exact = self.iter(role).find(|(known, _)| *known == name);
        let found = exact.or_else(|| self.iter(role).find(|(_, kind)| (kind.is_alias)(name)));
        found.map(|(_, kind)| kind)
    }
    pub(crate) fn iter(&self, role: Role) -> impl Iterator<Item = (&'static str, Registered)> {
        self.kinds.iter().filter(move |((its, _), _)| *its == role).map(|((_, name), kind)| (*name, *kind))
    }
}

/// The error for a kind that builds a part of another role: a mistake of the plugin, not of the user.
fn wrong_part<K: Kind>() -> Error {
    let (is, help) = match K::ROLE {
        Role::Text => ("constraint or guide", "a kind that builds a policy says `const ROLE: Role = Role::Policy`"),
        Role::Policy => ("policy", "`Kind::build` must return one `Part::policy`"),
    };
    Error::unsupported(format!("the kind `{}` is registered as a {is}, but builds something else", K::NAME)).help(help)
}

/// Whether a name is free: no key of the file or of a slot's table has it.
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

/// Translates the span of an error from the value's own text to the file.
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
