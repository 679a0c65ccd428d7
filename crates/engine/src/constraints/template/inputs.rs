//! The values of `$name` inputs.

use crate::util::nearest;
use crate::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Values for the `$name` inputs of templates. Clones share the record of which ones were used.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    values: Arc<BTreeMap<String, String>>,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Inputs {
    /// The value of `$name`; remembers that it was asked for.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string());
        Some(value)
    }

    /// The names that have values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// To be called when everything has been read: an input that no template used is a mistake.
    ///
    /// # Errors
    /// Names the first unused input.
    pub fn all_used(&self) -> Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = self.names().find(|n| !used.contains(*n)) else { return Ok(()) };
        let error = Error::input(format!("the input `{name}` is given, but no template uses `${name}`"));
        Err(match nearest(name, used.iter().map(String::as_str)) {
            Some(near) => error.help(format!("the template also uses `${near}`: is one of them misspelt?")),
            None => error.help(format!("write `${name}` where its text belongs, or leave the input out")),
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Inputs {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        let values = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { values: Arc::new(values), used: Arc::default() }
    }
}
