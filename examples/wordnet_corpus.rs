//! Turns WordNet into short labelled sentences, the corpus of the bundled model.
//!
//! ```text
//! apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
//! cargo run --release --example wordnet_corpus -- wordnet/usr/share/wordnet > wordnet.jsonl
//! ```
//! With `--common`, for the last part of training: only sentences about words that WordNet itself uses several times,
//! those about animals thrice, and no example sentences.
//! Each line is `{"text", "label", "key"}`: the label is the lexicographer file of the noun ("animal", "food", …),
//! the key is the headword, so that all sentences about a word fall on the same side of the held-out split.
//! Nothing is invented: every sentence restates a gloss, a hypernym or an example sentence. Simple words win: rare
//! words, proper names, Latin and long glosses are left out.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::{env, fs, io, process::ExitCode};

/// Lexicographer files of nouns, from number 3 (wordnet's lexnames(5)).
const LEXNAMES: [&str; 26] = [
    "top",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
];
/// Topics that are written about; the abstract ones are beyond a model this small.
const TOPICS: [&str; 12] = [
    "animal",
    "artifact",
    "body",
    "feeling",
    "food",
    "location",
    "object",
    "person",
    "phenomenon",
    "plant",
    "substance",
    "time",
];
/// Topics whose nouns can nearly all be counted.
const THINGS: [&str; 7] = ["animal", "artifact", "plant", "person", "body", "object", "location"];
const LONGEST: usize = 16;
const SIZES: [&str; 8] = ["small", "large", "tiny", "huge", "big", "little", "giant", "very"];

/// One sense: its words and what WordNet says of them.
struct Synset {
    label: Option<&'static str>,
    words: Vec<String>,
    hypernyms: Vec<String>,
    /// The gloss without remarks in brackets, cut at semicolons.
    definitions: Vec<String>,
    examples: Vec<String>,
}

fn main() -> ExitCode {
    let (Some(folder), option) = (env::args().nth(1), env::args().nth(2)) else {
        eprintln!("usage: wordnet_corpus FOLDER [--common]   (the folder that holds data.noun)");
        return ExitCode::from(2);
    };
    if let Some(other) = option.as_deref().filter(|&o| o != "--common") {
        eprintln!("error: unknown option {other}");
        return ExitCode::from(2);
    }
    let mut files = Vec::new();
    for name in ["data.noun", "data.verb", "data.adj"] {
        match fs::read_to_string(format!("{folder}/{name}")) {
            Ok(text) => files.push(text),
            Err(e) => {
                eprintln!("error: cannot read {folder}/{name}: {e}");
                return ExitCode::from(2);
            }
        }
    }
    match write(&files, option.is_some()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

fn write(files: &[String], common: bool) -> io::Result<()> {
    let synsets: Vec<(String, Synset)> = files.iter().flat_map(|f| f.lines()).filter_map(parse).collect();
    let usage = Usage::count(&synsets, common);
    let words: HashMap<&str, &Synset> = synsets.iter().map(|(id, s)| (id.as_str(), s)).collect();
    let mut seen = BTreeSet::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (_, synset) in &synsets {
        let hypernyms: Vec<&Synset> =
            synset.hypernyms.iter().filter_map(|id| words.get(id.as_str()).copied()).collect();
        for (key, text) in sentences(synset, &hypernyms, &usage) {
            let label = synset.label.filter(|_| key.is_some());
            if usage.simple(&text, key.as_deref().unwrap_or(""), label) && seen.insert(text.clone()) {
                let key = key.as_deref().unwrap_or(&text);
                let line = serde_json::json!({"text": text, "label": label, "key": key});
                match (common, label) {
                    (true, None) => {}
                    (true, Some("animal")) => (0..3).try_for_each(|_| writeln!(out, "{line}"))?,
                    _ => writeln!(out, "{line}")?,
                }
            }
        }
    }
    out.flush()
}

/// A line of `data.*` (wndb(5)): offset, file, type, words, pointers, `|`, gloss.
fn parse(line: &str) -> Option<(String, Synset)> {
    let (fields, gloss) = line.split_once('|')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (offset, file, kind) = (fields.first()?, fields.get(1)?.parse::<usize>().ok()?, *fields.get(2)?);
    let count = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    let words = fields.get(4..4 + 2 * count)?.iter().step_by(2);
    let words = words.map(|w| w.split('(').next().unwrap_or(w).replace('_', " ")).collect();
    let pointers = fields.get(5 + 2 * count..)?.chunks_exact(4);
    let hypernyms = pointers.filter(|p| p[0] == "@").map(|p| format!("{}{}", p[2], p[1])).collect();
    let (definitions, examples) = split_gloss(gloss);
    let label = if kind == "n" { file.checked_sub(3).and_then(|i| LEXNAMES.get(i)).copied() } else { None };
    Some((format!("{kind}{offset}"), Synset { label, words, hypernyms, definitions, examples }))
}

/// Definitions outside quotation marks and brackets, and the quoted examples.
fn split_gloss(gloss: &str) -> (Vec<String>, Vec<String>) {
    let (mut plain, mut examples, mut depth) = (String::new(), Vec::new(), 0);
    for (i, part) in gloss.split('"').enumerate() {
        if i % 2 == 1 {
            examples.push(tidy(part));
            continue;
        }
        for c in part.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                c if depth <= 0 => plain.push(c),
                _ => {}
            }
        }
    }
    let definitions = plain.split([';', ':']).map(tidy).filter(|d| !d.is_empty()).collect();
    (definitions, examples)
}

