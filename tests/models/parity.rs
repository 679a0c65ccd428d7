//! Pretrained networks against their reference implementations: every folder of reference checkpoints that is there.
//!
//! Checkpoints of odd shapes in `tests/references` are compared always; `STENCIL_FIXTURES=DIR cargo test --release parity`
//! compares every folder in DIR, too. A folder holds a checkpoint, and `fixtures.safetensors` with inputs and what the reference answers. The family is told by the
//! configuration, never by the folder's name.

pub(crate) mod canvas;
pub(crate) mod case;
pub(crate) mod overwriting;
pub(crate) mod samplers;

use case::{Case, each};
use serde_json::Value;
use std::path::Path;
use stencil_lm::models::{
    families::Diffusion,
    transformer::{Pattern, Sequence},
};

/// Largest difference of a logit that rounding explains.
const TOLERANCE: f32 = 2e-4;

/// Largest difference between rows of logits that must be equal.
fn difference(ours: &[Vec<f32>], reference: &[Vec<f32>]) -> f32 {
    assert_eq!((ours.len(), ours[0].len()), (reference.len(), reference[0].len()), "shapes");
    let pairs = ours.iter().flatten().zip(reference.iter().flatten());
    pairs.map(|(a, b)| if a.is_finite() { (a - b).abs() } else { f32::INFINITY }).fold(0.0, f32::max)
}

fn pattern(case: &Case, input: &str) -> Pattern {
    match (case.ids(&format!("{input}.block")), case.description.process) {
        (Some(block), _) => Pattern::Blocks(block[0][0] as usize),
        (None, Diffusion::Masked { pattern, .. }) => pattern,
        (None, Diffusion::Uniform { .. }) => Pattern::Full,
    }
}

/// Sequences of an input, padding left out, with the rows of the reference that count.
fn sequences(case: &Case, input: &str) -> Vec<(Sequence<'static>, Vec<usize>)> {
    let rows = case.ids(&format!("{input}.ids")).unwrap();
    let mask = case.ids(&format!("{input}.attention_mask"));
    let noise = case.numbers(&format!("{input}.sigma")).map_or(0.0, |s| s[0]);
    let sequence = |(i, ids): (usize, &Vec<u32>)| {
        let kept: Vec<usize> = (0..ids.len()).filter(|&j| mask.as_ref().is_none_or(|m| m[i][j] == 1)).collect();
        let tokens = kept.iter().map(|&j| ids[j]).collect();
        (Sequence { noise, ..Sequence::whole(tokens, pattern(case, input)) }, kept)
    };
    rows.iter().enumerate().map(sequence).collect()
}

/// What MDLM's parameterisation makes of logits: log probabilities of an open position, without the mask; a position that is
/// written predicts itself.
fn check_log_probabilities(case: &Case, input: &str, row: usize, sequence: &Sequence, ours: &[Vec<f32>]) {
    let (Some(reference), Some(mask)) = (case.tables(&format!("{input}.subs")), mask(case)) else { return };
    let open = (0..sequence.tokens.len()).filter(|&pos| sequence.tokens[pos] == mask);
    let mut worst = 0f32;
    for pos in open {
        let legal = || ours[pos].iter().enumerate().filter(|(token, _)| *token != mask as usize).map(|(_, x)| *x);
        let largest = legal().fold(f32::NEG_INFINITY, f32::max);
        let total = largest + legal().map(|x| (x - largest).exp()).sum::<f32>().ln();
        let own = legal().map(|x| x - total);
        let theirs =
            reference[row][pos].iter().enumerate().filter(|(token, _)| *token != mask as usize).map(|(_, x)| *x);
        worst = own.zip(theirs).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
    }
    println!("  {input}.subs[{row}]: {worst:.1e}");
    assert!(worst <= TOLERANCE, "{}: {input}.subs[{row}] differs by {worst}", case.name);
}

fn mask(case: &Case) -> Option<u32> {
    case.description.mask.or(case.description.mask_default)
}

/// Inputs given whole: one text, or a batch of texts.
fn check_inputs(case: &Case) -> usize {
    let mut checked = 0;
    for input in case.inputs(".ids") {
        let Some(reference) = case.tables(&format!("{input}.logits")).or(case.tables(&format!("{input}.raw"))) else {
            continue;
        };
        let sequences = sequences(case, &input);
        let batch: Vec<Sequence> = sequences.iter().map(|(s, _)| s.clone()).collect();
        let together = case.network.forward(&batch).unwrap();
        for (i, ((sequence, kept), answer)) in sequences.iter().zip(&together).enumerate() {
            let ours = answer.logits.to_vec2::<f32>().unwrap();
            let expected: Vec<Vec<f32>> = kept.iter().map(|&row| reference[i][row].clone()).collect();
            let worst = difference(&ours, &expected);
            println!("  {input}[{i}]: {} positions, {worst:.1e}", ours.len());
            assert!(worst <= TOLERANCE, "{}: {input}[{i}] differs by {worst}", case.name);
            check_log_probabilities(case, &input, i, sequence, &ours);
            // A matrix product may round differently with more rows: what gives the same bits is the model on top.
            let alone = case.network.forward(std::slice::from_ref(sequence)).unwrap().remove(0);
            let worst = difference(&alone.logits.to_vec2::<f32>().unwrap(), &ours);
            assert!(worst <= TOLERANCE, "{}: {input}[{i}] alone differs by {worst}", case.name);
            checked += 1;
        }
    }
    checked
}

