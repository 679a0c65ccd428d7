//! Programs that drive a runner: what joins, leaves, forks, resamples and asks.

use crate::common::scripted;

use scripted::{Scripted, policy};
use std::sync::Arc;
use stencil_lm::{
    Answer, Ask, CanvasView, Denoiser, Energies, Error, Guide, Interrupted, LaneView, Model, Moves, Output, Policy,
    Population, Potential, Proposal, Record, Result, Runner, Sampler, Scores, Settings, Source, Step, Token, Vocab,
    models::{Hidden, Item, Prediction, Process, Reader, SamplingDefaults, Uses},
    spec::{BuildCx, Inputs, Kind, Part, Registry, Spec},
};

const TEMPLATE: &str = "The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.";

/// The report without what depends on the clock.
fn timeless(output: Output) -> (String, bool, bool, f64, usize, usize, usize) {
    let r = output.report;
    (output.text, r.verified, r.exact, r.log_z, r.steps, r.nfe, r.forced)
}

#[test]
fn a_lane_joins_a_running_batch_and_is_what_it_would_be_alone() {
    let model = Model::bundled().unwrap();
    let job = model.fill(TEMPLATE).unwrap().topic("animal", 2.0).job().unwrap();
    let alone = |seed| timeless(model.fill(TEMPLATE).unwrap().topic("animal", 2.0).seed(seed).run().unwrap());
    let mut run = Runner::new(&model);
    let mut ids = vec![run.submit(job.lane(0).unwrap()).unwrap()];
    let mut joined = Vec::new();
    while let Some(records) = run.step().unwrap() {
        joined.extend(records.iter().filter(|r| matches!(r, Record::Start { .. })).map(Record::sample));
        if ids.len() < 5 {
            ids.push(run.submit(job.lane(ids.len() as u64).unwrap()).unwrap());
        }
    }
    assert_eq!(joined, [0, 1, 2, 3, 4]);
    for (seed, id) in ids.into_iter().enumerate() {
        assert_eq!(timeless(run.take(id).unwrap()), alone(seed as u64), "seed {seed}");
    }
}

#[test]
fn a_cancelled_lane_leaves_its_partial_text() {
    let model = Model::bundled().unwrap();
    let job = model.fill(TEMPLATE).unwrap().job().unwrap();
    let mut run = Runner::new(&model);
    let [stays, leaves] = [0, 1].map(|seed| run.submit(job.lane(seed).unwrap()).unwrap());
    for _ in 0..3 {
        run.step().unwrap().unwrap();
    }
    let partial = run.cancel(leaves).unwrap();
    assert!(partial.text.starts_with("The ") && partial.text.contains(" animal that "), "{partial:?}");
    assert!(partial.text.contains("____") && partial.steps == 2 && partial.nfe >= 2, "{partial:?}");
    assert!(run.take(leaves).is_err() && run.take(stays).is_err(), "one is gone, the other not complete");
    while run.step().unwrap().is_some() {}
    assert!(run.take(stays).unwrap().report.verified);
}

