//! Compiling constraints for a real vocabulary, stage by stage.
//!
//! `STENCIL_TOKENIZER=tokenizer.json cargo bench --bench compile [-- NAME]`; `STENCIL_VOCAB=262144` extends the
//! vocabulary with joined tokens.

use std::{path::Path, time::Instant};
use stencil_lm::{
    CompileCx, Constraint, Language, Result, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    constraints::{Contains, Length, Template},
    spec::Inputs,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EMAIL: &str = r"[a-z0-9._]+@[a-z0-9]+(\.[a-z]{2,})+";
const BOUNDED_EMAIL: &str = r"[a-zA-Z0-9._%+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\.){1,4}[a-zA-Z]{2,24}";
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const STRING: &str = r#"(?:[^"\\\x00-\x1F\x7F-\x9F]|\\["\\/bfnrt])"#;

fn record() -> String {
    let string = format!("\"{STRING}*\"");
    format!(
        concat!(
            r#"\{{"id":-?(?:0|[1-9][0-9]*),"name":"{c}{{0,40}}","email":"[a-z0-9._-]+@[a-z0-9-]+\.[a-z]{{2,6}}","#,
            r#""age":(?:[0-9]|[1-9][0-9]|1[0-4][0-9]|150),"active":(?:true|false),"#,
            r#""score":-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?,"role":"(?:admin|editor|viewer)","#,
            r#""tags":\[{s}(?:,{s}){{0,4}}\],"address":\{{"street":{s},"city":{s},"zip":"[0-9]{{5}}"\}},"#,
            r#""joined":"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}"\}}"#
        ),
        c = STRING,
        s = string
    )
}

fn items(cx: &CompileCx) -> Result<Vec<(&'static str, Language)>> {
    let contains = |words: &[&str]| Contains::new(words.iter().copied(), false)?.language(cx);
    let five = ["river", "animal", "large", "small", "water"];
    let twelve =
        ["river", "animal", "large", "small", "water", "food", "house", "bird", "tree", "stone", "city", "man"];
    let words = Length::parse("6-20w")?.language(cx)?;
    let template =
        "{{a:1-3}} of {{b:1-2}} and {{c:2-4}}: {{d|red|green|blue}}, {{e:3}} {{f~/[0-9]{2,5}/}} ({{g:1-5}}) {{h:2-8}}.";
    let template = Template::parse(template, &Inputs::default())?.language(cx)?;
    let choices = (0..5000u32).map(|i| {
        let mut x = i.wrapping_mul(2_654_435_761);
        let mut text = format!("item-{i}-");
        for _ in 0..12 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push((b'a' + (x >> 24) as u8 % 26) as char);
        }
        Language::literal(text)
    });
    Ok(vec![
        ("iso_date", Language::regex(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")),
        ("iso_ascii", Language::regex(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")),
        ("email", Language::regex(EMAIL)),
        ("bounded_email", Language::regex(BOUNDED_EMAIL)),
        ("caps", Language::regex("(?:[A-Z][a-z]{0,20} ){1,40}")),
        ("record", Language::regex(record())),
        ("contains3", contains(&five[..3])?),
        ("contains5", contains(&five)?),
        ("contains12", contains(&twelve)?),
        ("contains3_words", contains(&five[..3])?.and(words.clone())),
        ("contains5_words", contains(&five)?.and(words.clone())),
        ("words", words),
        ("template8", template),
        ("choice5000", Language::Union(choices.collect())),
        ("dot2000", Language::regex(".{1,2000}")),
        ("uuid20", Language::regex(format!("(?:{UUID}\n){{20}}"))),
    ])
}

/// Time that this thread has worked, where the system tells: other work on the machine does not lengthen it.
fn worked(since: Instant) -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(|| since.elapsed().as_secs_f64() * 1e3, |n| n / 1e6)
}

/// Milliseconds: the mean of the runs that fit into half a second. The clock ticks too slowly for single ones.
fn mean<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let begin = Instant::now();
    let started = worked(begin);
    let mut runs = 0.0;
    loop {
        let result = run();
        runs += 1.0;
        if begin.elapsed().as_secs_f64() > 0.5 {
            return ((worked(begin) - started) / runs, result);
        }
    }
}

fn vocab() -> Result<Vocab> {
    let path = std::env::var("STENCIL_TOKENIZER").expect("STENCIL_TOKENIZER names a tokenizer.json");
    let size = std::env::var("STENCIL_VOCAB").ok().and_then(|v| v.parse().ok());
    let vocab = Vocab::from_file(Path::new(&path), 151_936.max(size.unwrap_or(0)), Some(151_643), None)
        .or_else(|_| Vocab::from_file(Path::new(&path), 152_000, None, None))?;
    let Some(size) = size else { return Ok(vocab) };
    // Tokens joined with their neighbours, as a larger vocabulary of the same texts would have.
    let mut tokens: Vec<Option<Vec<u8>>> =
        (0..vocab.len() as u32).map(|t| vocab.bytes(t).map(<[u8]>::to_vec)).collect();
    let known: Vec<Vec<u8>> = tokens.iter().flatten().filter(|b| b.len() < 8).cloned().collect();
    let mut seen: std::collections::HashSet<Vec<u8>> = tokens.iter().flatten().cloned().collect();
    let mut x = 1usize;
    while tokens.len() < size || tokens.iter().any(Option::is_none) && seen.len() < size - 100 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let new = [&*known[(x >> 33) % known.len()], &*known[(x >> 20) % known.len()]].concat();
        if seen.insert(new.clone()) {
            match tokens.iter().rposition(Option::is_none) {
                Some(free) if free > 151_700 => tokens[free] = Some(new),
                _ if tokens.len() < size => tokens.push(Some(new)),
                _ => break,
            }
        }
    }
    Ok(Vocab::from_bytes(tokens, Some(151_643), None))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|a| a == "--json");
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let vocab = vocab()?;
    let limits = Limits::default();
    let started = Instant::now();
    TokenAutomaton::compile(&Language::literal("a"), &vocab, &limits)?;
    if !json {
        println!("{} tokens, preprocessing {:.1} ms", vocab.len(), started.elapsed().as_secs_f64() * 1e3);
        println!("| item | automata over bytes, ms | lifting, ms | states | classes | edges | MiB |");
        println!("|---|---|---|---|---|---|---|");
    }
    for (name, language) in items(&CompileCx::new(&vocab))? {
        if !wanted.is_empty() && !wanted.iter().any(|w| *w == name) {
            continue;
        }
        let (bytes_ms, factors) = mean(|| Dfa::factors(&language, &limits));
        let factors = factors?;
        let (lift_ms, automaton) = mean(|| TokenAutomaton::lift_all(&factors, &vocab, &limits));
        let automaton = automaton?;
        let (states, classes) = (automaton.states(), automaton.classes());
        let edges: usize = (0..states as u32).map(|state| automaton.edges(state).len()).sum();
        let mib = automaton.bytes() as f64 / (1 << 20) as f64;
        if json {
            let pattern = if let Language::Regex(pattern) = &language { Some(pattern) } else { None };
            let compile_ms = bytes_ms + lift_ms;
            println!(
                "{}",
                serde_json::json!({
                    "item": name, "pattern": pattern, "vocab": vocab.len(), "states": states, "classes": classes,
                    "edges": edges, "compile_ms": compile_ms, "mib": mib,
                })
            );
        } else {
            println!("| {name} | {bytes_ms:.2} | {lift_ms:.2} | {states} | {classes} | {edges} | {mib:.1} |");
        }
    }
    Ok(())
}
