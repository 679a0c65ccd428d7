//! The common parts of `fill` and `run`: from flags to a spec, to samples, to the result.

use super::{
    Status,
    args::{Constraints, Guidance, Quantize, Shared},
    input, interrupt,
    progress::Progress,
    result, sink,
    terminal::Terminal,
    trace::Trace,
    watch::Watch,
};
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    ops::ControlFlow,
    path::Path,
};
use stencil_lm::{
    Error, ErrorKind, Interrupted, Model, Output, Partial, Record, Result, Sampler, Source,
    constraints::{ContextFree, GrammarSyntax, JsonSchema},
    models::Loading,
    schema::{SchemaOptions, shorthand},
    spec::kinds::{BiasKind, ClassifierFreeKind, CreditKind, ScaledLabel, TopicKind},
    spec::{BuildCx, Inputs, Registry, Spec},
};

/// Maximum number of samples in a batch. A sample is the same alone and in a batch, so this number changes memory only.
const BATCH: usize = 64;

/// The spec of all flags and files. Flags override the `[sampler]` tables of files.
pub fn spec(shared: &Shared, template: Option<&Source>) -> Result<Spec> {
    let Constraints {
        files,
        regex,
        grammar,
        json_schema,
        schema,
        choice,
        contains,
        excludes,
        length,
        prefix,
        suffix,
        set,
    } = &shared.constraints;
    let Guidance { topic, bias, cfg, cfg_scale, credit } = &shared.guidance;
    let inputs = inputs(set)?;
    let mut spec = Spec::new();
    for file in files {
        spec = spec.merge(input::spec(file, &Registry::builtin(), &inputs)?)?;
    }
    if let Some(template) = template {
        spec = spec.template(template, &inputs)?;
    }
    inputs.all_used()?;
    for pattern in regex {
        spec = spec.regex(pattern)?;
    }
    for file in grammar {
        let source = input::read(file)?;
        let syntax = GrammarSyntax::named(file);
        spec = spec.constraint(ContextFree::parse(&source.text, syntax).map_err(|e| e.in_source(&source))?);
    }
    for file in json_schema {
        spec = spec.constraint(JsonSchema::read(&input::read(file)?, SchemaOptions::default())?);
    }
    if let Some(fields) = schema {
        let schema = shorthand(fields).map_err(|e| e.in_source(&Source::new("schema", &**fields)))?;
        spec = spec.json_schema(&schema)?;
    }
    if let Some(options) = choice {
        spec = spec.choice(options.0.iter())?;
    }
    for words in contains {
        spec = spec.contains(words.0.iter())?;
    }
    for words in excludes {
        spec = spec.excludes(words.0.iter())?;
    }
    if let Some(size) = length {
        spec = spec.length(size)?;
    }
    if let Some(text) = prefix {
        spec = spec.prefix(text);
    }
    if let Some(text) = suffix {
        spec = spec.suffix(text);
    }
    let cx = BuildCx::default();
    let scaled = |(label, scale): &(String, Option<f32>)| ScaledLabel { label: label.clone(), scale: *scale };
    for label in topic {
        spec = spec.kind(TopicKind::Scaled(scaled(label)), &cx)?;
    }
    if !bias.is_empty() {
        let words: BTreeMap<String, f32> = bias.iter().cloned().collect();
        if words.len() < bias.len() {
            return Err(Error::input("--bias names a word twice"));
        }
        spec = spec.kind(BiasKind(words), &cx)?;
    }
    if let Some((label, scale)) = cfg {
        spec = spec.kind(ClassifierFreeKind { label: Some(label.clone()), scale: *scale }, &cx)?;
    }
    if cfg_scale.is_some() {
        spec = spec.kind(ClassifierFreeKind { label: None, scale: *cfg_scale }, &cx)?;
    }
    if *credit {
        spec = spec.kind(CreditKind::default(), &cx)?;
    }
    Ok(spec.with_settings(shared.sampling.settings()))
}

fn inputs(set: &[(String, String)]) -> Result<Inputs> {
    for (i, (name, _)) in set.iter().enumerate() {
        if set[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::input(format!("--set gives `{name}` twice")));
        }
    }
    Ok(set.iter().cloned().collect())
}

/// The model at `path`, or the bundled one.
pub fn load(path: Option<&Path>, quantize: Option<Quantize>, terminal: Option<Terminal>) -> Result<Model> {
    let _progress = Progress::start(terminal, "loading the model");
    let loading = Loading { precision: quantize.map(Quantize::precision), memory: None };
    match path {
        Some(path) => Model::load_with(path, &loading),
        None => Model::bundled(),
    }
}

/// The prompt: from the argument, a flag or a file.
fn prompt(shared: &Shared, argument: Option<&str>) -> Result<String> {
    let flags = &shared.prompting;
    if argument.is_some() && (flags.prompt.is_some() || flags.prompt_file.is_some()) {
        return Err(Error::input("the prompt is given twice").help("leave out --prompt, --prompt-file or the argument"));
    }
    let source = match (argument.or(flags.prompt.as_deref()), &flags.prompt_file) {
        (Some("-"), _) => input::stdin()?,
        (Some(text), _) => return Ok(text.to_string()),
        (None, Some(file)) => input::read(file)?,
        (None, None) => return Ok(String::new()),
    };
    // Editors and `echo` end the last line with a newline, which is no part of the prompt.
    let text = source.text.strip_suffix('\n').map_or(&*source.text, |t| t.strip_suffix('\r').unwrap_or(t));
    Ok(text.to_string())
}