#[test]
fn a_break_keeps_the_texts_so_far() {
    let model = Model::bundled().unwrap();
    let mut steps = 0;
    let stop = |record: &Record| {
        steps += usize::from(matches!(record, Record::Step { .. }));
        if steps > 3 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let error = model.fill(TEMPLATE).unwrap().count(2).observer(stop).run().unwrap_err();
    assert!(error.is_interrupted());
    let texts = &Interrupted::of(&error).unwrap().partial;
    assert_eq!(texts.iter().map(|text| (text.sample, text.steps)).collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    assert!(texts.iter().all(|text| text.text.starts_with("The ")));
}

#[test]
fn a_fork_goes_its_own_way_from_where_it_left() {
    let model = Model::bundled().unwrap();
    let job = model.fill(TEMPLATE).unwrap().settings(policy("remdm")).topic("animal", 1.0).job().unwrap();
    let mut run = Runner::new(&model);
    let first = run.submit(job.lane(7).unwrap()).unwrap();
    for _ in 0..3 {
        run.step().unwrap().unwrap();
    }
    let same = run.fork(first, 7).unwrap();
    let others: Vec<_> = (100..120).map(|seed| run.fork(first, seed).unwrap()).collect();
    while run.step().unwrap().is_some() {}
    let first = timeless(run.take(first).unwrap());
    assert_eq!(timeless(run.take(same).unwrap()), first, "the same seed goes the same way");
    let texts: Vec<String> = others.into_iter().map(|id| run.take(id).unwrap().text).collect();
    assert!(texts.iter().any(|text| *text != first.0), "{texts:?}");
}

/// Best of k by log Z: halfway, every lane goes on from the one whose constraint the model likes best.
struct BestOf {
    at: usize,
}

impl Population for BestOf {
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>> {
        let best = |a: &&LaneView, b: &&LaneView| a.log_z.total_cmp(&b.log_z).then(b.index.cmp(&a.index));
        let best = lanes.iter().max_by(best).map_or(0, |lane| lane.index);
        let now = lanes.iter().all(|lane| lane.steps == self.at);
        Ok(lanes.iter().map(|lane| if now { best } else { lane.index }).collect())
    }
}

#[test]
fn a_population_resamples_between_steps() {
    let model = Model::bundled().unwrap();
    let job = model.fill("A {{thing:1-2}} is a thing that {{does:6}}.").unwrap().job().unwrap();
    let mut run = Runner::new(&model);
    let lanes: Vec<_> = (0..6).map(|seed| job.lane(seed).unwrap()).collect();
    let ids = run.submit_population(lanes, BestOf { at: 3 }).unwrap();
    let (mut ancestors, mut ends) = (Vec::new(), Vec::new());
    while let Some(records) = run.step().unwrap() {
        for record in records {
            match record {
                Record::Step { sample, index, ancestor: Some(from), .. } => ancestors.push((index, sample, from)),
                Record::End { sample, .. } => ends.push(sample),
                _ => {}
            }
        }
    }
    let best = ancestors[0].2;
    let expected: Vec<_> = (0..6).filter(|&lane| lane != best).map(|lane| (2, lane, best)).collect();
    assert_eq!((ancestors, ends), (expected, vec![0, 1, 2, 3, 4, 5]), "once, from one lane, ended together");
    assert!(ids.into_iter().all(|id| run.take(id).unwrap().report.verified));
}

/// Likes texts in which a word is long, and dislikes those that the reader finds improbable.
#[derive(Clone)]
struct Rewards;

impl Potential for Rewards {
    fn ask(&mut self, _: &Step, draft: &[Token]) -> Vec<Ask> {
        vec![Ask::Text { reader: "twin".into(), tokens: draft.to_vec() }]
    }
    fn log_weight(&mut self, _: &Step, draft: &[Token], answers: &[Answer]) -> Result<f64> {
        let log_probs = answers[0].log_probs()?;
        assert_eq!(log_probs.len(), draft.len());
        Ok(log_probs.iter().map(|&nats| f64::from(nats)).sum())
    }
}

/// Finds `a` ten times as probable as everything else.
struct Favours(Vocab);

impl Reader for Favours {
    fn vocab(&self) -> &Vocab {
        &self.0
    }
    fn log_probs(&self, texts: &[Vec<Token>]) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| text.iter().map(|&t| if t == 0 { -0.1 } else { -2.4 }).collect()).collect())
    }
}

/// Every lane goes on from the one that the potentials like best, and it is written down how much.
struct Greedy(Arc<std::sync::Mutex<Vec<f64>>>);

impl Population for Greedy {
    fn resample(&mut self, lanes: &[LaneView]) -> Result<Vec<usize>> {
        let best = lanes.iter().max_by(|a, b| a.log_potential.total_cmp(&b.log_potential)).map_or(0, |lane| lane.index);
        self.0.lock().unwrap().push(lanes[best].log_potential);
        Ok(vec![best; lanes.len()])
    }
}

