//! The loop's own promises: budgets, forced positions, seeds, batches, policies on scripted scores.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use stencil_lm::{
    CanvasView, Cell, Denoiser, Ending, Error, Event, Guide, Layout, Model, Moves, Policy, Pos, Proposal, Result,
    Sampler, Scores, Settings, Source, Step, Token, Vocab,
    models::{Blocks, Chain, Manner, Oracle},
    spec::{Inputs, Spec},
};

/// Token ids: `a` 0, `b` 1, `c` 2, space 3, end 4, a special token 5.
fn vocab() -> Vocab {
    let writes = ["a", "b", "c", " "].map(|t| Some(t.as_bytes().to_vec()));
    Vocab::from_bytes(writes.into_iter().chain([None, None]).collect(), Some(4), None)
}

/// The same scores at every step: one row per position, log-probabilities of `a b c ␣ end special`.
#[derive(Clone)]
struct Scripted {
    vocab: Vocab,
    rows: Vec<[f32; 6]>,
    forwards: Arc<Mutex<usize>>,
}

impl Scripted {
    fn new(rows: Vec<[f32; 6]>) -> Self {
        Self { vocab: vocab(), rows, forwards: Arc::default() }
    }
    /// Probability `p` on `a`, the rest on `b`; the special token towers over both.
    fn certain(probabilities: &[f32]) -> Self {
        let row = |p: &f32| [p.ln(), (1.0 - p).ln(), -50.0, -50.0, -50.0, 50.0];
        Self::new(probabilities.iter().map(row).collect())
    }
}

impl Denoiser for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.rows.len()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        *self.forwards.lock().unwrap() += views.len();
        let rows = |view: &CanvasView| self.rows[..view.tokens.len()].iter().flatten().copied().collect();
        views.iter().map(|view| Scores::new(6, rows(view))).collect()
    }
}

/// Positions committed and reopened at each step.
fn moves(denoiser: &Scripted, settings: Settings, spec: &Spec) -> Vec<(Vec<Pos>, Vec<Pos>)> {
    let mut seen = Vec::new();
    let model = Model::new(denoiser.clone());
    let observer = |event: &Event| {
        if let Event::Step { committed, reopened, .. } = event {
            let mut committed = committed.to_vec();
            committed.sort();
            seen.push((committed, reopened.to_vec()));
        }
        ControlFlow::Continue(())
    };
    Sampler::new(&model).spec(spec).settings(settings).observer(observer).run().unwrap();
    seen
}

fn commits(probabilities: &[f32], settings: Settings) -> Vec<Vec<Pos>> {
    let spec = Spec::new().regex("[ab]*").unwrap();
    let settings = Settings { temperature: Some(0.0), len: Some(probabilities.len()), ..settings };
    moves(&Scripted::certain(probabilities), settings, &spec).into_iter().map(|(c, _)| c).collect()
}

fn policy(name: &str) -> Settings {
    Settings { policy: Some(name.into()), ..Settings::default() }
}

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
    let settings = Settings { threshold: Some(0.8), ..policy("threshold") };
    assert_eq!(commits(&[0.85, 0.6, 0.95, 0.7], settings), [vec![0, 2], vec![3], vec![1]]);
    assert_eq!(commits(&[0.86, 0.89, 0.6], policy("low_confidence_dynamic")), [vec![0, 1], vec![2]]);
    assert_eq!(commits(&[0.86, 0.89, 0.6], policy("threshold")), [vec![1], vec![0], vec![2]]);
}

#[test]
fn entropy_bound_takes_the_largest_prefix_within_the_bound() {
    // H(.99) = .056, H(.9) = .325, H(.6) = .673: .056 within .1, .056 + .325 not.
    let settings = Settings { entropy_bound: Some(0.1), ..policy("entropy_bound") };
    assert_eq!(commits(&[0.6, 0.99, 0.9, 0.6], settings), [vec![1, 2], vec![0], vec![3]]);
    let wide = Settings { entropy_bound: Some(5.0), ..policy("eb") };
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
    let settings = Settings { steps: Some(12), len: Some(12), eta: Some(0.5), ..policy("remdm") };
    let seen = moves(&Scripted::certain(&[0.7; 12]), settings, &spec);
    assert!(seen.len() <= 12);
    assert!(seen.iter().any(|(_, reopened)| !reopened.is_empty()));
    // Within a block only.
    let settings =
        Settings { steps: Some(12), len: Some(12), eta: Some(0.9), block_length: Some(6), ..policy("remdm") };
    let seen = moves(&Scripted::certain(&[0.7; 12]), settings, &spec);
    assert!(seen.iter().any(|(_, reopened)| reopened.iter().any(|&pos| pos < 6)));
    assert!(
        seen.iter()
            .all(|(committed, reopened)| reopened.iter().chain(committed).all(|&pos| pos / 6 == committed[0] / 6))
    );
}

