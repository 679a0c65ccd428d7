//! Which positions are written when: every strategy on scripted scores, which random weights never reach.

use crate::common::scripted;

use scripted::{Scripted, commits, moves, policy, vocab};
use std::sync::{Arc, Mutex};
use stencil_lm::{
    CanvasView, Denoiser, Model, Result, Sampler, Scores, Settings, Token, Vocab,
    models::{Blocks, Process, SamplingDefaults},
    spec::kinds::CreditKind,
    spec::{BuildCx, Spec},
};

#[test]
fn confidence_writes_the_surest_first() {
    assert_eq!(commits(&[0.6, 0.9, 0.7], policy("confidence")), [[1], [2], [0]]);
    let two = Settings { steps: Some(2), ..policy("low_confidence") };
    assert_eq!(commits(&[0.6, 0.9, 0.7, 0.95], two), [[1, 3], [0, 2]]);
}

#[test]
fn margin_and_entropy_agree_with_confidence_on_two_tokens() {
    for name in ["margin", "entropy", "topk_margin", "maskgit_plus"] {
        assert_eq!(commits(&[0.6, 0.9, 0.7], policy(name)), [[1], [2], [0]], "{name}");
    }
}

#[test]
fn sequential_writes_left_to_right() {
    assert_eq!(commits(&[0.6, 0.9, 0.7], policy("left_to_right")), [[0], [1], [2]]);
}

#[test]
fn random_order_covers_everything_and_depends_on_the_seed() {
    let order = |seed| commits(&[0.6; 6], Settings { seed: Some(seed), ..policy("origin") }).concat();
    let mut sorted = order(1);
    sorted.sort();
    assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    assert!((2..20).any(|seed| order(seed) != order(1)));
}

#[test]
fn threshold_commits_all_that_are_sure_and_the_best_where_none_is() {
    let settings = policy("threshold").option("threshold", 0.8);
    assert_eq!(commits(&[0.85, 0.6, 0.95, 0.7], settings), [vec![0, 2], vec![3], vec![1]]);
    assert_eq!(commits(&[0.86, 0.89, 0.6], policy("low_confidence_dynamic")), [vec![0, 1], vec![2]]);
    assert_eq!(commits(&[0.86, 0.89, 0.6], policy("threshold")), [vec![1], vec![0], vec![2]]);
}

#[test]
fn entropy_bound_takes_the_largest_prefix_within_the_bound() {
    // H(.99) = .056, H(.9) = .325, H(.6) = .673: .056 within .1, .056 + .325 not.
    let settings = policy("entropy_bound").option("entropy_bound", 0.1);
    assert_eq!(commits(&[0.6, 0.99, 0.9, 0.6], settings), [vec![1, 2], vec![0], vec![3]]);
    let wide = policy("eb").option("entropy_bound", 5.0);
    assert_eq!(commits(&[0.6, 0.99, 0.9], wide), [vec![0, 1, 2]]);
}

#[test]
fn spread_never_writes_neighbours_together() {
    let settings = Settings { steps: Some(3), ..policy("spread") };
    for step in &commits(&[0.9, 0.91, 0.92, 0.93, 0.94, 0.95], settings)[..2] {
        assert!(step.windows(2).all(|w| w[1] - w[0] > 1), "{step:?}");
    }
}

#[test]
fn remdm_takes_back_and_still_ends_in_time() {
    let spec = Spec::new().regex("[ab]*").unwrap();
    let settings = Settings { steps: Some(12), len: Some(12), ..policy("remdm") }.option("eta", 0.5);
    let seen = moves(&Scripted::certain(&[0.7; 12]), settings, &spec);
    assert!(seen.len() <= 12);
    assert!(seen.iter().any(|(_, reopened)| !reopened.is_empty()));
    // Within a block only.
    let settings =
        Settings { steps: Some(12), len: Some(12), block_length: Some(6), ..policy("remdm") }.option("eta", 0.9);
    let seen = moves(&Scripted::certain(&[0.7; 12]), settings, &spec);
    assert!(seen.iter().any(|(_, reopened)| reopened.iter().any(|&pos| pos < 6)));
    assert!(
        seen.iter()
            .all(|(committed, reopened)| reopened.iter().chain(committed).all(|&pos| pos / 6 == committed[0] / 6))
    );
}

#[test]
fn factor_writes_the_largest_sure_prefix() {
    // (n + 1)(1 − p) < 1: .9 and .8 hold as first and second, .6 as third does not.
    assert_eq!(commits(&[0.9, 0.6, 0.8], policy("factor")), [vec![0, 2], vec![1]]);
    let narrow = policy("factor").option("factor", 0.1);
    assert_eq!(commits(&[0.9, 0.6, 0.97], narrow), [vec![2], vec![0], vec![1]]);
}

