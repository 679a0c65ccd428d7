//! How to sample: the `[sampler]` table of a constraint file, and the flags of the same names.

use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything optional: what is not given comes from the model and the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Settings {
    /// Refinement steps for the whole text, shared evenly by its blocks (each is one forward).
    pub steps: Option<usize>,
    /// Positions (tokens) there are for the text.
    pub len: Option<usize>,
    /// Which positions to commit at each step: a policy's name or an alias of it.
    pub policy: Option<String>,
    /// 0 takes the most probable text of each step; 1 samples the model's distribution.
    pub temperature: Option<f32>,
    /// Keep only the k likeliest legal tokens of each position.
    pub top_k: Option<usize>,
    /// Keep the likeliest legal tokens that hold this much probability.
    pub top_p: Option<f32>,
    /// The same seed gives the same text; sample i of several has this plus i. 0 if not given.
    pub seed: Option<u64>,
    /// Positions are written in blocks of this many, one block after the other.
    pub block_length: Option<usize>,
    /// What a bidirectional model reuses within a block: faster, and approximate.
    pub cache: Option<Cache>,
    /// When the end of the text is written.
    pub ending: Option<Ending>,
    /// How slots get their positions.
    pub layout: Option<Layout>,
    /// Options of the policy, by the names they have in files and flags: `threshold`, `eta`, … Which there are, and of
    /// which policies, [`policies::KINDS`](crate::policies::KINDS) says.
    #[serde(flatten)]
    #[schemars(skip)]
    pub options: BTreeMap<String, f32>,
}

/// What a bidirectional model may reuse within a block although written tokens change it. Approximate: the names and
/// the idea are Fast-dLLM's (arXiv 2505.22618).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// Keys and values of what stands before the block.
    Prefix,
    /// Keys and values of everything outside the block.
    Dual,
}

/// How a template's literals and slots get their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Literals may stand anywhere; lengths are decided as the text is written.
    Floating,
    /// Slot lengths are chosen first, by scoring candidate layouts; literals stand at known positions.
    Pinned,
}

/// When a text may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// When the policy says so.
    Free,
    /// Positions behind the text are written after all others of a block, so that they do not cut it short.
    Last,
    /// Never: the text fills every position.
    Never,
}

/// Calls a macro with the names of all settings but the options of the policy.
macro_rules! with_names {
    ($then:ident) => {
        $then!(steps, len, policy, temperature, top_k, top_p, seed, block_length, cache, ending, layout)
    };
}

impl Settings {
    /// Names of the settings in files, the options of policies left out.
    pub const NAMES: &'static [&'static str] = {
        macro_rules! names {
            ($($name:ident),*) => { &[$(stringify!($name)),*] };
        }
        with_names!(names)
    };

    /// Names a policy.
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.policy = Some(name.into());
        self
    }

    /// Gives the policy an option.
    pub fn option(mut self, name: impl Into<String>, value: f32) -> Self {
        self.options.insert(name.into(), value);
        self
    }

    /// What `self` leaves open is taken from `other`. A policy comes with its options: where `self` names another
    /// policy than `other` does, the options that `other` gives its own are left behind.
    pub fn or(self, other: Self) -> Self {
        let replaced = self.policy.is_some() && other.policy.is_some() && !same_policy(&self.policy, &other.policy);
        let mut options = if replaced { BTreeMap::new() } else { other.options };
        options.extend(self.options);
        macro_rules! or {
            ($($name:ident),*) => { Self { $($name: self.$name.or(other.$name),)* options } };
        }
        with_names!(or)
    }

    /// Both hold: what either says.
    ///
    /// # Errors
    /// When both give the same setting different values.
    pub fn merge(self, mut other: Self) -> Result<Self> {
        if same_policy(&self.policy, &other.policy) {
            other.policy.clone_from(&self.policy);
        }
        macro_rules! agree {
            ($($name:ident),*) => { $(agree(stringify!($name), self.$name.as_ref(), other.$name.as_ref())?;)* };
        }
        with_names!(agree);
        for (name, value) in &self.options {
            agree(name, Some(value), other.options.get(name))?;
        }
        Ok(self.or(other))
    }
}

/// Whether two names are of one policy: case does not count, and a hyphen is an underscore.
fn same_policy(one: &Option<String>, other: &Option<String>) -> bool {
    let normal = |name: &String| name.replace('-', "_").to_lowercase();
    one.as_ref().map(normal) == other.as_ref().map(normal)
}

fn agree<T: Serialize + PartialEq>(name: &str, one: Option<&T>, other: Option<&T>) -> Result<()> {
    let (Some(one), Some(other)) = (one, other) else { return Ok(()) };
    if one == other {
        return Ok(());
    }
    let shown = |value: &T| serde_json::to_string(value).map_err(|e| Error::input(format!("`{name}`: {e}")));
    Err(Error::input(format!("`{name}` is {} in one constraint file and {} in another", shown(one)?, shown(other)?))
        .help("leave it out of one of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_named_as_it_is_written() {
        let written = serde_json::to_value(Settings::default()).unwrap();
        let mut written: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut names = Settings::NAMES.to_vec();
        written.sort();
        names.sort();
        assert_eq!(written, names);
    }

    #[test]
    fn another_policy_comes_without_the_options_of_the_first() {
        let file = Settings { steps: Some(3), ..Settings::default() }.policy("threshold").option("threshold", 0.8);
        let flags = Settings { len: Some(9), ..Settings::default() };
        let both = flags.clone().or(file.clone());
        assert_eq!((both.steps, both.len, both.options["threshold"]), (Some(3), Some(9), 0.8));
        assert_eq!(flags.clone().option("threshold", 0.7).or(file.clone()).options["threshold"], 0.7);
        assert!(flags.policy("random").or(file).options.is_empty());
    }

    #[test]
    fn settings_that_differ_do_not_merge() {
        let a = Settings::default().policy("threshold").option("threshold", 0.9);
        assert_eq!(a.clone().merge(a.clone()).unwrap(), a);
        let error = a.clone().merge(Settings::default().option("threshold", 0.8)).unwrap_err();
        assert_eq!(error.message(), "`threshold` is 0.9 in one constraint file and 0.8 in another");
        let error = a.merge(Settings::default().policy("random")).unwrap_err();
        assert_eq!(error.message(), r#"`policy` is "threshold" in one constraint file and "random" in another"#);
    }
}
