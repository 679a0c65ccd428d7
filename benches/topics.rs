//! Does guidance steer? The `topic` guide and classifier-free guidance at scales 0, 1, 2 and 4 towards each topic, graded by
//! a logistic regression that was trained on the half of the corpus the guide's statistics have not seen.
//!
//! ```text
//! STENCIL_CORPUS=corpus.jsonl cargo bench --bench topics
//! ```
//! `STENCIL_MODEL` measures another model than the bundled one; `STENCIL_TWIN`, the directory of its causal twin, adds the
//! bits per byte of the samples under that.

mod common;

use common::{Entry, Logistic};
use std::path::Path;
use stencil_lm::{Model, Output, Request, Result, eval, models::Topics};

/// Samples per topic.
const SAMPLES: usize = 17;
const TEMPLATE: &str = "{{text:4-14}}.";
/// Labels that are no topics.
const FORMATS: [&str; 9] = ["address", "csv", "date", "email", "fields", "json", "money", "phone", "time"];

/// Adds guidance towards a label.
type Ask<'f> = &'f dyn for<'m> Fn(Request<'m>, &str) -> Request<'m>;

fn main() -> Result<()> {
    let Some(mut corpus) = common::corpus() else { return Ok(()) };
    corpus.retain(|e| e.label.as_deref().is_some_and(|l| !FORMATS.contains(&l)));
    let labelled = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<(&str, &str)> {
        let entries = corpus.iter().filter(|e| wanted(e));
        entries.filter_map(|e| Some((e.text.as_str(), e.label.as_deref()?))).collect()
    };
    // Halves by headword: the guide's statistics are fitted on one, the grader on the other.
    let half = |e: &Entry| {
        let key = e.key.as_deref().unwrap_or(&e.text);
        key.bytes().fold(5381u32, |h, b| h.wrapping_mul(33) ^ u32::from(b)) >> 7 & 1
    };
    let guide_half = labelled(&|e| half(e) == 0);
    let grader_half = labelled(&|e| half(e) == 1);
    let grader = Logistic::fit(&grader_half, 6);
    let judge = common::Trigrams::fit(grader_half.iter().map(|(t, _)| *t));
    eprintln!("grader: {:.3} right on the other half ({} texts)", grader.accuracy(&guide_half), guide_half.len());

    let path = std::env::var("STENCIL_MODEL").ok();
    let bundled = path.map_or_else(Model::bundled, |path| Model::load(Path::new(&path)))?;
    let twin = std::env::var("STENCIL_TWIN").ok().map(|path| eval::load(Some(Path::new(&path)))).transpose()?;
    let vocab = bundled.denoiser().vocab();
    let tokens: Vec<(&str, Vec<u32>)> =
        guide_half.iter().filter_map(|(t, y)| Some((*y, vocab.encode(t).ok()?))).collect();
    let topics = Topics::fit(vocab.len(), tokens.iter().map(|(y, t)| (*y, &t[..])))?;
    let labels: Vec<String> = topics.labels().to_vec();
    let model = bundled.clone().with_topics(topics);

    println!("| guidance | scale | on topic | distinct-2 | perplexity | bits/byte of the twin |");
    println!("|---|---|---|---|---|---|");
    let report = |name: &str, scale: f32, ask: Ask| -> Result<()> {
        let (mut texts, mut right) = (Vec::<String>::new(), 0);
        for (i, label) in labels.iter().enumerate() {
            let request = model.fill(TEMPLATE)?.seed((100 + i * SAMPLES) as u64);
            let outputs: Vec<Output> = ask(request, label).samples(SAMPLES)?;
            assert!(outputs.iter().all(|o| o.report.verified));
            right += outputs.iter().filter(|o| grader.predict(&o.text) == label).count();
            eprintln!("  {name}={scale} {label}: {}", outputs[0].text);
            texts.extend(outputs.into_iter().map(|o| o.text));
        }
        let bits = match &twin {
            Some(twin) => {
                let coded: Result<Vec<_>> = texts.iter().map(|t| eval::encode(&**twin, t, None)).collect();
                format!("{:.2}", eval::likelihood(&**twin, &coded?, 0, 1)?.bits_per_byte())
            }
            None => "-".into(),
        };
        let (distinct, perplexity) = (common::distinct_2(&texts), judge.perplexity(&texts));
        let share = right as f64 / texts.len() as f64;
        println!("| {name} | {scale} | {share:.3} | {distinct:.2} | {perplexity:.0} | {bits} |");
        Ok(())
    };
    report("none", 0.0, &|request, _| request)?;
    for scale in [1.0, 2.0, 4.0] {
        report("topic", scale, &|request, label| request.topic(label, scale))?;
    }
    for scale in [1.0, 2.0, 4.0] {
        report("cfg", scale, &|request, label| request.cfg(label, scale))?;
    }
    Ok(())
}
