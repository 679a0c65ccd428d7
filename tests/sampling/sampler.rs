//! The loop's own promises: budgets, forced positions, seeds, batches.

use crate::common::scripted;

use schemars::JsonSchema;
use scripted::{Scripted, moves, policy, vocab};
use serde::Deserialize;
use std::ops::ControlFlow;
use stencil_lm::{
    Answer, Candidate, Canvas, Cell, Ending, Energies, Error, ErrorKind, Guide, Layout, Model, Moves, Policy, Pos,
    Proposal, Record, Result, Sampler, Settings, Source, Step, Token,
    models::{Chain, Oracle, Process},
    policies::{EntropyBound, PolicyFactory, Stop},
    spec::{BuildCx, Inputs, Kind, Part, Registry, Role, Spec},
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
    assert!(refused(policy("confidence").option("threshold", 0.5)));
    assert!(refused(policy("threshold").option("threshold", 1.5)));
}

/// Commits the leftmost candidate.
#[derive(Clone)]
struct Leftmost;

impl Policy for Leftmost {
    fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
        Ok(Moves::commit(proposal.candidates.first().map(|c| c.pos)))
    }
}

#[test]
fn settings_that_nothing_reads_are_refused_with_a_policy_of_ones_own_too() {
    let model = Model::new(Scripted::certain(&[0.5; 4]));
    let run = |settings: Settings| Sampler::new(&model).settings(settings).policy_with(|| Leftmost).run();
    let refused = |settings: Settings| run(settings).unwrap_err().message().to_string();
    assert!(run(Settings { len: Some(3), seed: Some(1), ..Settings::default() }).is_ok());
    for (settings, says) in [
        (policy("no_such_policy"), "no_such_policy"),
        (policy("confidence"), "confidence"),
        (Settings::default().option("threshold", 7.0), "`threshold`"),
        (Settings::default().option("threshold", 0.7), "`threshold`"),
        (Settings::default().option("eta", -3.0), "`eta`"),
        (Settings::default().option("no_such_option", 1.0), "`no_such_option`"),
    ] {
        let message = refused(settings);
        assert!(message.contains(says) && message.contains("`Leftmost`"), "{message}");
    }
    let named = |settings: Settings| Sampler::new(&model).settings(settings).run().unwrap_err().message().to_string();
    assert_eq!(named(Settings::default().option("no_such_option", 1.0)), "policies have no option `no_such_option`");
    assert_eq!(named(Settings::default().option("eta", 0.5)), "policy `confidence` has no option `eta`");
    let unasked = Settings::default().policy("threshold").option("threshold", 0.9);
    let spec = Spec { settings: unasked, ..Spec::new() };
    assert!(Sampler::new(&model).spec(&spec).policy_with(|| Leftmost).run().is_err(), "a file's policy is not ignored");
}

#[test]
fn specs_that_contradict_each_other_are_refused() {
    let model = Model::new(Scripted::certain(&[0.5; 4]));
    let spec = |settings: Settings| Spec { settings, ..Spec::new() };
    let run = |specs: &[&Spec], settings: Settings| {
        let sampler = specs.iter().fold(Sampler::new(&model), |sampler, spec| sampler.spec(spec));
        sampler.settings(settings).run().map(|outputs| outputs[0].report.tokens)
    };
    let two = spec(Settings { len: Some(2), ..Settings::default() });
    let three = spec(Settings { len: Some(3), ..Settings::default() });
    let error = run(&[&two, &three], Settings::default()).unwrap_err();
    assert_eq!(error.message(), "`len` is 2 in one constraint file and 3 in another");
    assert_eq!(run(&[&two, &two], Settings::default()).unwrap(), 2);
    assert_eq!(run(&[&two], Settings { len: Some(4), ..Settings::default() }).unwrap(), 4, "the sampler's own wins");
    let named = |name: &str| spec(policy(name));
    assert!(run(&[&named("random"), &named("margin")], Settings::default()).is_err());
}

/// Commits every how-many-th open position.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Comb {
    every: usize,
}

impl Kind for Comb {
    const NAME: &'static str = "comb";
    const ROLE: Role = Role::Policy;
    fn build(self, _: &BuildCx) -> Result<Part> {
        match self.every {
            0 => Err(Error::input("`every` must be at least 1").pointer("/every")),
            _ => Ok(Part::policy(move || self.clone())),
        }
    }
}

