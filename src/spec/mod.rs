//! Specs: constraint files, templates, and the registry of plugins that reads them.

mod de;
mod document;
pub mod kinds;
mod read;
mod registry;
mod schema;
#[cfg(test)]
mod tests;

pub use crate::constraints::Inputs;
pub use document::Document;
pub use registry::{BuildCx, Kind, Part, Registry, Role};

use crate::{
    Constraint, Error, GuideFactory, PotentialFactory, Result, Settings, Source, Verdict, Vocab, automata::Dfa,
    constraints as c, engine::plan, grammar::Acceptor, policies::PolicyFactory, schema::Unenforced,
};
use std::{path::Path, sync::Arc};

/// A specification of a text: hard constraints, guides, and sampling settings.
#[derive(Clone, Default)]
pub struct Spec {
    /// A description in one sentence.
    pub description: Option<String>,
    /// The hard constraints, all of which hold.
    pub constraints: Vec<Arc<dyn Constraint>>,
    /// The guides.
    pub guides: Vec<GuideFactory>,
    /// The potentials, which weigh drafts.
    pub potentials: Vec<PotentialFactory>,
    /// The sampling settings.
    pub settings: Settings,
    /// A policy beside those that settings name.
    pub policy: Option<PolicyFactory>,
    /// Texts that must be accepted; `stencil check` tests them.
    pub accepts: Vec<String>,
    /// Texts that must be rejected; `stencil check` tests them.
    pub rejects: Vec<String>,
}

impl Spec {
    /// A spec without constraints, guides and settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a constraint file in TOML.
    ///
    /// ```
    /// use stencil_lm::{Source, spec::{Inputs, Registry, Spec}};
    /// let file = Source::new("day.toml", r"regex = '\d{4}-\d{2}-\d{2}'");
    /// let spec = Spec::from_toml(&file, &Registry::builtin(), &Inputs::default())?;
    /// assert!(spec.check("2024-02-29").accepted());
    /// # Ok::<(), stencil_lm::Error>(())
    /// ```
    ///
    /// # Errors
    /// Syntax errors, unknown keys and wrong values, each with its position in the file.
    pub fn from_toml(source: &Source, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        read::read(&Document::from_toml(source)?, None, registry, inputs)
    }

    /// Reads a constraint file in JSON.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), with JSON Pointers.
    pub fn from_json(source: &Source, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        read::read(&Document::from_json(source)?, None, registry, inputs)
    }

    /// Reads a constraint document that was embedded, for example in a line of JSON.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json); positions are JSON Pointers relative to the document.
    pub fn from_document(document: &Document, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        read::read(document, None, registry, inputs)
    }

    /// Reads a constraint file: JSON if its name ends in `.json` or its text starts with `{`, TOML otherwise.
    /// Relative paths in the file start from its folder.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml); a file that cannot be read or is not UTF-8.
    pub fn load(path: impl AsRef<Path>, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        let path = path.as_ref();
        let source = Source::read(path)?;
        read::read(&Document::parse(&source)?, path.parent().map(Path::to_path_buf), registry, inputs)
    }

    /// Merges two specs: the constraints of both hold, and settings may come from either.
    ///
    /// # Errors
    /// Different values for the same setting.
    pub fn merge(mut self, other: Self) -> Result<Self> {
        let clash = match (&self, &other) {
            (Self { policy: Some(own), .. }, Self { settings: Settings { policy: Some(name), .. }, .. })
            | (Self { settings: Settings { policy: Some(name), .. }, .. }, Self { policy: Some(own), .. }) => {
                Some((own.name(), name))
            }
            _ => None,
        };
        if let Some((own, name)) = clash {
            return Err(Error::input(format!("`policy` is {own:?} in one constraint file and {name:?} in another"))
                .help("leave it out of one of them"));
        }
        self.policy = PolicyFactory::only(self.policy, other.policy)?;
        self.settings = self.settings.merge(other.settings)?;
        self.description = self.description.or(other.description);
        self.constraints.extend(other.constraints);
        self.guides.extend(other.guides);
        self.potentials.extend(other.potentials);
        // A text that one file accepts may be rejected by the other. A text that one file rejects is rejected by both.
        self.accepts.clear();
        self.rejects.extend(other.rejects);
        Ok(self)
    }

