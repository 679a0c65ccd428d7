//! Greedy texts of the references' own samplers, token for token, written by the sampler of this crate.

use super::{
    case::{self, Case},
    overwriting::{Overwriting, PROMPT},
};
use serde_json::{Value, json};
use std::path::Path;
use stencil_lm::{
    CanvasView, Denoiser, Model, Result, Sampler, Scores, Settings, Token, Vocab,
    guides::HiddenPrompt,
    models::{
        Cache, Item, Prediction, Pretrained, Process, SamplingDefaults, Uses,
        checkpoint::{Precision, Weights},
        families::{Diffusion, describe},
    },
    spec::Spec,
};

/// A vocabulary in which every token writes a character of its own, so that any row of tokens is a text. The mask too:
/// the references do not keep their models from predicting it, and its share of the probability counts.
fn vocab(size: usize) -> Vocab {
    Vocab::from_bytes((0..size as Token).map(|t| Some(character(t).to_string().into_bytes())).collect(), None, None)
        .unwrap()
}

fn character(token: Token) -> char {
    char::from_u32(0x4e00 + token).unwrap()
}

pub fn text(tokens: &[Token]) -> String {
    tokens.iter().map(|&t| character(t)).collect()
}

pub fn tokens(text: &str) -> Vec<Token> {
    text.chars().map(|c| c as u32 - 0x4e00).collect()
}

/// One run of a reference sampler in the words of this crate.
struct Run {
    settings: Settings,
    spec: Spec,
    /// Scale of guidance away from what the model says without the prompt.
    guidance: Option<f32>,
    /// Block size of the model's attention, where the run sets it.
    block: Option<usize>,
    /// The reference may overwrite what it has written.
    overwrites: bool,
}

impl Run {
    fn read(name: &str, run: &Value, family: &str, len: usize, mut spec: Spec) -> Self {
        let size = |key: &str| run.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let number = |key: &str| run.get(key).and_then(Value::as_f64).map(|x| x as f32);
        let name_of = |key: &str| run.get(key).and_then(Value::as_str).map(str::to_string);
        let mut settings =
            Settings { len: Some(len), temperature: Some(0.0), steps: size("steps"), ..Settings::default() };
        let mut block = None;
        let mut options = Vec::new();
        match family {
            "LLaDA" | "LLaDA-MoE" => {
                settings.block_length = size("block_length");
                settings.policy = Some("low_confidence".into());
                if let Some(threshold) = number("threshold") {
                    settings.policy = Some("threshold".into());
                    options.push(("threshold", Some(threshold)));
                }
                if name.contains("prefix_cache") {
                    settings.cache = Some(Cache::Prefix);
                } else if name.contains("dual_cache") {
                    settings.cache = Some(Cache::Dual);
                }
            }
            "Dream" => {
                settings.policy = name_of("alg");
                // The references' configurations inherit `top_k` from the library they are built on.
                // They cut by `top_p` first, which leaves more than `top_k` tokens of these flat distributions: `top_k`
                // alone decides.
                (settings.top_k, settings.top_p) = match size("top_k") {
                    Some(k) => (Some(k), None),
                    None => (Some(50), number("top_p")),
                };
                match number("threshold") {
                    // The reference goes on until everything is written, whatever number of steps was asked for.
                    Some(threshold) => {
                        settings.steps = None;
                        options.push(("threshold", Some(threshold)));
                    }
                    None => options.push(("eps", Some(number("eps").unwrap_or(1e-3)))),
                }
                if run.get("hook").is_some() {
                    let pattern = format!(".{{5}}{}.{{5}}{}.*", character(77), character(78));
                    spec = spec.regex(&pattern).unwrap();
                }
            }
            "SDAR" => {
                settings.policy = name_of("remasking_strategy");
                options.push(("threshold", number("confidence_threshold")));
                block = size("block_length");
                settings.steps = size("denoising_steps").map(|steps| steps * len.div_ceil(block.unwrap()));
            }
            "LLaDA2 MoE" => {
                settings.policy = Some("edit".into());
                block = size("block_length");
                options.push(("threshold", number("threshold")));
                // Beyond 1 nothing is edited.
                options.push(("editing_threshold", number("editing_threshold").map(|t| t.min(1.0))));
                options.push(("post_steps", number("max_post_steps")));
                settings.steps = None;
            }
            other => panic!("samplers of the family {other} are not known"),
        }
        settings.options = options.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect();
        let overwrites = family == "SDAR" && settings.policy.as_deref() == Some("low_confidence_static");
        if overwrites {
            // The policy of the test stands for it.
            settings.policy = None;
            settings.options.clear();
        }
        Self { settings, spec, guidance: number("cfg_scale"), block, overwrites }
    }
}

