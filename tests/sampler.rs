//! The loop's own promises: budgets, forced positions, seeds, batches.

#[path = "common/scripted.rs"]
#[allow(dead_code)]
mod scripted;

use scripted::{Scripted, policy, vocab};
use std::ops::ControlFlow;
use stencil_lm::{
    Answer, Cell, Ending, Energies, Error, ErrorKind, Guide, Layout, Model, Moves, Policy, Pos, Proposal, Record,
    Result, Sampler, Settings, Source, Step, Token,
    models::{Chain, Oracle},
    spec::{Inputs, Spec},
};

#[test]
fn a_policy_that_reopens_for_ever_is_stopped_by_the_budget() {
    #[derive(Clone)]
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
    let output = Sampler::new(&model).settings(settings).policy_with(|| Sisyphus).run().unwrap().remove(0);
    assert!(output.report.verified && output.report.steps == 9);
}

#[test]
fn stray_moves_and_infinite_energies_are_errors() {
    #[derive(Clone)]
    struct Stray;
    impl Policy for Stray {
        fn choose(&mut self, _: &Step, _: &Proposal) -> Result<Moves> {
            Ok(Moves::commit([99]))
        }
    }
    #[derive(Clone)]
    struct Forbids(f32);
    impl Guide for Forbids {
        fn guide(&mut self, _: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
            to.add(0, 0, self.0);
            Ok(())
        }
    }
    let model = Model::new(Scripted::certain(&[0.6; 4]));
    let stray: Error = Sampler::new(&model).policy_with(|| Stray).run().unwrap_err();
    assert!(stray.message().contains("99"));
    for energy in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let refused = Sampler::new(&model).guide(move |_| Ok(Forbids(energy))).run().unwrap_err();
        assert!(refused.message().contains("finite"), "{energy}: {refused:?}");
    }
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
    let refused =
        |settings: Settings| Sampler::new(&model).settings(settings).run().unwrap_err().kind() == ErrorKind::Input;
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
    let stop = |_: &Record| ControlFlow::Break(());
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