#[test]
fn potentials_weigh_drafts_by_a_second_reader() {
    let model = Model::new(Scripted::certain(&[0.5; 6]));
    let reader = Arc::new(Favours(scripted::vocab()));
    let spec = Spec::new().regex("[ab]{6}").unwrap();
    let seen = Arc::default();
    let outputs = Sampler::new(&model)
        .spec(&spec)
        .count(16)
        .potential(|_| Ok(Rewards))
        .population(Greedy(Arc::clone(&seen)))
        .reader("twin", reader)
        .run()
        .unwrap();
    let a = |text: &str| text.matches('a').count();
    let mean = outputs.iter().map(|output| a(&output.text)).sum::<usize>() as f64 / 16.0;
    assert!(mean > 4.5 && outputs.iter().all(|output| output.report.verified), "{mean}, by chance it would be 3");
    let weights = seen.lock().unwrap();
    assert!(weights.len() == 6 && weights.iter().all(|w| *w < 0.0), "{weights:?}");
    // The canvas and the draft of each step.
    assert!(outputs.iter().all(|output| output.report.nfe == 12), "{:?}", outputs[0].report);
}

/// Likes a token at a position the better, the more its state looks like the states of the written ones.
#[derive(Clone)]
struct Alike;

impl Guide for Alike {
    fn ask(&mut self, step: &Step) -> Vec<Ask> {
        vec![Ask::Hidden(step.canvas.view())]
    }
    fn guide(&mut self, step: &Step, to: &mut Energies, answers: &[Answer]) -> Result<()> {
        let hidden = answers[0].hidden()?;
        assert_eq!(hidden.len(), step.canvas.len());
        for pos in step.canvas.undecided() {
            let norm = hidden.row(pos).iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!(norm > 0.0 && norm.is_finite());
            to.add(pos, 7, 0.01 * norm);
        }
        Ok(())
    }
}

#[test]
fn a_guide_reads_hidden_states_in_the_same_batch() {
    let model = Model::bundled().unwrap();
    let write = |with: bool| {
        let request = model.fill(TEMPLATE).unwrap().temperature(0.0);
        let request = if with { request.guide(|_| Ok(Alike)) } else { request };
        request.run().unwrap().report
    };
    let (with, without) = (write(true), write(false));
    assert!(with.verified && with.nfe > without.nfe + with.steps / 2, "{with:?} {without:?}");
    let none = Model::new(Scripted::certain(&[0.5; 4]));
    let error = Sampler::new(&none).guide(|_| Ok(Alike)).run().unwrap_err();
    assert!(error.message().contains("no hidden states"), "{error:?}");
}

/// Writes what the reader is surest of.
#[derive(Clone)]
struct AsRead;

impl Policy for AsRead {
    fn ask(&mut self, _: &Step, proposal: &Proposal) -> Vec<Ask> {
        vec![Ask::Text { reader: "twin".into(), tokens: proposal.text.clone() }]
    }
    fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
        let log_probs = proposal.answers[0].log_probs()?;
        let ranked = proposal.ranked(|c| log_probs[c.pos]);
        Ok(Moves::commit(ranked.first().map(|c| c.pos)))
    }
}