#[test]
fn a_policy_that_reopens_for_ever_is_stopped_by_the_budget() {
    struct Sisyphus;
    impl Policy for Sisyphus {
        fn reopen(&mut self, step: &Step) -> Vec<Pos> {
            let cells = step.canvas.cells().iter().enumerate();
            cells.filter(|(_, c)| matches!(c, Cell::Held { .. })).map(|(pos, _)| pos).collect()
        }
        fn choose(&mut self, _: &Step, _: &Proposal) -> Result<Moves> {
            Ok(Moves::default())
        }
    }
    let model = Model::new(Scripted::certain(&[0.6; 8]));
    let settings = Settings { steps: Some(9), len: Some(8), ..Settings::default() };
    let output = Sampler::new(&model).settings(settings).policy(|| Sisyphus).run().unwrap().remove(0);
    assert!(output.report.verified && output.report.steps == 9);
}

#[test]
fn stray_moves_and_infinite_energies_are_errors() {
    struct Stray;
    impl Policy for Stray {
        fn choose(&mut self, _: &Step, _: &Proposal) -> Result<Moves> {
            Ok(Moves::commit([99]))
        }
    }
    struct Forbids;
    impl Guide for Forbids {
        fn guide(&mut self, _: &Step, scores: &mut Scores, _: &[Scores]) -> Result<()> {
            scores.row_mut(0)[0] = f32::NAN;
            Ok(())
        }
    }
    let model = Model::new(Scripted::certain(&[0.6; 4]));
    let stray: Error = Sampler::new(&model).policy(|| Stray).run().unwrap_err();
    assert!(stray.message().contains("99"));
    assert!(Sampler::new(&model).guide(|_| Ok(Forbids)).run().unwrap_err().message().contains("finite"));
}

#[test]
fn what_is_forced_needs_no_forward() {
    let denoiser = Scripted::certain(&[0.5; 8]);
    let model = Model::new(denoiser.clone());
    let literal = Spec::new().choice(["abc"]).unwrap();
    let output = Sampler::new(&model).spec(&literal).run().unwrap().remove(0);
    assert_eq!((output.text.as_str(), output.report.nfe, output.report.steps), ("abc", 0, 0));
    assert_eq!(*denoiser.forwards.lock().unwrap(), 0);
    // One choice decides the rest.
    let two = Spec::new().choice(["abcab", "bcabc"]).unwrap();
    let settings = Settings { len: Some(8), ..Settings::default() };
    let output = Sampler::new(&model).spec(&two).settings(settings).run().unwrap().remove(0);
    assert_eq!((output.report.nfe, output.report.steps), (1, 1));
}

#[test]
fn special_tokens_are_never_written() {
    let model = Model::new(Scripted::certain(&[0.5; 8]));
    for seed in 0..50 {
        let settings = Settings { seed: Some(seed), ..Settings::default() };
        let output = Sampler::new(&model).settings(settings).run().unwrap().remove(0);
        assert!(output.report.verified && output.text.chars().all(|c| "abc ".contains(c)), "{:?}", output.text);
    }
}

fn oracle() -> Model {
    let vocab = vocab();
    let texts: [&[Token]; 3] = [&[0, 1, 2, 3, 0, 1], &[2, 2, 3, 1, 0], &[1, 1, 1, 3, 2]];
    let chain = Chain::fit(&vocab, texts, 0.1).unwrap();
    Model::new(Oracle::new(vocab, chain).unwrap())
}

