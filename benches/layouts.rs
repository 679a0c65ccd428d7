//! Which layout writes better text? Templates filled with literals floating and with literals pinned, judged by a
//! word trigram model of the training corpus (perplexity per word), beside diversity, the share of texts that repeat a
//! word, length, forwards and constraint time.
//!
//! `STENCIL_CORPUS=corpus.jsonl cargo bench --bench layouts`

mod common;

use stencil_lm::{Layout, Model, Settings};

const TEMPLATES: &[&str] = &[
    "The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.",
    "A {{thing:1-2}} is a {{kind:1-3}} used for {{use:1-4}}.",
    "A {{food:1-2}} is a dish made of {{parts:2-6}}.",
    "The {{place:1-2}} is a {{what:2-5}} in {{where:1-3}}.",
    "A {{person:1-2}} is a person who {{does:2-6}}.",
    "{{plant:1-2}} is a plant with {{a:1-2}} leaves and {{b:1-2}} flowers.",
    "A {{tool:1-3}} is {{what}}.",
    "The {{act:1-2}} of {{doing:2-5}}.",
];

/// Whether a word of four letters or more occurs twice: "a dish made of a dish".
fn repeats(text: &str) -> bool {
    let mut long: Vec<String> = common::words(text).into_iter().filter(|w| w.chars().count() >= 4).collect();
    let all = long.len();
    long.sort();
    long.dedup();
    long.len() < all
}

fn main() -> stencil_lm::Result<()> {
    let Some(corpus) = common::corpus() else { return Ok(()) };
    let judge = common::Trigrams::fit(corpus.iter().map(|e| e.text.as_str()));
    let model = Model::bundled()?;
    println!(
        "| layout | temperature | perplexity | distinct-2 | repeats | words | forwards | constraint ms | verified |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for temperature in [0.3, 0.7] {
        for layout in [Layout::Floating, Layout::Pinned] {
            let (mut texts, mut nfe, mut ms, mut verified) = (Vec::new(), 0, 0.0, 0);
            for template in TEMPLATES {
                let settings = Settings { layout: Some(layout), temperature: Some(temperature), ..Settings::default() };
                for output in model.fill(template)?.settings(settings).samples(40)? {
                    nfe += output.report.nfe;
                    ms += output.report.constraint_ms;
                    verified += usize::from(output.report.verified);
                    texts.push(output.text);
                }
            }
            let n = texts.len();
            println!(
                "| {layout:?} | {temperature} | {:.0} | {:.2} | {:.0} % | {:.1} | {:.1} | {:.1} | {verified} of {n} |",
                judge.perplexity(&texts),
                common::distinct_2(&texts),
                100.0 * texts.iter().filter(|t| repeats(t)).count() as f64 / n as f64,
                texts.iter().map(|t| common::words(t).len()).sum::<usize>() as f64 / n as f64,
                nfe as f64 / n as f64,
                ms / n as f64
            );
            for text in texts.iter().step_by(n / 8) {
                eprintln!("  {text}");
            }
        }
    }
    Ok(())
}
