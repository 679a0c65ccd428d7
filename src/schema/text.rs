//! Sets of decoded strings and of numbers in decimal notation: regular languages with the questions that are asked of
//! them here.

use crate::{
    Language, Result,
    automata::{Dfa, Limits},
};
use std::{collections::HashMap, sync::Arc};

/// Answers questions about languages, each built once.
#[derive(Default)]
pub(super) struct Texts {
    known: HashMap<Language, Arc<Dfa>>,
}

/// Most texts that a set is taken as a list of.
const LISTED: usize = 20_000;

impl Texts {
    pub fn dfa(&mut self, language: &Language) -> Result<Arc<Dfa>> {
        if let Some(known) = self.known.get(language) {
            return Ok(known.clone());
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

    /// Texts of both. Where one of them is a list, so is the answer.
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

/// Texts of one or the other.
pub(super) fn or(a: &Language, b: &Language) -> Language {
    match (a, b) {
        (Language::Any, _) | (_, Language::Any) => return Language::Any,
        _ if is_none(a) || a == b => return b.clone(),
        _ if is_none(b) => return a.clone(),
        _ => {}
    }
    let mut parts = Vec::new();
    for part in [a, b] {
        match part {
            Language::Union(inner) => parts.extend(inner.iter().cloned()),
            _ => parts.push(part.clone()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    Language::Union(parts)
}

/// Texts outside.
pub(super) fn not(a: &Language) -> Language {
    match a {
        Language::Any => Language::none(),
        _ if is_none(a) => Language::Any,
        Language::Not(inner) => (**inner).clone(),
        _ => a.clone().not(),
    }
}
