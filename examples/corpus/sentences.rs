//! Plain sentences about nouns, restated from their glosses. Nothing is invented: every sentence restates a gloss.
//! Simple words win: rare words, proper names, Latin and long glosses are left out.

use crate::line::Line;
use crate::wordnet::{Part, Synset, TOPICS, WordNet, words};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};

/// Topics whose nouns can nearly all be counted.
const THINGS: [&str; 7] = ["animal", "artifact", "plant", "person", "body", "object", "location"];
const LONGEST: usize = 16;
const SIZES: [&str; 8] = ["small", "large", "tiny", "huge", "big", "little", "giant", "very"];

/// All sentences, entries and objects, each once.
pub fn lines(wordnet: &WordNet) -> Vec<Line> {
    let usage = Usage::count(wordnet);
    let mut out = Vec::new();
    for (_, synset) in &wordnet.synsets {
        let hypernyms: Vec<&Synset> = synset.hypernyms.iter().filter_map(|id| wordnet.get(id)).collect();
        for (key, text) in sentences(synset, &hypernyms, &usage) {
            if usage.simple(&text, &key, synset.label) {
                out.push(Line { text, key, topic: synset.label, format: None, part: "definitions" });
            }
        }
    }
    for part in [Part::Noun, Part::Verb, Part::Adjective] {
        for word in wordnet.common(part) {
            let Some(definition) = word.synset.definitions.first() else { continue };
            let topic = word.synset.label.filter(|l| TOPICS.contains(l));
            if word.uses < 20 || !usage.simple(definition, word.lemma, topic) || part == Part::Noun && topic.is_none() {
                continue;
            }
            let (lemma, name) = (word.lemma, part.name());
            let line = |text, format, part| Line { text, key: lemma.into(), topic, format, part };
            out.push(line(format!("{lemma} ({name}): {definition}"), None, "definitions"));
            let object = match topic {
                Some(topic) => json!({"word": lemma, "topic": topic, "definition": definition}),
                None => json!({"word": lemma, "class": name, "definition": definition}),
            };
            out.push(line(crate::records::spaced(&object), Some("json"), "entries"));
        }
    }
    out
}

/// How words are used in all glosses and examples.
struct Usage {
    count: HashMap<String, usize>,
    /// How often a word follows "a" or "an" at once or after one other word.
    counted: HashMap<String, usize>,
    nouns: BTreeSet<String>,
}

impl Usage {
    fn count(wordnet: &WordNet) -> Self {
        let mut usage = Self { count: HashMap::new(), counted: HashMap::new(), nouns: BTreeSet::new() };
        for (_, synset) in &wordnet.synsets {
            if synset.label.is_some() {
                usage.nouns.extend(synset.words.iter().cloned());
            }
            for text in synset.definitions.iter().chain(&synset.examples) {
                let words: Vec<String> = words(text).map(str::to_lowercase).collect();
                for (i, word) in words.iter().enumerate() {
                    *usage.count.entry(word.clone()).or_default() += 1;
                    let article = |back: usize| i >= back && matches!(words[i - back].as_str(), "a" | "an");
                    if article(1) || article(2) {
                        *usage.counted.entry(word.clone()).or_default() += 1;
                    }
                }
            }
        }
        usage
    }
    fn of(&self, word: &str) -> usize {
        self.count.get(&word.to_lowercase()).copied().unwrap_or(0)
    }
    /// Whether all words are common enough for a small model; the headword itself may be rarer.
    fn simple(&self, text: &str, headword: &str, topic: Option<&str>) -> bool {
        let plain = |c: char| c.is_ascii_alphabetic() || " ,.'-:".contains(c);
        let rare = if topic == Some("animal") { 5 } else { 12 };
        let known = |w: &str| self.of(w) >= if headword.contains(w) { rare } else { 35 };
        text.chars().all(plain)
            && words(text).all(|w| known(&w.to_lowercase()))
            && (3..=LONGEST + 6).contains(&words(text).count())
    }
    /// Whether the noun takes "a": a mass noun rarely does. Of a rare noun its topic decides.
    fn countable(&self, noun: &str, label: &str) -> bool {
        let counted = self.counted.get(noun).copied().unwrap_or(0);
        if self.of(noun) < 8 {
            return counted >= 2 || THINGS.contains(&label);
        }
        counted >= 2 && counted * 8 >= self.of(noun)
    }
    fn plural(&self, noun: &str) -> bool {
        let singular = noun.strip_suffix("ies").map(|s| format!("{s}y"));
        let stems = [noun.strip_suffix('s').map(str::to_string), noun.strip_suffix("es").map(str::to_string), singular];
        !noun.ends_with("ss") && stems.into_iter().flatten().any(|s| self.nouns.contains(&s))
            || matches!(noun, "people" | "men" | "women" | "children" | "cattle" | "teeth" | "feet" | "mice" | "those")
    }
}