fn tidy(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",");
    text.trim_matches([' ', ',', '-', '.', ';']).to_string()
}

/// How words are used in all glosses and examples.
struct Usage {
    count: HashMap<String, usize>,
    /// How often a word follows "a" or "an" at once or after one other word.
    counted: HashMap<String, usize>,
    nouns: BTreeSet<String>,
    /// Only headwords that other glosses use.
    common: bool,
}

impl Usage {
    fn count(synsets: &[(String, Synset)], common: bool) -> Self {
        let mut usage = Self { count: HashMap::new(), counted: HashMap::new(), nouns: BTreeSet::new(), common };
        for (_, synset) in synsets {
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
    /// Whether all words are common enough for a small model.
    /// Whether all words are common enough for a small model; the headword itself may be rarer.
    fn simple(&self, text: &str, headword: &str, label: Option<&str>) -> bool {
        let plain = |c: char| c.is_ascii_alphabetic() || " ,.'-:".contains(c);
        let rare = match (self.common, label == Some("animal")) {
            (false, true) => 1,
            (false, false) => 2,
            (true, true) => 5,
            (true, false) => 8,
        };
        let common = if headword.is_empty() { 20 } else { 8 };
        let known = |w: &str| self.of(w) >= if headword.contains(w) { rare } else { common };
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

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ",.:;".contains(c)).filter(|w| !w.is_empty())
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

fn article(word: &str) -> &'static str {
    let silent = ["hour", "honest", "honor", "heir", "herb"].iter().any(|s| word.starts_with(s));
    let spoken = ["uni", "use", "usu", "eu", "one", "ut"].iter().any(|s| word.to_lowercase().starts_with(s));
    if silent || word.starts_with(|c: char| "aeiouAEIOU".contains(c)) && !spoken { "an" } else { "a" }
}

fn with_article(phrase: &str) -> String {
    format!("{} {phrase}", article(phrase))
}

/// All sentences of a sense, each with its key (`None` for examples, which are not about the headword's topic).
fn sentences(synset: &Synset, hypernyms: &[&Synset], usage: &Usage) -> Vec<(Option<String>, String)> {
    let mut out = Vec::new();
    for example in &synset.examples {
        let n = words(example).count();
        if (4..=10).contains(&n) && !example.ends_with(['!', '?']) {
            out.push((None, sentence(example)));
        }
    }
    let (Some(label), Some(definition)) = (synset.label, synset.definitions.first()) else { return out };
    if !TOPICS.contains(&label) {
        return out;
    }
    let lower = |w: &String| w.chars().all(|c| c.is_ascii_lowercase() || c == ' ' || c == '-');
    let known = |w: &&String| lower(w) && words(w).count() <= 2;
    for (i, word) in synset.words.iter().filter(known).take(2).enumerate() {
        let Some(predicate) = predicate(definition, label, usage) else { break };
        let key = || Some(word.clone());
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
        if form == 1 {
            out.push((key(), format!("{word}: {definition}.")));
        }
        // What holds of a kind holds of its members: a sense without facts of its own takes those of its hypernym.
        let mut known = facts(label, definition);
        let parents = hypernyms.iter().filter(|h| h.label == Some(label)).flat_map(|h| h.definitions.first());
        known.extend(parents.flat_map(|parent| facts(label, parent)));
        known.truncate(if label == "animal" { 4 } else { 2 });
        for fact in known {
            let noun = kind(label, definition);
            let who = if label == "person" { "who" } else { "that" };
            out.push((key(), format!("{subject} is {} {who} {fact}.", with_article(&noun))));
            if label == "animal" && (form == 0 || usage.common) {
                out.push((
                    key(),
                    format!("{} is {} that {fact}.", sentence_start(&with_article(word)), with_article(&noun)),
                ));
            }
        }
        let parent = hypernyms.iter().flat_map(|h| h.words.first()).find(|w| lower(w) && !usage.plural(w));
        let counts = |w: &String| countable && usage.countable(w.rsplit(' ').next().unwrap_or(w), label);
        if let Some(parent) = parent.filter(|p| counts(p) && (form == 0 || !word.ends_with(p.as_str()))) {
            let noun = if form == 0 { format!("a kind of {parent}") } else { with_article(parent) };
            out.push((key(), format!("{subject} is {noun}.")));
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

fn sentence_start(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn sentence(text: &str) -> String {
    format!("{}.", sentence_start(text))
}