#[test]
fn blocks_are_written_one_after_the_other() {
    let blocks = Settings { block_length: Some(2), ..policy("low_confidence") };
    assert_eq!(commits(&[0.6, 0.9, 0.7, 0.95, 0.8], blocks.clone()), [[1], [0], [3], [2], [4]]);
    // Four steps for two blocks of two positions are two each; two steps are one each.
    assert_eq!(commits(&[0.6, 0.9, 0.7, 0.95], Settings { steps: Some(2), ..blocks.clone() }), [[0, 1], [2, 3]]);
    // Shares of a whole block, of which the text has only a part.
    let shares = Settings { block_length: Some(4), steps: Some(4), ..policy("low_confidence_static") };
    assert_eq!(commits(&[0.6, 0.9, 0.7, 0.95, 0.8], shares), [vec![1, 3], vec![0, 2], vec![4]]);
    // The threshold acts within the block.
    let sure = Settings { policy: Some("low_confidence_dynamic".into()), ..blocks }.option("threshold", 0.85);
    assert_eq!(commits(&[0.6, 0.9, 0.95, 0.95], sure), [vec![1], vec![0], vec![2, 3]]);
}

#[test]
fn falling_times_write_more_towards_the_end() {
    let settings = policy("maskgit_plus").option("eps", 1e-3);
    let counts = |steps| -> Vec<usize> {
        commits(&[0.6; 24], Settings { steps, ..settings.clone() }).iter().map(Vec::len).collect()
    };
    // As Dream's own sampler counts, but for its first step, in which it writes nothing.
    assert_eq!(counts(Some(24)), [vec![1; 22], vec![2]].concat());
    assert_eq!(counts(Some(10)), [2, 2, 2, 2, 2, 2, 2, 3, 3, 4]);
}

/// Believes in `b` at the start until something stands there, in `a` from then on.
struct Fickle(Vocab);

impl Denoiser for Fickle {
    fn name(&self) -> &str {
        "fickle"
    }
    fn vocab(&self) -> &Vocab {
        &self.0
    }
    fn max_len(&self) -> usize {
        8
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let row = |view: &CanvasView, pos: usize| {
            let a = if pos > 0 {
                0.6
            } else if view.tokens[0].is_some() {
                0.99
            } else {
                0.02f32
            };
            [a.ln(), (1.0 - a).ln(), -50.0, -50.0, -50.0, -50.0]
        };
        let rows = |view: &CanvasView| (0..view.tokens.len()).flat_map(|pos| row(view, pos)).collect();
        views.iter().map(|view| Scores::new(6, rows(view))).collect()
    }
}

#[test]
fn editing_overwrites_what_the_model_takes_back_and_keeps_the_constraint() {
    let model = Model::new(Fickle(vocab()));
    let write = |pattern: &str, settings: Settings| {
        let spec = Spec::new().regex(pattern).unwrap();
        let settings = Settings { temperature: Some(0.0), len: Some(3), ..settings };
        let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
        assert!(output.report.verified, "{output:?}");
        (output.text, output.report.nfe)
    };
    assert_eq!(write("[ab]{3}", policy("threshold")).0, "baa");
    assert_eq!(write("[ab]{3}", policy("edit")).0, "aaa");
    // Above every probability nothing is edited; without post steps only while the block is written.
    let never = policy("edit").option("editing_threshold", 1.0);
    assert_eq!(write("[ab]{3}", never).0, "baa");
    // What the constraint ties together changes together or not at all.
    for seed in 0..20 {
        let settings = Settings { seed: Some(seed), ..policy("edit") };
        let (text, forwards) = write("aab|bba|bab", settings);
        assert!(["aab", "bba", "bab"].contains(&text.as_str()) && forwards < 24, "{text}");
    }
}

/// A uniform-state model: every view shows a token everywhere. What it was shown is written down.
#[derive(Clone)]
struct Uniform {
    scripted: Scripted,
    shown: Arc<Mutex<Vec<Vec<Token>>>>,
}

impl Denoiser for Uniform {
    fn name(&self) -> &str {
        "uniform"
    }
    fn vocab(&self) -> &Vocab {
        &self.scripted.vocab
    }
    fn max_len(&self) -> usize {
        self.scripted.rows.len()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let mut shown = self.shown.lock().unwrap();
        shown.extend(views.iter().map(|v| v.tokens.iter().map(|t| t.expect("no mask")).collect::<Vec<_>>()));
        self.scripted.predict(views)
    }
    fn process(&self) -> Process {
        Process::Uniform
    }
    fn defaults(&self) -> SamplingDefaults {
        let blocks = Some(Blocks { size: 4, from_prompt: false });
        SamplingDefaults { blocks, policy: "entropy_bound", steps: Some(6), ..SamplingDefaults::default() }
    }
}