#[test]
fn a_policy_asks_a_second_reader_and_questions_are_counted_once() {
    let denoiser = Scripted::certain(&[0.5; 6]);
    let model = Model::new(denoiser.clone());
    let spec = Spec::new().regex("[ab]{6}").unwrap();
    let job = Sampler::new(&model).spec(&spec).policy_with(|| AsRead).temperature(0.0).job().unwrap();
    let mut run = Runner::new(&model).with_reader("twin", Arc::new(Favours(scripted::vocab()))).unwrap();
    let ids: Vec<_> = (0..4).map(|seed| run.submit(job.lane(seed).unwrap()).unwrap()).collect();
    while run.step().unwrap().is_some() {}
    for id in ids {
        let report = run.take(id).unwrap().report;
        // A canvas each step, and a text each but in the last.
        assert!(report.verified && report.nfe == report.steps + report.steps - 1, "{report:?}");
    }
    // Equal questions of the four lanes are put once.
    assert_eq!((*denoiser.forwards.lock().unwrap(), run.forwards()), (6, 11));
    let unread = Sampler::new(&model).spec(&spec).policy_with(|| AsRead).run().unwrap_err();
    assert!(unread.message().contains("\"twin\""), "{unread:?}");
    let other = Vocab::from_bytes(vec![Some(b"x".to_vec())], None, None).unwrap();
    assert!(Runner::new(&model).with_reader("twin", Arc::new(Favours(other))).is_err());
}

/// Fails at its third step.
#[derive(Clone)]
struct Fragile;

impl Guide for Fragile {
    fn guide(&mut self, step: &Step, _: &mut Energies, _: &[Answer]) -> Result<()> {
        if step.taken == 2 { Err(Error::input("the guide breaks")) } else { Ok(()) }
    }
}

#[test]
fn a_lane_that_fails_leaves_the_others_alone() {
    let model = Model::bundled().unwrap();
    let sound = model.fill(TEMPLATE).unwrap().job().unwrap();
    let fragile = model.fill(TEMPLATE).unwrap().guide(|_| Ok(Fragile)).job().unwrap();
    let mut run = Runner::new(&model);
    let ids = [&sound, &fragile, &sound].map(|job| run.submit(job.lane(0).unwrap()).unwrap());
    let mut failed = Vec::new();
    while let Some(records) = run.step().unwrap() {
        failed.extend(records.into_iter().filter(|record| matches!(record, Record::Failed { .. })));
    }
    assert!(matches!(&failed[..], [Record::Failed { sample: 1, error }] if error.contains("breaks")), "{failed:?}");
    let [first, broken, last] = ids.map(|id| run.take(id));
    assert!(broken.unwrap_err().message().contains("breaks"));
    assert_eq!(timeless(first.unwrap()), timeless(last.unwrap()));
    let other = Model::bundled().unwrap();
    assert!(Runner::new(&other).submit(sound.lane(0).unwrap()).is_err(), "a lane of another model");
}

/// `short = 0.5`: a potential as a third party's kind, nats per character that a draft is long.
#[derive(Clone, serde::Deserialize, schemars::JsonSchema)]
struct Short(f32);

impl Kind for Short {
    const NAME: &'static str = "short";
    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::potential(move |_| Ok(Box::new(self.clone()))))
    }
}

impl Potential for Short {
    fn log_weight(&mut self, step: &Step, draft: &[Token], _: &[Answer]) -> Result<f64> {
        Ok(-f64::from(self.0) * step.vocab.decode(draft).len() as f64)
    }
}

#[test]
fn a_potential_is_a_kind_of_constraint_files() {
    let model = Model::new(Scripted::certain(&[0.5; 6]));
    let file = Source::new("short.toml", "short = 0.5\nregex = '[ab]{1,6}'");
    let spec = Spec::from_toml(&file, &Registry::builtin().with::<Short>(), &Inputs::default()).unwrap();
    let seen = Arc::default();
    Sampler::new(&model).spec(&spec).count(4).population(Greedy(Arc::clone(&seen))).run().unwrap();
    assert!(seen.lock().unwrap().iter().all(|weight| (-3.0..=-0.5).contains(weight)), "{seen:?}");
}

/// A continuous process: the latent of a position is a sum of what was fed back, and the clearest token wins.
#[derive(Clone)]
struct Latent(Vocab);

