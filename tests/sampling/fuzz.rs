//! Mutated templates, constraint files and patterns: nothing a user writes may panic, hang or fill the memory.
//!
//! `STENCIL_FUZZ_CASES=1000000 STENCIL_FUZZ_SEED=2 cargo test --release fuzz::nothing -- --nocapture` tries more;
//! `STENCIL_FUZZ_CASE=FILE` keeps the current case in a file, for failures that end the process.

use crate::common::process;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};
use stencil_lm::{
    CompileCx, Constraint, Language, Result, Source, Vocab,
    automata::{Dfa, Limits},
    constraints::{Length, Regex, Template},
    spec::{Inputs, Registry, Spec},
};

/// Cases that are tried, unless `STENCIL_FUZZ_CASES` says otherwise.
const CASES: u64 = 4000;
/// No case may take longer.
const SLOWEST: Duration = Duration::from_secs(5);
/// The process may not grow beyond this.
const MEMORY_KIB: usize = 1 << 20;

const TEMPLATES: [&str; 12] = [
    "The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.",
    r"{{when~/\d{4}-\d{2}-\d{2}/}}: {{level|INFO|WARN}} {{message:5-40 chars}}",
    r"\{{ {{}} [MASK] ____ \$x $x $name {{a|x\|y|\}}}",
    "{{a|x|y}}{{b|x|y|xy}} {{a}}{{b}}{{c:4 tokens}}",
    "{{x~/[a-c]/}} {{x}} {{y~/(?:ab|cd){1,3}/}} {{z:1-}}",
    "{{é}} {{日本:2 words}}\n{{a:-3}}\r\n{{b:0-1}}",
    r"{{a~/\p{L}+(?i:x)[^\/]*/}}",
    "{{:3}}{{|a|b}}{{~/x/}}{{ spaced }}",
    r"C:\dir\\$name \\\{{x}} \____",
    "{{a}}, {{b}}, {{c}}, {{d}}, {{e}} and {{f}}.",
    "$name$name$x",
    "no slot at all",
];

const PATTERNS: [&str; 12] = [
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.\d{1,3}){3}",
    r"^\p{Lu}\w*(?: \w+){2,20}[.!?]$",
    r"(?x) a # comment
      | b{2,} | [c-e&&[^d]]",
    r"(a{1,1000}){1,1000}",
    r"(?i)straße|ſ|K",
    r"(?-u:[a-z]+)|(?s:.)*?",
    r"((((((((((a*)*)*)*)*)*)*)*)*)*)*",
    r"(?P<name>x)(?:(?m)^y$)?",
    r"\b\B(?=x)(?<!y)\1\Z\z",
    r"[[:alpha:]\d\W--x~~y]{3,7}?",
    r"(x+x+)+y",
    r"\u{1F600}|\x41|\Q.\E|\pN",
];

/// What means something to one of the parsers.
const WORDS: [&str; 72] = [
    "{{",
    "}}",
    "\\{{",
    "{",
    "}",
    "[MASK]",
    "____",
    "_",
    "$",
    "$x",
    "$name",
    "\\$",
    "\\",
    "|",
    "\\|",
    "~/",
    "/}}",
    "/",
    ":",
    ":2",
    ":1-3",
    " chars",
    " tokens",
    "0",
    "-",
    "99999999999999999999",
    "1000",
    "{1,1000}",
    "{0,}",
    "{2}",
    "*",
    "+",
    "?",
    "(",
    ")",
    "(?:",
    "(?i)",
    "(?x)",
    "(?=",
    "\\1",
    "\\b",
    "^",
    "[",
    "]",
    "[^",
    "&&",
    "\\d",
    "\\p{L}",
    "\\w",
    ".",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    ",",
    "=",
    "\n",
    "[slots.x]",
    "all = [",
    "template",
    "regex",
    "length",
    "words",
    "null",
    "true",
    "1e999",
    "\\u0000",
    "é",
    "𝔘",
    "\u{2028}",
    "\0",
    " ",
];