impl Policy for Comb {
    fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
        Ok(Moves::commit(proposal.candidates.iter().map(|c| c.pos).step_by(self.every)))
    }
}

#[test]
fn a_constraint_file_names_a_third_party_s_policy() {
    let registry = Registry::builtin().with::<Comb>();
    let read = |text: &str| Spec::from_toml(&Source::new("a.toml", text), &registry, &Inputs::default());
    let denoiser = Scripted::certain(&[0.5; 6]);
    let commits = |text: &str, settings| {
        let steps = moves(&denoiser, settings, &read(text).unwrap());
        steps.into_iter().map(|(committed, _)| committed).collect::<Vec<_>>()
    };
    let file = "regex = '[ab]{6}'\n[sampler]\nlen = 6\n[sampler.policy]\ncomb = { every = 2 }";
    assert_eq!(commits(file, Settings::default()), [vec![0, 2, 4], vec![1, 5], vec![3]]);
    // What the sampler is told wins, and options of other policies have no place beside it.
    assert_eq!(commits(file, Settings { steps: Some(1), ..policy("sequential") }), [[0, 1, 2, 3, 4, 5]]);
    let model = Model::new(denoiser.clone());
    let spec = read(file).unwrap();
    let run = |settings| Sampler::new(&model).spec(&spec).settings(settings).run();
    let error = run(Settings::default().option("threshold", 0.5)).unwrap_err();
    assert!(error.message().contains("`comb`") && error.message().contains("`threshold`"), "{error:?}");
    // Two files, two policies.
    let named = read("[sampler]\npolicy = 'random'").unwrap();
    let error = spec.clone().merge(named).err().unwrap();
    assert_eq!(error.message(), "`policy` is \"comb\" in one constraint file and \"random\" in another");
    assert!(spec.clone().merge(spec.clone()).is_ok());
    assert!(spec.clone().merge(read(file).unwrap()).is_err());
    assert!(Sampler::new(&model).spec(&spec).policy_with(|| Leftmost).run().is_err());

    for (text, place) in [
        ("[sampler.policy]\ncomb = { every = 0 }", "0"),
        ("[sampler.policy]\ncomb = { evry = 2 }", "evry"),
        ("[sampler.policy]\ncomb = { every = 2 }\nrandom = {}", "random"),
        ("[sampler]\npolicy = 'comb'", "'comb'"),
        ("comb = { every = 2 }", "comb"),
    ] {
        assert_eq!(&text[read(text).err().unwrap().span().unwrap()], place, "{text}");
    }
    let schema = registry.json_schema();
    let tables = &schema["$defs"]["Settings"]["properties"]["policy"]["anyOf"][1]["properties"];
    assert!(tables["comb"].is_object() && tables["threshold"].is_object(), "{tables}");
}

#[test]
fn policies_are_copied_with_their_state() {
    let vocab = vocab();
    let canvas = Canvas::of([Cell::Open; 4]);
    let candidate = |pos| Candidate { pos, token: 0, prob: 0.1, best: 0, margin: 0.1, entropy: 2.0 };
    let proposal = Proposal { candidates: (0..4).map(candidate).collect(), ..Proposal::default() };
    // Stable and confident needs the likeliest tokens of the step before, which the copy must have as well.
    let mut first: Box<dyn Policy> = Box::new(EntropyBound { bound: 0.1, stop: Stop::below(3.0) });
    let step = |index| Step::new(&canvas, &vocab).at(index, 6).of_process(Process::Uniform);
    assert_eq!(first.choose(&step(0), &proposal).unwrap(), Moves::commit([0]));
    let mut copy = first.fork();
    let own: Box<dyn Policy> = Box::new(Leftmost);
    assert_eq!((first.name(), copy.name(), own.fork().name()), ("entropy_bound", "entropy_bound", "Leftmost"));
    for policy in [&mut first, &mut copy] {
        assert!(policy.choose(&step(1), &proposal).unwrap().done);
    }
    let mut fresh = PolicyFactory::named("eb", &Default::default()).unwrap().make().unwrap();
    assert!(!fresh.choose(&step(1), &proposal).unwrap().done);
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