/// Keys and values of a first part kept, the rest computed behind them.
fn check_caches(case: &Case) -> usize {
    let mut checked = 0;
    for input in case.inputs(".ids") {
        let Some(reference) = case.tables(&format!("{input}.logits_tail")) else { continue };
        let ids = case.ids(&format!("{input}.ids")).unwrap();
        for (ids, reference) in ids.iter().zip(&reference) {
            let pattern = pattern(case, &input);
            let mut whole = Sequence::whole(ids.clone(), pattern);
            whole.remember = true;
            let answer = case.network.forward(&[whole]).unwrap().remove(0);
            let start = ids.len() - reference.len();
            let past = answer.memory.unwrap().select(|p| (p as usize) < start).unwrap();
            let tail = Sequence { start, past: Some(&past), ..Sequence::whole(ids[start..].to_vec(), pattern) };
            let ours = case.network.forward(&[tail]).unwrap().remove(0).logits.to_vec2::<f32>().unwrap();
            let worst = difference(&ours, reference);
            println!("  {input}: {} positions behind {start} kept ones, {worst:.1e}", ours.len());
            assert!(worst <= TOLERANCE, "{}: {input} differs by {worst}", case.name);
            checked += 1;
        }
    }
    checked
}

/// A canvas behind an encoded prompt, without and with what the network believed before.
fn check_canvases(case: &Case) -> usize {
    let mut checked = 0;
    for input in case.inputs(".canvas") {
        let prompt = case.ids(&format!("{input}.prompt")).unwrap().remove(0);
        let canvas = case.ids(&format!("{input}.canvas")).unwrap().remove(0);
        let start = prompt.len();
        let encoder = Sequence { remember: true, wanted: 0..0, ..Sequence::whole(prompt, Pattern::Causal) };
        let past = case.network.forward(&[encoder]).unwrap().remove(0).memory.unwrap();
        let decoder = Sequence { start, past: Some(&past), ..Sequence::whole(canvas, Pattern::Canvas) };
        let first = case.network.forward(std::slice::from_ref(&decoder)).unwrap().remove(0).logits;
        let belief = case.tensor(&format!("{input}.logits")).unwrap().squeeze(0).unwrap();
        let second = Sequence { belief: Some(belief), ..decoder };
        let second = case.network.forward(&[second]).unwrap().remove(0).logits;
        for (name, ours) in [("logits", first), ("logits_selfcond", second)] {
            let reference = case.tables(&format!("{input}.{name}")).unwrap().remove(0);
            let worst = difference(&ours.to_vec2::<f32>().unwrap(), &reference);
            println!("  {input}.{name}: {worst:.1e}");
            assert!(worst <= TOLERANCE, "{}: {input}.{name} differs by {worst}", case.name);
            checked += 1;
        }
    }
    checked
}

/// What is said of a folder's answers; nothing where there is no such file.
fn about(folder: &Path) -> Value {
    let file = folder.join("fixtures.json");
    match file.exists() {
        true => serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        false => Value::Null,
    }
}

#[test]
fn networks_agree_with_their_references() {
    each(|folder| {
        let case = Case::load(folder);
        println!("{} ({}, {} weights)", case.name, case.description.family, case.description.plan.parameters());
        let checked = check_inputs(&case) + check_caches(&case) + check_canvases(&case);
        assert!(checked > 0, "{}: nothing to compare with", case.name);
        // Of the samplers, which are compared below, and positions that follow from what is padding.
        let mut known: Vec<String> = vec!["gen.".into(), "pad.position_ids".into()];
        known.extend(about(folder)["samplers"].as_object().into_iter().flatten().map(|(name, _)| format!("{name}.")));
        let unseen = case.unseen(&known);
        assert!(unseen.is_empty(), "{}: nobody knows how to compare {unseen:?}", case.name);
    });
}

#[test]
fn greedy_texts_are_those_of_the_reference_samplers() {
    each(|folder| {
        let case = Case::load(folder);
        println!("{}", case.name);
        let checked = samplers::check(folder, &case, &about(folder));
        println!("  {checked} texts agree");
    });
}