fn char_at(text: &str, rng: &mut impl Rng) -> usize {
    let mut at = rng.random_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A part of a text, mostly a short one.
fn part(text: &str, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let start = char_at(text, rng);
    let len = 1 << rng.random_range(0..8);
    let mut end = (start + len).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

fn mutate(seed: &str, others: &[String], rng: &mut impl Rng) -> String {
    let mut text = seed.to_string();
    for _ in 0..rng.random_range(1..=6) {
        let (at, span) = (char_at(&text, rng), part(&text, rng));
        match rng.random_range(0..8) {
            0 | 1 => text.insert_str(at, WORDS.choose(rng).unwrap()),
            2 => text.replace_range(span, ""),
            3 => text.replace_range(span, WORDS.choose(rng).unwrap()),
            4 => {
                let copy = text[span].to_string();
                text.insert_str(at, &copy);
            }
            5 => {
                let other = others.choose(rng).unwrap();
                let piece = other[part(other, rng)].to_string();
                text.insert_str(at, &piece);
            }
            6 => {
                let times = 1 << rng.random_range(0..11);
                let copies = text[span].repeat(times);
                text.insert_str(at, &copies);
            }
            _ => {
                let (open, close) =
                    *[("(", ")*"), ("(?:", "){2,9}"), ("{{a~/", "/}}"), ("[", "]"), ("\"", "\"")].choose(rng).unwrap();
                text.insert_str(span.end, close);
                text.insert_str(span.start, open);
            }
        }
        if text.len() > 1 << 20 {
            break;
        }
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Template,
    Toml,
    Json,
    Pattern,
    Length,
}

struct Fuzz {
    vocab: Vocab,
    registry: Registry,
    inputs: Inputs,
}

impl Fuzz {
    /// Everything that reading, checking and compiling do with a text.
    fn run(&self, target: Target, text: &str) -> Result<()> {
        let source = Source::new("fuzz", text);
        match target {
            Target::Template => {
                let template = Template::parse(text, &self.inputs).map_err(|e| e.in_source(&source))?;
                template.shape().scaffold();
                template.shape().slots(text);
                self.constraint(&template, text)
            }
            Target::Pattern => self.constraint(&Regex::new(text).map_err(|e| e.in_source(&source))?, text),
            Target::Length => self.constraint(&Length::parse(text).map_err(|e| e.in_source(&source))?, text),
            Target::Toml => self.spec(Spec::from_toml(&source, &self.registry, &self.inputs)?, text),
            Target::Json => self.spec(Spec::from_json(&source, &self.registry, &self.inputs)?, text),
        }
    }

    fn spec(&self, spec: Spec, text: &str) -> Result<()> {
        for text in spec.accepts.iter().chain(&spec.rejects) {
            spec.check(text);
            spec.slots(text);
        }
        spec.constraints.iter().try_for_each(|c| self.constraint(&**c, text))
    }

    fn constraint(&self, constraint: &dyn Constraint, text: &str) -> Result<()> {
        for text in [text, "", "The cat is a small animal that sleeps.", "ab ab 2024-02-29\n日本"] {
            constraint.check(text);
        }
        let language: Language = constraint.language(&CompileCx::new(&self.vocab))?;
        Dfa::compile(&language, &Limits { states: 20_000, bytes: 16 << 20, ..Limits::default() })?;
        Ok(())
    }
}

/// Most memory this process has held, where the system tells.
fn peak_kib() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Time that this thread has worked, where the system tells: other work on the machine does not lengthen it.
fn worked(since: Instant) -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_a_user_writes_panics_or_hangs() {
    process::alone("fuzz::nothing_a_user_writes_panics_or_hangs", fuzz);
}

fn fuzz() {
    let wanted = variable("STENCIL_FUZZ_CASES").unwrap_or(CASES);
    let case_file = std::env::var_os("STENCIL_FUZZ_CASE");
    let mut rng = ChaCha8Rng::seed_from_u64(variable("STENCIL_FUZZ_SEED").unwrap_or(1));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("constraints");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.is_file());
    names.sort();
    let files: Vec<String> = names.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let json = files.iter().map(|text| toml::from_str::<toml::Value>(text).unwrap());
    let json: Vec<String> = json.map(|value| serde_json::to_string_pretty(&value).unwrap()).collect();
    let seeds = [
        (Target::Template, TEMPLATES.map(String::from).to_vec()),
        (Target::Toml, files),
        (Target::Json, json),
        (Target::Pattern, PATTERNS.map(String::from).to_vec()),
        (Target::Length, ["5-20w", "12", "-8 chars", "3- tokens"].map(String::from).to_vec()),
    ];
    let everything: Vec<String> = seeds.iter().flat_map(|(_, texts)| texts.clone()).collect();
    let inputs = [("x", "a b"), ("name", "{{Ada}} | é")].into_iter().collect();
    let vocab = Vocab::from_bytes(vec![Some(b"a".to_vec())], None, None).unwrap();
    let fuzz = Fuzz { vocab, registry: Registry::builtin(), inputs };

    let start = Instant::now();
    let (mut cases, mut read, mut slowest) = (0u64, 0u64, Duration::ZERO);
    while cases < wanted {
        let (target, texts) = seeds.choose(&mut rng).unwrap();
        let text = mutate(texts.choose(&mut rng).unwrap(), &everything, &mut rng);
        if let Some(file) = &case_file {
            fs::write(file, format!("{target:?}\n{text}")).unwrap();
        }
        let began = worked(start);
        let result = catch_unwind(AssertUnwindSafe(|| fuzz.run(*target, &text).map_err(|e| e.report())));
        let took = worked(start).saturating_sub(began);
        let shown: String = text.chars().take(2000).collect();
        let result = result.unwrap_or_else(|_| panic!("panic on {target:?} {shown:?}"));
        assert!(took < SLOWEST, "{took:?} for {target:?} {shown:?}");
        let peak = peak_kib().filter(|_| cases % 256 == 0).unwrap_or(0);
        assert!(peak < MEMORY_KIB, "{peak} KiB after {target:?} {shown:?}");
        cases += 1;
        read += u64::from(result.is_ok());
        slowest = slowest.max(took);
    }
    assert!(read * 10 > cases && read < cases, "{read} of {cases} are well-formed");
    println!("{cases} cases, {read} of them well-formed, slowest {slowest:?}, peak {:?} KiB", peak_kib());
}