/// The noun a definition is built on: the last word before the first that starts a modifier.
fn head(definition: &str) -> Option<&str> {
    const AFTER: &str = "of with in that which who whose having used made from for on at by to or and where when resembling found \
        containing consisting as into but living bearing between being usually often without about formed grown served covered under cooked caused worn";
    let mut last = None;
    for piece in definition.split(' ') {
        let word = piece.trim_end_matches(',');
        if AFTER.split(' ').any(|after| after == word)
            || word.len() > 4 && (word.ends_with("ing") || word.ends_with("ed")) && last.is_some()
        {
            break;
        }
        last = Some(word);
        if piece.ends_with(',') {
            break;
        }
    }
    last
}

pub fn article(word: &str) -> &'static str {
    let silent = ["hour", "honest", "honor", "heir", "herb"].iter().any(|s| word.starts_with(s));
    let spoken = ["uni", "use", "usu", "eu", "one", "ut"].iter().any(|s| word.to_lowercase().starts_with(s));
    if silent || word.starts_with(|c: char| "aeiouAEIOU".contains(c)) && !spoken { "an" } else { "a" }
}

pub fn with_article(phrase: &str) -> String {
    format!("{} {phrase}", article(phrase))
}

/// All sentences of a sense, each with its key.
fn sentences(synset: &Synset, hypernyms: &[&Synset], usage: &Usage) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let (Some(label), Some(definition)) = (synset.label, synset.definitions.first()) else { return out };
    if !TOPICS.contains(&label) {
        return out;
    }
    let lower = |w: &String| w.chars().all(|c| c.is_ascii_lowercase() || c == ' ' || c == '-');
    let known = |w: &&String| lower(w) && words(w).count() <= 2;
    for (i, word) in synset.words.iter().filter(known).take(2).enumerate() {
        let Some(predicate) = predicate(definition, label, usage) else { break };
        let key = || word.clone();
        let last = word.rsplit(' ').next().unwrap_or(word);
        if usage.plural(last) {
            continue;
        }
        let thing = THINGS.contains(&label);
        let countable = usage.countable(last, label) || matches!(label, "animal" | "artifact" | "person");
        // Words of the same sense and the same word always take the same forms: no randomness, no seed.
        let form = (word.len() + definition.len() + i) % 2;
        let subject = match (countable, thing && form == 0) {
            (_, true) => format!("The {word}"),
            (true, false) => sentence_start(&with_article(word)),
            (false, false) => sentence_start(word),
        };
        out.push((key(), format!("{subject} is {predicate}.")));
        // What holds of a kind holds of its members: a sense without facts of its own takes those of its hypernym.
        let mut known = facts(label, definition);
        let parents = hypernyms.iter().filter(|h| h.label == Some(label)).flat_map(|h| h.definitions.first());
        known.extend(parents.flat_map(|parent| facts(label, parent)));
        known.truncate(if label == "animal" { 4 } else { 2 });
        for fact in known {
            let noun = kind(label, definition);
            let who = if label == "person" { "who" } else { "that" };
            out.push((key(), format!("{subject} is {} {who} {fact}.", with_article(&noun))));
            if label == "animal" {
                out.push((
                    key(),
                    format!("{} is {} that {fact}.", sentence_start(&with_article(word)), with_article(&noun)),
                ));
            }
        }
    }
    out
}