    /// Overrides settings of the spec.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        if settings.policy.is_some() {
            self.policy = None;
        }
        self.settings = settings.or(self.settings);
        self
    }

    /// Whether a finished text satisfies all constraints, decided by their [checks](crate::Check).
    pub fn check(&self, text: &str) -> Verdict {
        Verdict::all(self.constraints.iter().map(|c| c.check(text)))
    }

    /// As [`check`](Self::check), but also asks the automaton that generates; `Unknown` where the two disagree.
    pub fn judge(&self, text: &str) -> Verdict {
        Verdict::all(self.constraints.iter().map(|c| c.judge(text)))
    }

    /// Tests the texts of `accepts` and `rejects`.
    ///
    /// # Errors
    /// The first text with the wrong verdict, with its JSON Pointer.
    pub fn check_examples(&self) -> Result<()> {
        for (key, texts, wanted) in [("accepts", &self.accepts, true), ("rejects", &self.rejects, false)] {
            for (i, text) in texts.iter().enumerate() {
                let why = match (wanted, self.check(text)) {
                    (true, Verdict::Accept) | (false, Verdict::Reject { .. }) => continue,
                    (_, Verdict::Reject { at, why }) => format!("is rejected at byte {at}: {why}"),
                    (_, Verdict::Accept) => "is accepted".into(),
                    (_, Verdict::Unknown { why }) => format!("cannot be decided: {why}"),
                };
                return Err(Error::input(format!("`{key}`: {text:?} {why}")).under(i).under(key));
            }
        }
        Ok(())
    }

    /// The texts of the slots in a finished text, in order of appearance.
    pub fn slots(&self, text: &str) -> Vec<(String, String)> {
        self.constraints.iter().flat_map(|c| c.shape().slots(text)).collect()
    }

    /// The schema keywords that the constraints do not enforce and leave to the check of the finished text.
    pub fn unenforced(&self) -> Vec<Unenforced> {
        self.constraints.iter().flat_map(|c| c.unenforced()).collect()
    }

    /// Adds a part that a key of a file describes. A policy replaces an earlier one of the same sort (named, or of one's own).
    pub fn push(&mut self, part: Part) {
        match part {
            Part::Constraint(constraint) => self.constraints.push(constraint),
            Part::Guide(guide) => self.guides.push(guide),
            Part::Potential(potential) => self.potentials.push(potential),
            Part::Policy(policy) => match policy.options() {
                Some(options) => {
                    self.settings.policy = Some(policy.name().to_string());
                    self.settings.options.extend(options.clone());
                }
                None => self.policy = Some(policy),
            },
            Part::Many(parts) => parts.into_iter().for_each(|part| self.push(part)),
        }
    }
    /// Adds a constraint.
    pub fn constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.push(Part::constraint(constraint));
        self
    }
    /// Adds a part built from a kind in code.
    ///
    /// # Errors
    /// As [`Kind::build`].
    pub fn kind(mut self, kind: impl Kind, cx: &BuildCx) -> Result<Self> {
        self.push(kind.build(cx)?);
        Ok(self)
    }

    /// Requires the shape of a template.
    ///
    /// # Errors
    /// A template that cannot be parsed, with the position in `source`.
    pub fn template(self, source: &Source, inputs: &Inputs) -> Result<Self> {
        let template = c::Template::parse(&source.text, inputs).map_err(|e| e.in_source(source))?;
        Ok(self.constraint(template))
    }
    /// Requires that the whole text matches a regular expression.
    ///
    /// # Errors
    /// A pattern that cannot be parsed or enforced, with the position in it.
    pub fn regex(self, pattern: &str) -> Result<Self> {
        let source = Source::new("regex", pattern);
        Ok(self.constraint(c::Regex::new(pattern).map_err(|e| e.in_source(&source))?))
    }
    /// Requires a text of a grammar, in GBNF or Lark syntax.
    ///
    /// # Errors
    /// A grammar that cannot be parsed, with the position in it.
    pub fn grammar(self, text: &str) -> Result<Self> {
        let source = Source::new("grammar", text);
        Ok(self.constraint(c::ContextFree::parse(text, None).map_err(|e| e.in_source(&source))?))
    }
    /// Requires JSON of a schema, without white space, with keys in declared order.
    ///
    /// # Errors
    /// A schema that is invalid, cannot be enforced exactly or allows no value, with a JSON Pointer.
    pub fn json_schema(self, schema: &serde_json::Value) -> Result<Self> {
        Ok(self.constraint(c::JsonSchema::new(schema, crate::schema::SchemaOptions::default())?))
    }
    /// Requires one of the options.
    ///
    /// # Errors
    /// An empty list.
    pub fn choice<T: Into<String>>(self, options: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Choice::new(options)?))
    }
    /// Requires that each of the words or phrases occurs.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn contains<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Contains::new(words, false)?))
    }
    /// Requires that none of the words or phrases occurs.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn excludes<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Excludes::new(words, false)?))
    }
    /// Requires a length: `5-20w`, `-80 chars`, `12t`.
    ///
    /// # Errors
    /// A length that cannot be parsed.
    pub fn length(self, size: &str) -> Result<Self> {
        let source = Source::new("length", size);
        Ok(self.constraint(c::Length::parse(size).map_err(|e| e.in_source(&source))?))
    }
    /// Requires that the text starts with a text.
    pub fn prefix(self, text: impl Into<String>) -> Self {
        self.constraint(c::Prefix::new(text))
    }
    /// Requires that the text ends with a text.
    pub fn suffix(self, text: impl Into<String>) -> Self {
        self.constraint(c::Suffix::new(text))
    }
}

impl Spec {
    /// Compiles all hard constraints to one automaton over bytes. No model is needed: every vocabulary gives the same
    /// automaton, unless a constraint of your own depends on it.
    ///
    /// # Errors
    /// Unsatisfiable constraints (the error names those that contradict each other), or constraints too large to
    /// compile.
    pub fn automaton(&self, vocab: &Vocab) -> Result<Dfa> {
        match self.acceptor(vocab)? {
            Acceptor::Regular(dfa) => Ok(dfa),
            Acceptor::Pushdown(_) => Err(Error::unsupported("a recursive grammar is no automaton over bytes")),
        }
    }

    /// Compiles all hard constraints for reading texts. Any vocabulary will do.
    ///
    /// # Errors
    /// As [`automaton`](Self::automaton).
    pub fn acceptor(&self, vocab: &Vocab) -> Result<Acceptor> {
        plan::acceptor(&self.constraints, vocab)
    }
}
