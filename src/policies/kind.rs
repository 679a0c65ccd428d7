//! Named policies: one declaration per policy, from which parsing, checks, flags and the JSON Schema are derived.

use super::{Pace, Policy};
use crate::{Error, Result, Settings};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A policy that settings and constraint files may name.
#[derive(Debug, Clone, Copy)]
pub struct PolicyKind {
    /// The name in settings, files and flags.
    pub name: &'static str,
    /// A description in half a sentence.
    pub about: &'static str,
    /// Names of the policy in other engines.
    pub aliases: &'static [Alias],
    /// The options of the policy.
    pub options: &'static [PolicyKey],
    /// Makes the policy from checked options.
    pub(super) make: fn(&Values) -> Box<dyn Policy>,
}

/// Another engine's name for a policy, with that engine's defaults.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// Defaults that differ from the policy's own, by option name.
    pub defaults: &'static [(&'static str, f32)],
    /// Whether the steps of a block share all positions of the block instead of the open ones: [`Pace::Block`].
    pub whole_blocks: bool,
}

impl Alias {
    /// An alias with the policy's own defaults.
    pub(super) const fn of(name: &'static str) -> Self {
        Self { name, defaults: &[], whole_blocks: false }
    }
}

/// An option of one policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyKey {
    /// The key in the table of the policy: `at` in `threshold = { at = 0.9 }`.
    pub key: &'static str,
    /// The option, with its name among all settings.
    pub option: &'static PolicyOption,
    /// The default value.
    pub default: Option<f32>,
}

/// A numeric option of one or several policies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyOption {
    /// The name in settings, in the `[sampler]` table and, with hyphens, among the flags.
    pub name: &'static str,
    /// Names of the option in other engines, which are flags as well.
    pub aliases: &'static [&'static str],
    /// The numbers that the option accepts.
    pub takes: Takes,
    /// The placeholder of the value in the help: `P`, `NATS`.
    pub value_name: &'static str,
    /// A description in one line.
    pub help: &'static str,
}

/// The numbers that an option accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A number from 0 to 1.
    Share,
    /// A number of at least 0.
    Amount,
    /// A whole number from 0 to this maximum.
    Count(u16),
}

impl PolicyOption {
    /// Looks an option up by name.
    pub fn named(name: &str) -> Option<&'static Self> {
        super::OPTIONS.iter().find(|option| option.name == name).copied()
    }

    /// # Errors
    /// A value out of range; `called` is the user's name for the option.
    pub fn check(&self, called: &str, value: f32) -> Result<()> {
        let (most, range) = match self.takes {
            Takes::Share => (1.0, "between 0 and 1".to_string()),
            Takes::Amount => (f32::MAX, "0 or more".to_string()),
            Takes::Count(most) => (f32::from(most), format!("between 0 and {most}")),
        };
        if !(0.0..=most).contains(&value) {
            return Err(Error::input(format!("`{called}` must be {range}, not {value}")));
        }
        match self.takes {
            Takes::Count(_) if value.fract() != 0.0 => {
                Err(Error::input(format!("`{called}` must be a whole number, not {value}")))
            }
            _ => Ok(()),
        }
    }

    /// The names of the policies that have this option.
    pub fn owners(&self) -> impl Iterator<Item = &'static str> {
        let has = move |kind: &&PolicyKind| kind.options.iter().any(|key| key.option == self);
        super::KINDS.iter().filter(has).map(|kind| kind.name)
    }
}

impl PolicyKind {
    /// Looks a policy up by name or alias. Case is ignored, and a hyphen equals an underscore.
    pub fn named(name: &str) -> Option<&'static Self> {
        let wanted = normal(name);
        super::KINDS.iter().find(|kind| kind.name == wanted || kind.alias(&wanted).is_some())
    }

    fn alias(&self, name: &str) -> Option<&'static Alias> {
        self.aliases.iter().find(|alias| alias.name == name)
    }
}