/// The model of a folder, under a configuration of its own.
fn pretrained(folder: &Path, config: &Value, mask: Option<Token>) -> Pretrained {
    let description = describe(config).unwrap();
    let vocab = vocab(description.plan.vocab());
    let weights = Weights::open(folder).unwrap().named_as(&description.plan);
    let mut reader = weights.reader(Precision::F32);
    Pretrained::new(folder.display().to_string(), description, vocab, mask, Vec::new(), &mut reader).unwrap()
}

/// How far scores are shaken: about what separates two implementations.
const SHAKE: f32 = 2e-5;

/// A model whose scores are a little off, by chance that starts from a seed; as they are without one.
struct Shaken {
    inner: Pretrained,
    by: Option<u64>,
}

impl Shaken {
    fn shake(&self, mut all: Vec<Scores>) -> Vec<Scores> {
        let Some(mut state) = self.by else { return all };
        for scores in &mut all {
            for pos in 0..scores.len() {
                for score in scores.row_mut(pos) {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    *score += SHAKE * ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0);
                }
            }
        }
        all
    }
}

impl Denoiser for Shaken {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn vocab(&self) -> &Vocab {
        self.inner.vocab()
    }
    fn max_len(&self) -> usize {
        self.inner.max_len()
    }
    fn defaults(&self) -> SamplingDefaults {
        self.inner.defaults()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        Ok(self.shake(self.inner.predict(views)?))
    }
    fn process(&self) -> Process {
        self.inner.process()
    }
    fn uses(&self) -> Uses {
        self.inner.uses()
    }
    fn answer(&self, items: &mut [Item]) -> Result<()> {
        self.inner.answer(items)?;
        for item in items {
            let Some(Prediction::Scores(scores)) = &mut item.prediction else { continue };
            let shaken = self.shake(vec![(**scores).clone()]).remove(0);
            *scores = std::sync::Arc::new(shaken);
        }
        Ok(())
    }
}

/// Runs every sampler of a folder; how many there were.
pub fn check(folder: &Path, case: &Case, about: &Value) -> usize {
    let Some(runs) = about["samplers"].as_object().filter(|runs| !runs.is_empty()) else { return 0 };
    if let Diffusion::Uniform { .. } = case.description.process {
        let model = || pretrained(folder, &case::config(folder), None);
        return super::canvas::check(case, runs, model);
    }
    let prompt = case.ids("gen.prompt").unwrap().remove(0);
    let mask = about["mask_token_id"].as_u64().map(|t| t as Token).or(case.description.mask).unwrap();
    let mut checked = 0;
    for (name, run) in runs {
        let mut expected = case.ids(&format!("{name}.out")).unwrap().remove(0);
        if expected.starts_with(&prompt) {
            expected.drain(..prompt.len());
        }
        if expected.contains(&mask) {
            println!("  {name}: NOT COMPARED: the reference leaves masks in its text");
            continue;
        }
        let mut config = case::config(folder);
        let read = |spec| Run::read(name, run, case.description.family, expected.len(), spec);
        if let Some(block) = read(Spec::new()).block {
            config["block_size"] = json!(block);
        }
        let write = |shaken: Option<u64>| {
            let run = read(Spec::new());
            let model = Shaken { inner: pretrained(folder, &config, Some(mask)), by: shaken };
            let model = Model::new(model);
            let mut sampler = Sampler::new(&model).spec(&run.spec).settings(run.settings).prompt(text(&prompt));
            if let Some(scale) = run.guidance {
                sampler = sampler.guide(move |_| HiddenPrompt::new(scale));
            }
            if run.overwrites {
                sampler = sampler.policy_with(Overwriting::default);
            }
            sampler.run().map(|mut outputs| outputs.remove(0))
        };
        let output = match write(None) {
            Ok(output) => output,
            Err(error) if error.message() == PROMPT => {
                println!("  {name}: NOT COMPARED: {PROMPT}");
                continue;
            }
            Err(error) => panic!("{}: {name}: {error:?}", case.name),
        };
        let ours = tokens(&output.text);
        let theirs = run.get("nfe").map_or(String::new(), |nfe| format!(", the reference in {nfe}"));
        println!("  {name}: {} tokens in {} forwards{theirs}", ours.len(), output.report.nfe);
        checked += 1;
        if ours != expected {
            // Where rounding decides between two that are alike, the reference's text is among those of scores that differ
            // by no more than rounding.
            let tie = (1..=32).find(|&seed| write(Some(seed)).is_ok_and(|o| tokens(&o.text) == expected));
            assert!(tie.is_some(), "{}: {name}: {ours:?}, not {expected:?}", case.name);
            println!("  {name}: A TIE WITHIN ROUNDING: the reference's text comes with scores shaken by {SHAKE}");
        }
    }
    checked
}
