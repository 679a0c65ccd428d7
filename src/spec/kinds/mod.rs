//! The kinds of constraint files, one per file. A kind turns a value into a part of a [`Spec`](super::Spec).

mod affixes;
mod bias;
mod cfg;
mod choice;
mod credit;
mod grammar;
mod json_schema;
mod length;
mod policy;
mod regex;
mod template;
#[cfg(test)]
mod tests;
mod topic;
mod words;

pub use affixes::{PrefixKind, SuffixKind};
pub use bias::BiasKind;
pub use cfg::ClassifierFreeKind;
pub use choice::ChoiceKind;
pub use credit::CreditKind;
pub use grammar::{GrammarKind, GrammarTable};
pub use json_schema::JsonSchemaKind;
pub use length::{Bound, LengthKind, Lengths};
pub use policy::NamedPolicy;
pub(crate) use policy::{option_schema, with_policies};
pub use regex::RegexKind;
pub use template::TemplateKind;
pub use topic::{ScaledLabel, TopicKind};
pub use words::{ContainsKind, ExcludesKind, WordList, WordTable};