/// Normalises a name: lower case, underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_").to_lowercase()
}

/// The option values for a new policy: given values, then defaults.
pub struct Values<'a> {
    kind: &'static PolicyKind,
    alias: Option<&'static Alias>,
    given: &'a BTreeMap<String, f32>,
}

impl Values<'_> {
    /// The value of an option; `None` where no value is given and the option has no default.
    pub(super) fn get(&self, option: &PolicyOption) -> Option<f32> {
        let peculiar = || self.alias?.defaults.iter().find(|(name, _)| *name == option.name).map(|(_, value)| *value);
        let usual = || self.kind.options.iter().find(|key| key.option == option)?.default;
        self.given.get(option.name).copied().or_else(peculiar).or_else(usual)
    }

    /// The value of an option that has a default.
    pub(super) fn number(&self, option: &PolicyOption) -> f32 {
        self.get(option).unwrap_or_default()
    }

    /// The pace, unless an option sets another.
    pub(super) fn pace(&self) -> Pace {
        if self.alias.is_some_and(|alias| alias.whole_blocks) { Pace::Block } else { Pace::Even }
    }
}

type Make = dyn Fn() -> Result<Box<dyn Policy>> + Send + Sync;

/// A factory that makes a policy for each sample.
#[derive(Clone)]
pub struct PolicyFactory {
    name: String,
    make: Arc<Make>,
    /// The options of a policy of [`KINDS`](super::KINDS); settings may add to them.
    options: Option<BTreeMap<String, f32>>,
}

impl PolicyFactory {
    /// A factory for a policy of your own; `make` is called once per sample.
    pub fn new<P: Policy + 'static>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let path = std::any::type_name::<P>();
        Self { name: super::last(path).to_string(), make: Arc::new(move || Ok(Box::new(make()))), options: None }
    }

    /// A factory for a policy of [`KINDS`](super::KINDS), by name or alias.
    ///
    /// # Errors
    /// An unknown name, or an option that the policy does not have or that is out of range.
    pub fn named(name: &str, options: &BTreeMap<String, f32>) -> Result<Self> {
        let Some(kind) = PolicyKind::named(name) else {
            let known: Vec<&str> = super::KINDS.iter().map(|kind| kind.name).collect();
            return Err(
                Error::input(format!("there is no policy {name:?}")).help(format!("policies: {}", known.join(", ")))
            );
        };
        for (given, value) in options {
            let Some(option) = PolicyOption::named(given) else {
                let known: Vec<&str> = super::OPTIONS.iter().map(|option| option.name).collect();
                return Err(Error::input(format!("policies have no option `{given}`"))
                    .help(format!("options of policies: {}", known.join(", "))));
            };
            if !kind.options.iter().any(|key| key.option == option) {
                let owners: Vec<String> = option.owners().map(|owner| format!("`{owner}`")).collect();
                return Err(Error::input(format!("policy `{}` has no option `{given}`", kind.name))
                    .help(format!("`{given}` belongs to policy {}", owners.join(", "))));
            }
            option.check(given, *value)?;
        }
        let alias = kind.alias(&normal(name));
        let given = options.clone();
        let make = move || Ok((kind.make)(&Values { kind, alias, given: &given }));
        Ok(Self { name: name.to_string(), make: Arc::new(make), options: Some(options.clone()) })
    }

    /// Returns the one factory that is given, if any.
    ///
    /// # Errors
    /// Two different factories.
    pub fn only(one: Option<Self>, other: Option<Self>) -> Result<Option<Self>> {
        match (&one, &other) {
            (Some(a), Some(b)) if !a.is(b) => {
                Err(Error::input(format!("two policies are given, `{}` and `{}`", a.name, b.name))
                    .help("leave one of them out"))
            }
            _ => Ok(one.or(other)),
        }
    }

    /// The policy of a run: the policy of the code or a constraint file, or the one that the settings name, or
    /// `default`.
    ///
    /// # Errors
    /// As [`named`](Self::named). Settings for a named policy beside a policy of your own, since no setting is ignored.
    pub fn resolve(own: Option<&Self>, settings: &Settings, default: &str) -> Result<Self> {
        let name = settings.policy.as_deref();
        let Some(own) = own else { return Self::named(name.unwrap_or(default), &settings.options) };
        let unread = |what: &str| {
            Error::input(format!("{what} has no effect: the policy is `{}`, which was given as a whole", own.name))
        };
        if let Some(name) = name {
            return Err(unread(&format!("policy {name:?}")).help("give one policy: by its name or as a whole"));
        }
        if let Some(option) = settings.options.keys().next() {
            return Err(unread(&format!("`{option}`")).help("options belong to policies that are given by name"));
        }
        Ok(own.clone())
    }

    /// The name of the policy.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Renames the policy.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
    /// The given options, if the policy is one of [`KINDS`](super::KINDS).
    pub fn options(&self) -> Option<&BTreeMap<String, f32>> {
        self.options.as_ref()
    }
    /// Whether both factories are clones of one factory.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.make, &other.make)
    }
    /// Makes a policy for one sample.
    ///
    /// # Errors
    /// As the function of the factory.
    pub fn make(&self) -> Result<Box<dyn Policy>> {
        (self.make)()
    }
}

