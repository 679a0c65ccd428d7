//! Does `topic` steer? 200 samples towards each of two topics and without guidance, graded by a logistic regression
//! that was trained on the half of the corpus the guide's statistics have not seen.
//!
//! `STENCIL_CORPUS=corpus.jsonl cargo bench --bench topics`

mod common;

use common::{Entry, Logistic};
use stencil_lm::{Model, Output, Request, Result, guides::Topics};

const SAMPLES: usize = 200;
const TEMPLATE: &str = "{{text:4-14}}.";

fn main() -> Result<()> {
    let Some(corpus) = common::corpus() else { return Ok(()) };
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

    let bundled = Model::bundled()?;
    let vocab = bundled.denoiser().vocab();
    let tokens: Vec<(&str, Vec<u32>)> =
        guide_half.iter().filter_map(|(t, y)| Some((*y, vocab.encode(t).ok()?))).collect();
    let topics = Topics::fit(vocab.len(), tokens.iter().map(|(y, t)| (*y, &t[..])))?;
    let model = bundled.clone().with_topics(topics);

    println!("| guidance | graded animal | graded food | distinct-2 | perplexity |");
    println!("|---|---|---|---|---|");
    let report = |name: &str, outputs: Vec<Output>| {
        assert!(outputs.iter().all(|o| o.report.verified));
        let texts: Vec<String> = outputs.into_iter().map(|o| o.text).collect();
        let share = |label| texts.iter().filter(|t| grader.predict(t) == label).count() as f64 / texts.len() as f64;
        println!(
            "| {name} | {:.3} | {:.3} | {:.2} | {:.0} |",
            share("animal"),
            share("food"),
            common::distinct_2(&texts),
            judge.perplexity(&texts)
        );
        texts.iter().step_by(SAMPLES / 5).for_each(|t| eprintln!("  {t}"));
    };
    let request = || -> Result<Request> { Ok(model.fill(TEMPLATE)?.temperature(0.7).seed(100)) };
    report("none", request()?.samples(SAMPLES)?);
    for scale in [2.0, 4.0] {
        for label in ["animal", "food"] {
            report(&format!("topic {label}={scale}"), request()?.topic(label, scale).samples(SAMPLES)?);
        }
    }
    report("topic animal=-2", request()?.topic("animal", -2.0).samples(SAMPLES)?);
    for label in ["animal", "food"] {
        if model.denoiser().conditions().iter().any(|c| c == label) {
            report(&format!("cfg {label}=1.5"), request()?.cfg(label, 1.5).samples(SAMPLES)?);
        }
    }
    Ok(())
}