#[test]
fn a_uniform_state_canvas_is_renoised_until_it_is_stable_and_sure() {
    let write = |probabilities: &[f32], seed| {
        let uniform = Uniform { scripted: Scripted::certain(probabilities), shown: Arc::default() };
        let model = Model::new(uniform.clone());
        let spec = Spec::new().regex("[ab]*").unwrap();
        let settings = Settings { len: Some(probabilities.len()), seed: Some(seed), ..Settings::default() };
        let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
        let shown = uniform.shown.lock().unwrap().clone();
        assert!(output.report.verified && output.report.nfe == shown.len());
        (output.text, shown)
    };
    // Sure of everything: the second look confirms the first.
    let (text, shown) = write(&[0.9999; 4], 1);
    assert_eq!((text.as_str(), shown.len()), ("aaaa", 2));
    assert_eq!(shown[1], [0; 4], "what is certain is accepted");
    // Sure of two positions: these are accepted, the others shown as noise anew at each step, for all six steps.
    let (text, shown) = write(&[0.9999, 0.6, 0.9999, 0.6], 2);
    assert_eq!((text.as_str(), shown.len()), ("aaaa", 6));
    assert!(shown[1..].iter().all(|s| s[0] == 0 && s[2] == 0));
    let noise: std::collections::HashSet<_> = shown.iter().map(|s| (s[1], s[3])).collect();
    assert!(noise.len() > 2, "{shown:?}");
    assert_ne!(write(&[0.6; 4], 3).1, write(&[0.6; 4], 4).1, "noise depends on the seed");
    // Two canvases, the second behind the first.
    let (text, shown) = write(&[0.9999; 8], 5);
    assert_eq!((text.as_str(), shown.len()), ("aaaaaaaa", 4));
    assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 8, 8]);
}

#[test]
fn a_constraint_spans_all_blocks_of_a_uniform_state_text() {
    let uniform = Uniform { scripted: Scripted::certain(&[0.7; 12]), shown: Arc::default() };
    let model = Model::new(uniform);
    let spec = Spec::new().regex("(?:ab?c){3}[ab]{2}c?").unwrap();
    for seed in 0..30 {
        let settings = Settings { len: Some(12), seed: Some(seed), ..Settings::default() };
        let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
        assert!(output.report.verified, "{output:?}");
    }
}

#[test]
fn every_policy_there_is_has_a_test_here() {
    let source = include_str!("strategies.rs");
    for kind in stencil_lm::policies::KINDS {
        let named = |name: &str| source.contains(&format!("\"{name}\""));
        assert!(named(kind.name) || kind.aliases.iter().any(|alias| named(alias.name)), "{}", kind.name);
    }
}

#[test]
fn dynamic_low_confidence_writes_what_is_sure_or_its_share_of_the_block() {
    // Four positions in two steps are two each; above the threshold all go at once.
    let dynamic = |probabilities: &[f32], threshold: Option<f32>| {
        let settings = Settings { steps: Some(2), ..policy("low_confidence_dynamic") };
        commits(probabilities, threshold.into_iter().fold(settings, |settings, t| settings.option("threshold", t)))
    };
    assert_eq!(dynamic(&[0.9, 0.6, 0.95, 0.88], None), [vec![0, 2, 3], vec![1]]);
    assert_eq!(dynamic(&[0.9, 0.6, 0.8, 0.7], None), [vec![0, 2], vec![1, 3]]);
    assert_eq!(dynamic(&[0.9, 0.6, 0.8, 0.7], Some(0.65)), [vec![0, 2, 3], vec![1]]);
    // In blocks, each with its own share.
    let blocks = Settings { steps: Some(4), block_length: Some(4), ..policy("low_confidence_dynamic") };
    assert_eq!(
        commits(&[0.9, 0.6, 0.8, 0.7, 0.9, 0.9, 0.9, 0.6], blocks),
        [vec![0, 2], vec![1, 3], vec![4, 5, 6], vec![7]]
    );
}