/// Draws the samples and delivers them.
pub fn generate(shared: &Shared, spec: &Spec, prompt: Option<&str>) -> Result<Status> {
    let prompt = self::prompt(shared, prompt)?;
    let prompt = prompt.as_str();
    let terminal = Terminal::stderr();
    let output = &shared.output;
    if let Some(file) = &output.output {
        sink::check_writable(file)?;
    }
    if output.watch.is_some() && terminal.is_none() {
        eprintln!("warning: --watch draws on a terminal, which stderr is not; --trace FILE records every step");
    }
    interrupt::listen();
    let model = load(shared.model.as_deref(), shared.quantize, terminal.filter(|_| !output.quiet))?;
    let trace = output.trace.as_deref().map(Trace::create).transpose()?;
    let run = Run { shared, spec, prompt, model: &model, terminal, trace: trace.clone() };
    let drawn = run.draw();
    // A trace that cannot be written stops the run, so the error of the trace is reported.
    trace.map_or(Ok(()), Trace::close)?;
    drawn
}

struct Run<'a> {
    shared: &'a Shared,
    spec: &'a Spec,
    prompt: &'a str,
    model: &'a Model,
    terminal: Option<Terminal>,
    trace: Option<Trace>,
}

impl Run<'_> {
    fn draw(&self) -> Result<Status> {
        let (count, output) = (self.shared.sampling.count as usize, &self.shared.output);
        let mut status = Status::Good;
        let mut finished = String::new();
        let mut failure = None;
        for first in (0..count).step_by(BATCH) {
            let outputs = match self.batch(first, BATCH.min(count - first)) {
                Ok(outputs) => outputs,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            let mut text = String::new();
            for (i, sample) in outputs.iter().enumerate() {
                text += &if output.json { result::json(sample)? } else { line(&sample.text) };
                if !sample.report.verified {
                    status = Status::Unverified;
                    self.warn_unverified(first + i, sample);
                }
            }
            match &output.output {
                None => sink::print(&text)?,
                Some(_) => finished += &text,
            }
        }
        // Samples that were finished before a failure are delivered.
        if output.output.is_some() && (failure.is_none() || !finished.is_empty()) {
            sink::deliver(&finished, output.output.as_deref())?;
        }
        failure.map_or(Ok(status), Err)
    }

    fn warn_unverified(&self, sample: usize, output: &Output) {
        if !self.shared.output.quiet {
            let why = output.report.rejected.as_deref().unwrap_or("no reason given");
            eprintln!("warning: sample {} failed verification: {why}", sample + 1);
        }
    }

    /// Draws samples `first .. first + count`.
    fn batch(&self, first: usize, count: usize) -> Result<Vec<Output>> {
        let flags = &self.shared.output;
        let mut settings = self.spec.settings.clone();
        settings.seed = Some(settings.seed.unwrap_or(0).wrapping_add(first as u64));
        let watched = self.terminal.zip(flags.watch);
        let quiet = flags.quiet || watched.is_some();
        let progress = Progress::start(self.terminal.filter(|_| !quiet), "preparing the constraints");
        let teller = progress.teller();
        let all = self.shared.sampling.count as usize;
        let which =
            if all > count { format!("samples {}-{} of {all}, ", first + 1, first + count) } else { String::new() };

        let mut sampler = Sampler::new(self.model).settings(settings).spec(self.spec).prompt(self.prompt).count(count);
        sampler = sampler.numbered_from(first);
        sampler = sampler.raw(self.shared.prompting.raw);
        if let Some(system) = &self.shared.prompting.system {
            sampler = sampler.system(system);
        }
        if let Some(trace) = &self.trace {
            sampler = sampler.observer(trace.clone());
        }
        if let Some((terminal, speed)) = watched {
            let give_way = io::stdout().is_terminal() && flags.output.is_none();
            sampler = sampler.observer(Watch::new(terminal, speed, give_way));
        }
        sampler = sampler.observer(move |record: &Record| {
            interrupt::obey();
            if let Record::Step { index, budget, .. } = record {
                teller.tell(|| format!("{which}step {} of {budget}", index + 1));
            }
            if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });

        let outputs = sampler.run();
        drop(progress);
        outputs.map_err(|error| match Interrupted::of(&error).filter(|_| interrupt::requested()) {
            Some(texts) => interrupted(&texts.partial),
            None => error,
        })
    }
}

/// The text with a newline at its end, unless it has one.
fn line(text: &str) -> String {
    if text.ends_with('\n') { text.into() } else { format!("{text}\n") }
}

/// The error of an interrupted run. It shows the partial texts with `____` for the gaps: templates that can be filled
/// later.
fn interrupted(texts: &[Partial]) -> Error {
    const SHOWN: usize = 10;
    let mut message = "interrupted".to_string();
    for text in texts.iter().take(SHOWN) {
        message += &format!("\nsample {} so far: {}", text.sample + 1, text.text.trim());
    }
    if texts.len() > SHOWN {
        message += &format!("\nand {} more", texts.len() - SHOWN);
    }
    Error::new(ErrorKind::Interrupted, message)
}
