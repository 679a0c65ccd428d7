//! Sets of decoded strings and of numbers in decimal notation: regular languages with intersection, emptiness and
//! enumeration.

use crate::{
    Error, Language, Result,
    automata::{Dfa, Limits},
};
use indexmap::IndexSet;
use std::{collections::HashMap, sync::Arc};

/// Answers questions about languages; the automaton of each language is built once.
#[derive(Default)]
pub(super) struct Texts {
    known: HashMap<Language, Arc<Dfa>>,
    /// The number of expressions for which automata were built.
    built: usize,
}

/// Most texts of a set that is represented as a list.
const LISTED: usize = 20_000;
/// Most expressions that automata are built of, some ten times what large schemas need.
const BUILT: usize = 20_000;

impl Texts {
    pub fn dfa(&mut self, language: &Language) -> Result<Arc<Dfa>> {
        if let Some(known) = self.known.get(language) {
            return Ok(known.clone());
        }
        self.built += leaves(language);
        if self.built > BUILT {
            return Err(Error::too_large(format!("more than {BUILT} patterns and bounds have to be combined"))
                .help("use fewer of them, or leave out those that do not matter"));
        }
        let dfa = Arc::new(Dfa::compile(language, &Limits::default())?);
        self.known.insert(language.clone(), dfa.clone());
        Ok(dfa)
    }

    pub fn contains(&mut self, language: &Language, text: &str) -> Result<bool> {
        Ok(match language {
            Language::Any => true,
            Language::Literal(literal) => literal == text,
            Language::Union(parts) if literals(language).is_some() => {
                parts.iter().any(|p| matches!(p, Language::Literal(l) if l == text))
            }
            Language::Not(inner) => !self.contains(inner, text)?,
            _ => self.dfa(language)?.accepts(text.as_bytes()),
        })
    }

    pub fn is_empty(&mut self, language: &Language) -> Result<bool> {
        Ok(match language {
            Language::Any => false,
            Language::Not(inner) if literals(inner).is_some() => false,
            _ => match literals(language) {
                Some(texts) => texts.is_empty(),
                None => self.dfa(language)?.is_empty(),
            },
        })
    }

    /// The texts of a language, if they are at most so many.
    pub fn few(&mut self, language: &Language, most: usize) -> Result<Option<Vec<String>>> {
        Ok(match (language, literals(language)) {
            (_, Some(list)) => (list.len() <= most).then(|| list.into_iter().map(str::to_string).collect()),
            (Language::Any | Language::Not(_), None) => None,
            _ => self.dfa(language)?.texts(most),
        })
    }

    /// The intersection of two languages. If one of them is a list, so is the intersection.
    pub fn and(&mut self, a: &Language, b: &Language) -> Result<Language> {
        match (a, b) {
            (Language::Any, other) | (other, Language::Any) => return Ok(other.clone()),
            _ if a == b => return Ok(a.clone()),
            _ => {}
        }
        for (list, other) in [(a, b), (b, a)] {
            if let Some(texts) = literals(list) {
                let mut kept = Vec::new();
                for text in texts {
                    if self.contains(other, text)? {
                        kept.push(text);
                    }
                }
                return Ok(list_of(kept));
            }
        }
        let mut parts = Vec::new();
        for part in [a, b] {
            match part {
                Language::Intersect(inner) => parts.extend(inner.iter().cloned()),
                _ => parts.push(part.clone()),
            }
        }
        Ok(Language::Intersect(parts))
    }
}

/// The number of expressions of which a language is made; a list counts as one.
fn leaves(language: &Language) -> usize {
    match language {
        Language::Union(_) if literals(language).is_some() => 1,
        Language::Concat(parts) | Language::Union(parts) | Language::Intersect(parts) => parts.iter().map(leaves).sum(),
        Language::Not(inner) | Language::JsonEscaped(inner) => leaves(inner),
        _ => 1,
    }
}

/// The texts of a language that is written as a list.
pub(super) fn literals(language: &Language) -> Option<Vec<&str>> {
    match language {
        Language::Literal(text) => Some(vec![text]),
        Language::Union(parts) if parts.len() <= LISTED => {
            let text = |part: &'_ Language| matches!(part, Language::Literal(_));
            let all = parts.iter().all(text);
            all.then(|| {
                parts
                    .iter()
                    .filter_map(|part| if let Language::Literal(t) = part { Some(&**t) } else { None })
                    .collect()
            })
        }
        _ => None,
    }
}

pub(super) fn list_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Language {
    Language::Union(texts.into_iter().map(Language::literal).collect())
}

pub(super) fn is_none(language: &Language) -> bool {
    matches!(language, Language::Union(parts) if parts.is_empty())
}

/// The union of two languages.
pub(super) fn or(a: &Language, b: &Language) -> Language {
    any_of([a, b])
}

/// The union of several languages.
pub(super) fn any_of<'l>(languages: impl IntoIterator<Item = &'l Language>) -> Language {
    let mut parts: IndexSet<&Language> = IndexSet::new();
    for language in languages {
        match language {
            Language::Any => return Language::Any,
            Language::Union(inner) => parts.extend(inner),
            _ => {
                parts.insert(language);
            }
        }
    }
    match parts.len() {
        1 => parts[0].clone(),
        _ => Language::Union(parts.into_iter().cloned().collect()),
    }
}

/// The complement of a language.
pub(super) fn not(a: &Language) -> Language {
    match a {
        Language::Any => Language::none(),
        _ if is_none(a) => Language::Any,
        Language::Not(inner) => (**inner).clone(),
        _ => a.clone().not(),
    }
}