impl Denoiser for Latent {
    fn name(&self) -> &str {
        "latent"
    }
    fn vocab(&self) -> &Vocab {
        &self.0
    }
    fn max_len(&self) -> usize {
        8
    }
    fn process(&self) -> Process {
        Process::Continuous
    }
    fn defaults(&self) -> SamplingDefaults {
        SamplingDefaults { steps: Some(5), ..SamplingDefaults::default() }
    }
    fn uses(&self) -> Uses {
        Uses { state: true, feedback: true, caches: false }
    }
    fn predict(&self, _: &[CanvasView]) -> Result<Vec<Scores>> {
        Err(Error::model("a latent is needed"))
    }
    fn answer(&self, items: &mut [Item]) -> Result<()> {
        for item in items {
            let (len, size) = (item.view.tokens.len(), self.0.len());
            let written = item.view.tokens.iter().flatten().count();
            assert_eq!(written, 3, "before the end only what every text has there: two letters and the end");
            let (state, clock) = (item.state.as_deref_mut().unwrap(), item.clock.unwrap());
            let mut latent: Vec<f32> = state.take().unwrap_or_else(|| vec![0.0; len * size]);
            assert_eq!(item.feedback.is_some(), clock.index > 0, "from the second step on");
            if let Some(marginals) = &item.feedback {
                for pos in 0..len {
                    let row = latent[pos * size..][..size].iter_mut().zip(marginals.row(pos));
                    row.for_each(|(x, log)| *x += log.exp());
                }
            }
            item.prediction = Some(Prediction::Scores(Arc::new(Scores::new(size, latent.clone())?)));
            state.keep(latent);
        }
        Ok(())
    }
}

#[test]
fn a_continuous_process_keeps_latents_and_is_fed_the_projected_marginals() {
    let model = Model::new(Latent(scripted::vocab()));
    let settings = Settings { len: Some(6), ..Settings::default() };
    let spec = Spec::new().choice(["abcab", "abcba", "bbcab"]).unwrap();
    let output = Sampler::new(&model).spec(&spec).settings(settings).run().unwrap().remove(0);
    // Each position leans towards what most texts have there, so that the text does.
    assert_eq!((output.text.as_str(), output.report.steps), ("abcab", 5));
    assert!(output.report.verified && output.report.nfe == 5);
    assert_eq!(Hidden::new(3, vec![0.0; 6]).unwrap().len(), 2);
}

/// Fails at the n-th call.
struct Flaky(Vocab, std::sync::Mutex<usize>);

impl Reader for Flaky {
    fn vocab(&self) -> &Vocab {
        &self.0
    }
    fn log_probs(&self, texts: &[Vec<Token>]) -> Result<Vec<Vec<f32>>> {
        let mut left = self.1.lock().unwrap();
        *left -= 1;
        if *left == 0 {
            return Err(Error::model("the reader is gone").help("bring it back"));
        }
        Ok(texts.iter().map(|text| vec![-1.0; text.len()]).collect())
    }
}

#[test]
fn a_reader_that_fails_ends_its_lanes_with_its_error() {
    let model = Model::new(Scripted::certain(&[0.5; 6]));
    let job = Sampler::new(&model).potential(|_| Ok(Rewards)).len(4).job().unwrap();
    let reader = Arc::new(Flaky(scripted::vocab(), 4.into()));
    let mut run = Runner::new(&model).with_reader("twin", reader).unwrap();
    let ids = [0, 1].map(|seed| run.submit(job.lane(seed).unwrap()).unwrap());
    let mut failed = 0;
    while let Some(records) = run.step().unwrap() {
        failed += records.iter().filter(|record| matches!(record, Record::Failed { .. })).count();
    }
    assert_eq!(failed, 2);
    for id in ids {
        let error = run.take(id).unwrap_err();
        assert!(error.message().contains("gone") && error.helps() == ["bring it back"], "{error:?}");
    }
}

/// Asks about a token that no model has.
#[derive(Clone)]
struct Stray;