#[test]
fn a_batch_is_its_samples_whatever_the_number_of_threads() {
    let model = oracle();
    let spec = Spec::new().regex("(?:[abc]+ ){2}[abc]+").unwrap();
    let settings = |seed| Settings { seed: Some(seed), temperature: Some(1.0), ..Settings::default() };
    let run = |seed, count| -> Vec<String> {
        let outputs = Sampler::new(&model).spec(&spec).settings(settings(seed)).count(count).run().unwrap();
        outputs.into_iter().map(|o| o.text).collect()
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let batch = pool(1).install(|| run(5, 12));
    assert_eq!(pool(4).install(|| run(5, 12)), batch);
    for (i, text) in batch.iter().enumerate() {
        assert_eq!(run(5 + i as u64, 1), std::slice::from_ref(text));
    }
    assert!(batch.iter().any(|t| *t != batch[0]), "seeds matter");
}

#[test]
fn temperature_zero_takes_the_most_probable_text() {
    let rows = vec![[-1.0, -2.0, -3.0, -9.0, -9.0, 0.0]; 3];
    let model = Model::new(Scripted::new(rows));
    let spec = Spec::new().regex("a?b?c?|bbb").unwrap();
    let settings = Settings { temperature: Some(0.0), len: Some(3), steps: Some(1), ..Settings::default() };
    let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
    // abc: −6; bbb: −6; everything shorter pays −9 per end. The tie goes to the smaller token.
    assert_eq!(output.text, "abc");
}

#[test]
fn too_few_positions_are_told_with_a_remedy() {
    let model = Model::new(Scripted::certain(&[0.5; 16]));
    let spec = Spec::new().regex("[ab]{9}").unwrap();
    let settings = Settings { len: Some(4), ..Settings::default() };
    let error = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap_err();
    assert!(error.is_unsatisfiable() && error.report().contains("--len 9"), "{error:?}");
    let spec = Spec::new().regex("[ab]{17}").unwrap();
    assert!(Sampler::new(&model).spec(&spec).run().unwrap_err().is_unsatisfiable());
    let clash = Spec::new().choice(["a", "b"]).unwrap().regex("c+").unwrap();
    let error = Sampler::new(&model).spec(&clash).run().unwrap_err();
    assert!(error.message().contains("choice") && error.message().contains("regex"), "{error:?}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let model = Model::new(Scripted::certain(&[0.5; 4]));
    let refused = |settings: Settings| Sampler::new(&model).settings(settings).run().unwrap_err().exit_code() == 2;
    assert!(refused(Settings { steps: Some(0), ..Settings::default() }));
    assert!(refused(Settings { len: Some(0), ..Settings::default() }));
    assert!(refused(Settings { len: Some(5), ..Settings::default() }));
    assert!(refused(Settings { temperature: Some(-1.0), ..Settings::default() }));
    assert!(refused(Settings { temperature: Some(f32::NAN), ..Settings::default() }));
    assert!(refused(Settings { top_p: Some(0.0), ..Settings::default() }));
    assert!(refused(Settings { top_k: Some(0), ..Settings::default() }));
    assert!(refused(policy("best")));
    assert!(refused(Settings { threshold: Some(0.5), ..policy("confidence") }));
    assert!(refused(Settings { threshold: Some(1.5), ..policy("threshold") }));
}

#[test]
fn an_observer_can_stop_the_run() {
    let model = oracle();
    let stop = |_: &Event| ControlFlow::Break(());
    assert!(Sampler::new(&model).observer(stop).run().unwrap_err().is_interrupted());
}

#[test]
fn literals_come_back_byte_for_byte_in_both_layouts() {
    let model = oracle();
    let template = "ab  {{x:1-2}} c{{y|a|bb}}{{z~/c+/}} a";
    for layout in [Layout::Floating, Layout::Pinned] {
        for seed in 0..20 {
            let spec = Spec::new().template(&Source::new("t", template), &Inputs::default()).unwrap();
            let settings = Settings { layout: Some(layout), seed: Some(seed), len: Some(24), ..Settings::default() };
            let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
            assert!(output.report.verified, "{output:?}");
            let (x, y, z) = (output.slot("x").unwrap(), output.slot("y").unwrap(), output.slot("z").unwrap());
            assert_eq!(output.text, format!("ab  {x} c{y}{z} a"));
        }
    }
}

#[test]
fn factor_writes_the_largest_sure_prefix() {
    // (n + 1)(1 − p) < 1: .9 and .8 hold as first and second, .6 as third does not.
    assert_eq!(commits(&[0.9, 0.6, 0.8], policy("factor")), [vec![0, 2], vec![1]]);
    let narrow = Settings { factor: Some(0.1), ..policy("factor") };
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
    let sure = Settings { threshold: Some(0.85), policy: Some("low_confidence_dynamic".into()), ..blocks };
    assert_eq!(commits(&[0.6, 0.9, 0.95, 0.95], sure), [vec![1], vec![0], vec![2, 3]]);
}

#[test]
fn falling_times_write_more_towards_the_end() {
    let settings = Settings { eps: Some(1e-3), ..policy("maskgit_plus") };
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
    let never = Settings { editing_threshold: Some(1.0), ..policy("edit") };
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
    fn manner(&self) -> Manner {
        let blocks = Some(Blocks { size: 4, from_prompt: false });
        Manner { revises: true, blocks, policy: "entropy_bound", steps: Some(6), ..Manner::default() }
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
fn the_end_of_a_text_is_early_last_or_never() {
    // The end is likeliest everywhere.
    let rows = vec![[0.3f32.ln(), 0.2f32.ln(), -50.0, -50.0, 0.5f32.ln(), -50.0]; 6];
    let model = Model::new(Scripted::new(rows));
    let write = |ending| {
        let spec = Spec::new().regex("[ab]*").unwrap();
        let settings = Settings { ending, len: Some(6), temperature: Some(1.0), seed: Some(4), ..policy("random") };
        Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0)
    };
    let free = write(None);
    assert!(free.report.nfe < 6, "behind the end nothing is predicted");
    assert_eq!(write(Some(Ending::Free)).text, free.text);
    assert_eq!(write(Some(Ending::Never)).text.len(), 6);
    let last = |ending| -> usize {
        (0..40)
            .map(|seed| {
                let spec = Spec::new().regex("[ab]*").unwrap();
                let settings = Settings { ending, len: Some(6), seed: Some(seed), ..policy("random") };
                Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0).text.len()
            })
            .sum()
    };
    assert!(last(Some(Ending::Last)) > last(None));
}