#[test]
fn hierarchy_writes_the_best_of_each_run_and_whatever_is_sure() {
    // One run: its best. Then two runs, left and right of it: the best of each, and .91 besides.
    let seen = commits(&[0.7, 0.91, 0.65, 0.99, 0.92, 0.93, 0.62], policy("hierarchy"));
    assert_eq!(seen, [vec![1, 3, 4, 5], vec![0, 2, 6]]);
    let strict = policy("hierarchy").option("threshold", 0.95).option("low_threshold", 0.6);
    assert_eq!(commits(&[0.7, 0.91, 0.65, 0.99, 0.8, 0.93, 0.62], strict), [vec![3], vec![1, 5], vec![0, 2, 4, 6]]);
    // Below the lower threshold one at a time, the most probable first.
    assert_eq!(commits(&[0.55, 0.58, 0.56], policy("hierarchical")), [[1], [2], [0]]);
}

#[test]
fn chance_decides_between_positions_in_proportion_to_their_readiness() {
    const SEEDS: u64 = 600;
    let first = |alg_temp, seed| {
        let settings = Settings { seed: Some(seed), ..policy("confidence") }.option("alg_temp", alg_temp);
        commits(&[0.55, 0.95, 0.75], settings)[0][0]
    };
    let times = |alg_temp, pos| (0..SEEDS).filter(|&seed| first(alg_temp, seed) == pos).count() as f32 / SEEDS as f32;
    assert_eq!(times(0.0, 1), 1.0);
    for alg_temp in [0.2, 1.0] {
        // The softmax of confidence / alg_temp, as Dream draws.
        let weights = [0.55f32, 0.95, 0.75].map(|p| (p / alg_temp).exp());
        for pos in 0..3 {
            let expected = weights[pos] / weights.iter().sum::<f32>();
            let error = 4.0 * (expected * (1.0 - expected) / SEEDS as f32).sqrt();
            assert!((times(alg_temp, pos) - expected).abs() < error, "{alg_temp}: {pos}: {expected}");
        }
    }
}

#[test]
fn credit_makes_what_stays_likeliest_surer() {
    let write = |credit: Option<CreditKind>| {
        let mut spec = Spec::new().regex("[ab]*").unwrap();
        if let Some(credit) = credit {
            spec = spec.kind(credit, &BuildCx::default()).unwrap();
        }
        let settings =
            Settings { temperature: Some(0.0), len: Some(6), ..policy("threshold") }.option("threshold", 0.88);
        let row = |p: f32| [p.ln(), (1.0 - p).ln(), -50.0, -50.0, -50.0, -50.0];
        let steps = moves(&Scripted::new([0.6, 0.8, 0.85, 0.8, 0.6, 0.6].map(row).to_vec()), settings, &spec);
        steps.into_iter().map(|(committed, _)| committed).collect::<Vec<_>>()
    };
    assert_eq!(write(None), [[2], [1], [3], [0], [4], [5]]);
    // By hand, with α = .7, γ = .2, β = .8: the odds of .85 are 17/3, its credit after a step .85^.2 = .968, which makes
    // odds of 17/3 · 1.968^.7 = 9.1, p = .90. For .8 the credit after two steps is .956 · 1.8, the odds 4 · 2.721^.7 = 8.1,
    // p = .89. For .6 it never suffices.
    assert_eq!(write(Some(CreditKind::default())), [vec![2], vec![1, 3], vec![0], vec![4], vec![5]]);
    // With γ = 0 every credit is 1 at the first step: with α = 4 odds are × 16, those of .6 are 24.
    let strong = CreditKind { alpha: 4.0, gamma: 0.0, beta: 1.0 };
    assert_eq!(write(Some(strong)), [vec![0, 1, 2, 3, 4, 5]]);
    let none = CreditKind { alpha: 0.0, ..CreditKind::default() };
    assert_eq!(write(Some(none)), write(None));
    let bad = CreditKind { beta: 1.5, ..CreditKind::default() };
    assert!(Spec::new().kind(bad, &BuildCx::default()).is_err());
}

#[test]
fn post_steps_and_the_editing_threshold_bound_what_is_overwritten() {
    let model = Model::new(Fickle(vocab()));
    let write = |settings: Settings| {
        let spec = Spec::new().regex("[ab]{3}").unwrap();
        let settings = Settings { temperature: Some(0.0), len: Some(3), ..settings }.option("threshold", 0.5);
        let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
        (output.text, output.report.nfe)
    };
    // All is written in the first step; the second finds position 0 better as `a`, the third finds nothing.
    assert_eq!(write(policy("edit")), ("aaa".into(), 3));
    assert_eq!(write(policy("edit").option("post_steps", 1.0)), ("aaa".into(), 2));
    assert_eq!(write(policy("edit").option("post_steps", 0.0)), ("baa".into(), 1));
    assert_eq!(write(policy("edit").option("editing_threshold", 0.995)), ("baa".into(), 2));
}