/// The definition as it stands after "is": with an article where its noun takes one; none for plurals and Latin.
fn predicate(definition: &str, label: &str, usage: &Usage) -> Option<String> {
    let first = definition.split(' ').next()?;
    let banned = ["genus", "genera", "species", "family", "suborder", "phylum", "taxonomic", "spp", "order"];
    if words(definition).count() > LONGEST || words(definition).any(|w| banned.contains(&w)) {
        return None;
    }
    if matches!(first, "a" | "an" | "the" | "any" | "one" | "someone" | "something" | "anything" | "anyone") {
        return Some(definition.to_string());
    }
    let head = head(definition)?;
    if usage.plural(head) || !usage.nouns.contains(head) || matches!(first, "in" | "of" | "to" | "when" | "that") {
        return None;
    }
    Some(if usage.countable(head, label) { with_article(definition) } else { definition.to_string() })
}

/// "small animal", "plant", …: the topic's own noun, with the size the definition names.
fn kind(label: &str, definition: &str) -> String {
    let noun = match label {
        "artifact" => "thing",
        "body" => "body part",
        "communication" => "message",
        "cognition" => "idea",
        other => other,
    };
    let start = definition.split(' ').find(|w| !matches!(*w, "a" | "an" | "any" | "the" | "of" | "various"));
    match start.filter(|w| SIZES[..7].contains(w)) {
        Some(size) => format!("{size} {noun}"),
        None => noun.to_string(),
    }
}

/// Clauses that the definition states, as they stand after "that": "lives in caves", "has a long tail".
fn facts(label: &str, definition: &str) -> Vec<String> {
    let mut facts = Vec::new();
    let mut add = |marker: &str, verb: &str| {
        if let Some((before, rest)) = definition.split_once(marker) {
            // Only modifiers of the head noun: none after another marker has begun one.
            let nested = [" of ", " that ", " which ", " with ", " having ", " from "];
            let rest = rest.split([',']).next().unwrap_or(rest);
            let dangling = [" or", " and", ","].iter().any(|w| before.ends_with(w));
            if !before.is_empty() && !dangling && !nested.iter().any(|n| before.contains(n)) && words(rest).count() >= 1
            {
                facts.push(format!("{verb}{rest}"));
            }
        }
    };
    match label {
        "animal" | "plant" => {
            add(" that ", "");
            add(" having ", "has ");
            add(" with ", "has ");
            add(" living ", "lives ");
            add(" found ", "is found ");
            add(" resembling ", "looks like ");
            add(" used ", "is used ");
            if label == "animal" {
                add(" native to ", "lives in ");
            } else {
                add(" native to ", "grows in ");
                add(" bearing ", "bears ");
            }
            let regions =
                [" Africa", " America", " Asia", " Europe", " India", " Australia", " waters", " regions", " seas"];
            let verb = if label == "animal" { "lives in " } else { "grows in " };
            if let Some((_, place)) = definition.split_once(" of ")
                && regions.iter().any(|r| format!(" {place}").contains(r))
            {
                add(" of ", verb);
            }
        }
        "artifact" => {
            add(" that ", "");
            add(" used ", "is used ");
            add(" made ", "is made ");
            add(" worn ", "is worn ");
            add(" consisting of ", "consists of ");
            add(" designed ", "is designed ");
        }
        "food" => {
            add(" that ", "");
            add(" made ", "is made ");
            add(" served ", "is served ");
            add(" eaten ", "is eaten ");
            add(" containing ", "contains ");
            add(" cooked ", "is cooked ");
            add(" used ", "is used ");
        }
        "person" => {
            add(" who ", "");
            if let Some(rest) = definition.strip_prefix("someone who ").or(definition.strip_prefix("one who ")) {
                facts.push(rest.to_string());
            }
        }
        _ => {}
    }
    facts.retain(|f| {
        !f.starts_with("are ") && !f.starts_with("have ") && !f.contains(" that ") && words(f).count() >= 2
    });
    facts
}

pub fn sentence_start(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