impl Guide for Stray {
    fn ask(&mut self, _: &Step) -> Vec<Ask> {
        vec![Ask::Scores(CanvasView { prompt: Vec::new().into(), condition: None, tokens: vec![Some(Token::MAX)] })]
    }
    fn guide(&mut self, _: &Step, _: &mut Energies, _: &[Answer]) -> Result<()> {
        Ok(())
    }
}

/// Adds energies where none belong.
#[derive(Clone)]
struct Clumsy(usize);

impl Guide for Clumsy {
    fn guide(&mut self, _: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
        match self.0 {
            0 => to.add(to.len(), 0, 1.0),
            1 => to.add(0, to.vocab() as Token, 1.0),
            2 => to.add_row(0, &[1.0]),
            _ => (0..2).for_each(|_| to.add(0, 0, f32::MAX)),
        }
        Ok(())
    }
}

#[test]
fn a_bad_question_or_energy_fails_its_lane_alone() {
    let model = Model::new(Scripted::certain(&[0.5; 6]));
    let sound = Sampler::new(&model).len(4).job().unwrap();
    let stray = Sampler::new(&model).len(4).guide(|_| Ok(Stray)).job().unwrap();
    let mut run = Runner::new(&model);
    let ids = [run.submit(stray.lane(0).unwrap()).unwrap(), run.submit(sound.lane(0).unwrap()).unwrap()];
    while run.step().unwrap().is_some() {}
    assert!(run.take(ids[0]).unwrap_err().message().contains("token 4294967295"));
    assert!(run.take(ids[1]).is_ok());
    for (fault, words) in [(0, "in play"), (1, "does not have"), (2, "another number"), (3, "not finite")] {
        let mut seen = Vec::new();
        let observer = |record: &Record| {
            seen.push(matches!(record, Record::Failed { .. }));
            std::ops::ControlFlow::Continue(())
        };
        let error = Sampler::new(&model).len(4).guide(move |_| Ok(Clumsy(fault))).observer(observer).run().unwrap_err();
        assert!(error.message().contains(words), "{error:?}");
        assert_eq!(seen, [false, true], "observers see the failure");
    }
}

#[test]
fn populations_go_on_without_lanes_that_leave_them() {
    let model = Model::bundled().unwrap();
    let short = model.fill("A {{x|cat|dog}}.").unwrap().steps(1).job().unwrap();
    let long = model.fill("The {{x:3}} is {{y:3}}.").unwrap().job().unwrap();
    let fragile = model.fill("The {{x:3}} is {{y:3}}.").unwrap().guide(|_| Ok(Fragile)).job().unwrap();
    let mut run = Runner::new(&model);
    // The lane that is complete waits for the other, which is cancelled.
    let ids =
        run.submit_population([short.lane(0).unwrap(), long.lane(0).unwrap()], BestOf { at: usize::MAX }).unwrap();
    (0..2).for_each(|_| drop(run.step().unwrap()));
    run.cancel(ids[1]).unwrap();
    while run.step().unwrap().is_some() {}
    assert!(run.take(ids[0]).unwrap().report.verified);
    // The others are weighed after one has failed.
    let lanes = [fragile.lane(0).unwrap(), long.lane(1).unwrap(), long.lane(2).unwrap()];
    run.submit_population(lanes, BestOf { at: 4 }).unwrap();
    let mut copied = 0;
    while let Some(records) = run.step().unwrap() {
        copied += records.iter().filter(|r| matches!(r, Record::Step { ancestor: Some(_), .. })).count();
    }
    assert_eq!(copied, 1);
    // A population of lanes that do not belong together leaves nothing behind, and numbers are not given twice.
    let other = Model::bundled().unwrap().fill("A {{x}}.").unwrap().job().unwrap();
    let before = run.lanes().count();
    assert!(run.submit_population([long.lane(0).unwrap(), other.lane(0).unwrap()], BestOf { at: 1 }).is_err());
    let mut run = run.numbered_from(0);
    run.submit(long.lane(0).unwrap()).unwrap();
    assert_eq!(run.lanes().count(), before + 1);
}
