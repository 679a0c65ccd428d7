//! What users write: constraint files, templates, and the registry of plugins that reads them.

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

/// Everything that is asked of a text: constraints that all hold, guides, and how to sample.
#[derive(Clone, Default)]
pub struct Spec {
    /// What it asks for, in a sentence.
    pub description: Option<String>,
    /// What must hold, all of it.
    pub constraints: Vec<Arc<dyn Constraint>>,
    /// What pulls.
    pub guides: Vec<GuideFactory>,
    /// What weighs drafts.
    pub potentials: Vec<PotentialFactory>,
    /// How to sample.
    pub settings: Settings,
    /// What chooses the positions to write, where that is none of the policies that settings name.
    pub policy: Option<PolicyFactory>,
    /// Texts that must pass; `stencil check` tries them.
    pub accepts: Vec<String>,
    /// Texts that must fail; `stencil check` tries them.
    pub rejects: Vec<String>,
}

impl Spec {
    /// Asks nothing.
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
    /// Syntax, unknown keys and wrong values, each with its place in the file.
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

    /// Reads a constraint that was held by something else, a line of JSON say.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json); places are JSON Pointers relative to the document.
    pub fn from_document(document: &Document, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        read::read(document, None, registry, inputs)
    }

    /// Reads a constraint file: JSON if its name ends in `.json` or its text starts with `{`, TOML otherwise.
    /// Relative paths in the file start from its folder.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), and when the file cannot be read or is no UTF-8.
    pub fn load(path: impl AsRef<Path>, registry: &Registry, inputs: &Inputs) -> Result<Self> {
        let path = path.as_ref();
        let source = Source::read(path)?;
        read::read(&Document::parse(&source)?, path.parent().map(Path::to_path_buf), registry, inputs)
    }

    /// Both hold. Settings may come from either.
    ///
    /// # Errors
    /// When both give the same setting different values.
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
        // What one file accepts the other may reject; what one rejects both reject.
        self.accepts.clear();
        self.rejects.extend(other.rejects);
        Ok(self)
    }

    /// The same, sampled so; what is given here wins over what the spec said.
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

    /// As [`check`](Self::check), but asks what would be generated as well; `Unknown` where the two disagree.
    pub fn judge(&self, text: &str) -> Verdict {
        Verdict::all(self.constraints.iter().map(|c| c.judge(text)))
    }

    /// Tries the texts of `accepts` and `rejects`.
    ///
    /// # Errors
    /// The first text that is not decided as it should be, with its JSON Pointer.
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

    /// What the constraints do not enforce and leave to the check of the finished text.
    pub fn unenforced(&self) -> Vec<Unenforced> {
        self.constraints.iter().flat_map(|c| c.unenforced()).collect()
    }

    /// Adds what a key of a file turned into. Of several policies the last is taken.
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
    /// Those of [`Kind::build`].
    pub fn kind(mut self, kind: impl Kind, cx: &BuildCx) -> Result<Self> {
        self.push(kind.build(cx)?);
        Ok(self)
    }

    /// The text has the shape of a template.
    ///
    /// # Errors
    /// A template that cannot be read, with the place in `source`.
    pub fn template(self, source: &Source, inputs: &Inputs) -> Result<Self> {
        let template = c::Template::parse(&source.text, inputs).map_err(|e| e.in_source(source))?;
        Ok(self.constraint(template))
    }
    /// The whole text matches.
    ///
    /// # Errors
    /// A pattern that cannot be read or kept, with the place in it.
    pub fn regex(self, pattern: &str) -> Result<Self> {
        let source = Source::new("regex", pattern);
        Ok(self.constraint(c::Regex::new(pattern).map_err(|e| e.in_source(&source))?))
    }
    /// The whole text is of a grammar, in GBNF or Lark syntax.
    ///
    /// # Errors
    /// A grammar that cannot be read, with the place in it.
    pub fn grammar(self, text: &str) -> Result<Self> {
        let source = Source::new("grammar", text);
        Ok(self.constraint(c::ContextFree::parse(text, None).map_err(|e| e.in_source(&source))?))
    }
    /// The text is JSON of a schema, as compact as can be, with keys in declared order.
    ///
    /// # Errors
    /// What is no schema, cannot be kept exactly or allows no value, with a JSON Pointer.
    pub fn json_schema(self, schema: &serde_json::Value) -> Result<Self> {
        Ok(self.constraint(c::JsonSchema::new(schema, crate::schema::SchemaOptions::default())?))
    }
    /// The text is one of these.
    ///
    /// # Errors
    /// An empty list.
    pub fn choice<T: Into<String>>(self, options: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Choice::new(options)?))
    }
    /// Each of these words or phrases occurs.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn contains<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Contains::new(words, false)?))
    }
    /// None of these words or phrases occurs.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn excludes<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Result<Self> {
        Ok(self.constraint(c::Excludes::new(words, false)?))
    }
    /// The text is so long: `5-20w`, `-80 chars`, `12t`.
    ///
    /// # Errors
    /// A size that cannot be read.
    pub fn length(self, size: &str) -> Result<Self> {
        let source = Source::new("length", size);
        Ok(self.constraint(c::Length::parse(size).map_err(|e| e.in_source(&source))?))
    }
    /// The text starts so.
    pub fn prefix(self, text: impl Into<String>) -> Self {
        self.constraint(c::Prefix::new(text))
    }
    /// The text ends so.
    pub fn suffix(self, text: impl Into<String>) -> Self {
        self.constraint(c::Suffix::new(text))
    }
}

impl Spec {
    /// All hard constraints as one automaton over bytes. Needs no model: every vocabulary gives the same one, unless a
    /// constraint of your own asks for it.
    ///
    /// # Errors
    /// Unsatisfiable constraints (naming those that contradict each other), or ones too large to compile.
    pub fn automaton(&self, vocab: &Vocab) -> Result<Dfa> {
        match self.acceptor(vocab)? {
            Acceptor::Regular(dfa) => Ok(dfa),
            Acceptor::Pushdown(_) => Err(Error::unsupported("a recursive grammar is no automaton over bytes")),
        }
    }

    /// All hard constraints, compiled: what texts may be read with. Any vocabulary will do.
    ///
    /// # Errors
    /// As [`automaton`](Self::automaton).
    pub fn acceptor(&self, vocab: &Vocab) -> Result<Acceptor> {
        plan::acceptor(&self.constraints, vocab)
    }
}
