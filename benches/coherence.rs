//! Do the tokens of a text agree with each other? α_LOO of every policy and temperature: each written token is hidden on
//! its own and read again, α = mean min(1, p(token | all others) / q(token when it was written)), with the sampler's
//! temperature in both. 1 means that no token would be taken back once the rest is known.
//!
//! `cargo bench --bench coherence` (`STENCIL_MODEL` names another model; `STENCIL_TEXTS` texts per setting, default 60)

mod common;

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};
use stencil_lm::{CanvasView, Model, Record, Result, Sampler, Settings, Source, Token, spec::Inputs, spec::Spec};

const POLICIES: [&str; 6] = ["confidence", "entropy", "margin", "random", "sequential", "remdm"];
const TEMPLATES: [&str; 3] = [
    "The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.",
    "You can use a {{tool:1-2}} to {{verb:2-6}}.",
    "In the {{place:1-2}} you can {{verb:2-6}}.",
];

/// A sample's tokens, and the probability with which each position was written.
#[derive(Default)]
struct Written {
    tokens: Vec<Option<Token>>,
    prob: BTreeMap<usize, f32>,
}

fn main() -> Result<()> {
    let model = match std::env::var("STENCIL_MODEL") {
        Ok(path) => Model::load(Path::new(&path))?,
        Err(_) => Model::bundled()?,
    };
    let texts = std::env::var("STENCIL_TEXTS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let free = vec![Spec::new().length("6-14w")?];
    let template = |t: &&str| Spec::new().template(&Source::new("template", t.to_string()), &Inputs::default());
    let templates = TEMPLATES.iter().map(template).collect::<Result<Vec<Spec>>>()?;
    println!("| policy | temperature | α_LOO, free text | templates | distinct-2, free text | templates |");
    println!("|---|---|---|---|---|---|");
    for policy in POLICIES {
        for temperature in [0.7, 0.8, 1.0] {
            let settings =
                Settings { policy: Some(policy.into()), temperature: Some(temperature), ..Settings::default() };
            let (a, one) = measure(&model, &free, &settings, texts)?;
            let (b, two) = measure(&model, &templates, &settings, texts)?;
            println!("| {policy} | {temperature} | {a:.3} | {b:.3} | {one:.2} | {two:.2} |");
        }
    }
    Ok(())
}

/// α_LOO and distinct-2 of texts, as many of each spec.
fn measure(model: &Model, specs: &[Spec], settings: &Settings, texts: usize) -> Result<(f64, f64)> {
    let (mut sum, mut tokens, mut lines) = (0.0, 0, Vec::new());
    for spec in specs {
        let mut written: Vec<Written> = Vec::new();
        let observer = |record: &Record| {
            if let Record::Step { sample, cells, committed, reopened, candidates, .. } = record {
                written.resize_with(written.len().max(sample + 1), Written::default);
                let one = &mut written[*sample];
                reopened.iter().for_each(|pos| _ = one.prob.remove(pos));
                let drawn = candidates.iter().filter(|c| committed.contains(&c.pos));
                one.prob.extend(drawn.map(|c| (c.pos, c.prob)));
                one.tokens = cells.iter().map(|cell| cell.written.as_ref().map(|written| written.token)).collect();
            }
            ControlFlow::Continue(())
        };
        let sampler = Sampler::new(model).spec(spec).settings(settings.clone()).count(texts / specs.len());
        lines.extend(sampler.observer(observer).run()?.into_iter().map(|output| output.text));
        for one in written {
            let hidden = |pos: usize| {
                let mut tokens = one.tokens.clone();
                tokens[pos] = None;
                CanvasView { prompt: Vec::new().into(), condition: None, tokens }
            };
            let views: Vec<CanvasView> = one.prob.keys().map(|&pos| hidden(pos)).collect();
            let read = model.denoiser().predict(&views)?;
            for ((&pos, &q), scores) in one.prob.iter().zip(&read) {
                let Some(token) = one.tokens[pos] else { continue };
                let p = probability(scores.row(pos), token, settings.temperature.unwrap_or(1.0));
                sum += (p / f64::from(q)).min(1.0);
                tokens += 1;
            }
        }
    }
    Ok((sum / f64::from(tokens.max(1)), common::distinct_2(&lines)))
}

fn probability(row: &[f32], token: Token, temperature: f32) -> f64 {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |score: f32| f64::from((score - top) / temperature).exp();
    weight(row[token as usize]) / row.iter().copied().map(weight).sum::<f64>()
}