impl fmt::Debug for PolicyFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFactory")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    #[test]
    fn the_lists_of_policies_and_options_belong_together() {
        for kind in KINDS {
            let names = std::iter::once(kind.name).chain(kind.aliases.iter().map(|alias| alias.name));
            for name in names {
                let found = PolicyKind::named(&name.to_uppercase().replace('_', "-")).unwrap();
                assert_eq!(found.name, kind.name, "no two policies share {name}");
                PolicyFactory::named(name, &BTreeMap::new()).unwrap().make().unwrap();
            }
            for (key, i) in kind.options.iter().zip(0..) {
                assert!(OPTIONS.contains(&key.option), "{}", key.option.name);
                assert!(!kind.options[..i].iter().any(|other| other.key == key.key), "{}", key.key);
                key.default.map_or(Ok(()), |value| key.option.check(key.key, value)).unwrap();
            }
            for (name, value) in kind.aliases.iter().flat_map(|alias| alias.defaults) {
                let option = PolicyOption::named(name).unwrap();
                assert!(option.owners().any(|owner| owner == kind.name));
                option.check(name, *value).unwrap();
            }
        }
        for (option, i) in OPTIONS.iter().zip(0..) {
            assert!(option.owners().next().is_some(), "{} is of no use", option.name);
            assert!(!Settings::NAMES.contains(&option.name) && !OPTIONS[..i].iter().any(|o| o.name == option.name));
        }
    }

    #[test]
    fn options_are_checked_against_the_policy_that_has_them() {
        let refused = |name: &str, option: &str, value: f32| {
            let options = BTreeMap::from([(option.to_string(), value)]);
            let error = PolicyFactory::named(name, &options).unwrap_err();
            (error.message().to_string(), error.helps().concat())
        };
        let (message, help) = refused("low_confidence", "threshold", 0.5);
        assert_eq!(message, "policy `confidence` has no option `threshold`");
        assert_eq!(help, "`threshold` belongs to policy `threshold`, `hierarchy`, `edit`");
        assert_eq!(refused("edit", "post_steps", 65.0).0, "`post_steps` must be between 0 and 64, not 65");
        assert_eq!(refused("edit", "post_steps", 1.5).0, "`post_steps` must be a whole number, not 1.5");
        assert_eq!(refused("remdm", "eta", f32::NAN).0, "`eta` must be between 0 and 1, not NaN");
        assert_eq!(refused("factor", "factor", -1.0).0, "`factor` must be 0 or more, not -1");
        assert_eq!(refused("factor", "facto", 1.0).0, "policies have no option `facto`");
        assert_eq!(refused("best", "factor", 1.0).0, "there is no policy \"best\"");
    }
}
