//! Hard constraints: what must be true of the text.
//!
//! A constraint has three sides: its language ([`Constraint`]), the check of a finished text ([`Check`]), and the shape
//! of its texts ([`Shape`]). The built-in checks live in a module of their own, [`crate::check`], which cannot import
//! this one.

mod affix;
mod all;
mod choice;
mod context_free;
mod json_schema;
mod length;
mod regex;
mod shape;
mod template;
mod words;

pub use affix::{Prefix, Suffix};
pub use all::All;
pub use choice::Choice;
pub use context_free::{ContextFree, GrammarSyntax};
pub use json_schema::JsonSchema;
pub use length::{Length, Unit};
pub use regex::{Patterns, Regex};
pub use shape::{Scaffold, ScaffoldPart, Shape, SlotSize};
pub use template::{Inputs, Template, TemplateCx};
pub use words::{Contains, Excludes};

use crate::{
    Language, Result, Vocab,
    check::{Check, Verdict},
    schema::Unenforced,
};

/// What the language of a constraint may depend on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CompileCx<'a> {
    /// The model's tokens. The texts of the built-in constraints do not depend on them.
    pub vocab: &'a Vocab,
}

impl<'a> CompileCx<'a> {
    /// A context for a vocabulary.
    pub fn new(vocab: &'a Vocab) -> Self {
        Self { vocab }
    }
}

/// A hard constraint. Only constraints forbid.
///
/// The methods here steer the generation: the engine compiles [`language`](Self::language) and samples from it. The
/// supertrait [`Check`] decides afterwards whether a finished text satisfies the constraint, without the automata, the
/// pushdown automata or the inference that steered. For the built-in constraints the two sides share what the user wrote
/// and the code that reads it: the parsed expression or grammar rules, and the definitions of words and units. They
/// must agree on every text.
///
/// ```
/// use stencil_engine::{Check, CompileCx, Constraint, Language, Result, Verdict};
///
/// /// The text is written in capital letters.
/// struct Shouted;
///
/// impl Check for Shouted {
///     fn check(&self, text: &str) -> Verdict {
///         let quiet = text.find(|c: char| !c.is_ascii_uppercase());
///         Verdict::require(quiet.is_none(), quiet.unwrap_or(0), || "no capital letter".into())
///     }
/// }
///
/// impl Constraint for Shouted {
///     fn name(&self) -> String {
///         "shouted".into()
///     }
///     fn language(&self, _: &CompileCx) -> Result<Language> {
///         Ok(Language::regex("[A-Z]*"))
///     }
/// }
/// ```
pub trait Constraint: Check {
    /// The name in diagnostics: the constraint's kind, or the name of a slot.
    fn name(&self) -> String;

    /// The texts that satisfy the constraint.
    ///
    /// # Errors
    /// What cannot be written as a language, or not within the limits.
    fn language(&self, cx: &CompileCx) -> Result<Language>;

    /// Bounds on the number of tokens of the whole text, which the engine keeps beside the language.
    fn tokens(&self) -> (usize, usize) {
        (0, usize::MAX)
    }

    /// The shape of the texts: slots, fixed spans, short lists.
    fn shape(&self) -> &dyn Shape {
        &shape::NoShape
    }

    /// Diagnostics for the author of the constraint, such as a rule that no text uses.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the language does not enforce and leaves to the check: a generated text may be rejected there.
    fn unenforced(&self) -> Vec<Unenforced> {
        Vec::new()
    }

    /// Asks both the check and the language; `Unknown` where the two disagree. The same as `check` for constraints
    /// whose language is known to agree with their check.
    fn judge(&self, text: &str) -> Verdict {
        self.check(text)
    }
}
