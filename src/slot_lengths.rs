//! Slot lengths: the number of positions for a text, and the positions of a template's literals.

use crate::{
    Canvas, CanvasView, Cell, Constraint, Error, Layout, Model, Result, Scores, Settings, Token, Vocab,
    constraints::{Scaffold, ScaffoldPart, SlotSize},
    engine::plan::CompiledConstraints,
    inference::{self, Options},
    models::scores_of,
};
use rand::{Rng, SeedableRng, seq::IndexedRandom, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Maximum number of layouts that are scored before one is pinned.
const CANDIDATES: usize = 16;
/// Number of positions for a text whose length is unknown.
const FREE_LEN: usize = 32;

/// The initial canvases of a job's lanes, and the cost of finding them.
pub(crate) struct SlotLengths {
    prompt: Arc<[Token]>,
    canvases: Canvases,
    /// Number of forwards of the denoiser.
    pub nfe: usize,
    /// Time spent on the constraints.
    pub time: Duration,
}

enum Canvases {
    /// Layouts with literals at known positions, and the log-probability of each.
    Pinned(Vec<Canvas>, Vec<f64>),
    /// The usual lengths of an open canvas. The first field is the length where no usual length fits.
    Floating(usize, Vec<usize>),
}

impl SlotLengths {
    /// # Errors
    /// Constraints that are unsatisfiable within the available positions.
    pub fn find(
        model: &Model,
        plan: &CompiledConstraints,
        constraints: &[Arc<dyn Constraint>],
        settings: &Settings,
        prompt: Arc<[Token]>,
    ) -> Result<Self> {
        let room = room(model, plan, settings, prompt.len())?;
        let scaffolds: Vec<Scaffold> = constraints.iter().filter_map(|c| c.shape().scaffold()).collect();
        if let ([scaffold], Layout::Pinned) = (&scaffolds[..], settings.layout.unwrap_or(DEFAULT_LAYOUT)) {
            let pinned = Pinned { model, plan, room, len: settings.len, prompt: &prompt };
            if let Some(found) = pinned.search(scaffold)? {
                return Ok(found);
            }
        }
        let longest = floating_len(plan, settings, room)?;
        let usual = match settings.len {
            // Only the canvas bounds the text.
            None if plan.longest > longest => usual_lengths(model, plan, longest)?,
            _ => Vec::new(),
        };
        Ok(Self { prompt, canvases: Canvases::Floating(longest, usual), nfe: 0, time: Duration::ZERO })
    }

    /// Draws the canvas for a seed. Pinned layouts are drawn in proportion to their probability.
    pub fn canvas(&self, seed: u64) -> Canvas {
        match &self.canvases {
            Canvases::Pinned(canvases, scores) => canvases[pick(scores, seed)].clone(),
            Canvases::Floating(longest, usual) => {
                let usual = usual.choose(&mut ChaCha8Rng::seed_from_u64(seed ^ LAYOUT));
                Canvas::open(usual.copied().unwrap_or(*longest)).with_prompt(self.prompt.clone())
            }
        }
    }
}

/// Separates the random numbers of layouts from those of steps.
const LAYOUT: u64 = 0x1a70;

/// The usual lengths of the model's texts that leave the constraints some freedom. On a canvas that is longer than its
/// texts, a model is surest of the end. It writes the end first, and the text comes out short.
fn usual_lengths(model: &Model, plan: &CompiledConstraints, longest: usize) -> Result<Vec<usize>> {
    let free = |&len: &usize| len >= plan.shortest + plan.shortest / 2 && len <= longest;
    let mut lengths = Vec::new();
    for len in model.denoiser().lengths().iter().copied().filter(free) {
        if lengths.last() == Some(&len) || plan.fits(&vec![None; len])? {
            lengths.push(len);
        }
    }
    Ok(lengths)
}

/// Pinned layouts measured better (`docs/measurements.md`).
const DEFAULT_LAYOUT: Layout = Layout::Pinned;

/// The maximum number of positions for an answer.
fn room(model: &Model, plan: &CompiledConstraints, settings: &Settings, prompt: usize) -> Result<usize> {
    let denoiser = model.denoiser();
    let max = denoiser.max_len().saturating_sub(prompt);
    if max == 0 {
        return Err(Error::input(format!(
            "the prompt has {prompt} tokens, but {} holds {} in all",
            denoiser.name(),
            denoiser.max_len()
        ))
        .help("shorten the prompt"));
    }
    if let Some(len) = settings.len.filter(|&len| len > max) {
        let behind = if prompt > 0 { format!(" behind a prompt of {prompt}") } else { String::new() };
        let (name, all) = (denoiser.name(), denoiser.max_len());
        return Err(Error::input(format!("{len} positions{behind} are more than the {all} that {name} holds"))
            .help(format!("give a length of at most {max} tokens")));
    }
    let room = settings.len.unwrap_or(max);
    if plan.shortest > room {
        let error = Error::unsatisfiable(format!(
            "the shortest text that satisfies the constraints needs {} tokens, but there is room for {room}",
            plan.shortest
        ));
        return Err(match settings.len {
            Some(_) if plan.shortest <= max => error.help(format!("give at least `--len {}`", plan.shortest)),
            _ => error.help(format!("{} holds {max} positions at most: relax the constraints", denoiser.name())),
        });
    }
    Ok(room)
}

/// The number of positions of a canvas without pinned literals.
fn floating_len(plan: &CompiledConstraints, settings: &Settings, room: usize) -> Result<usize> {
    let len = match settings.len {
        Some(len) => len,
        None => {
            let longest = plan.longest;
            room.min(longest).min(FREE_LEN.max(plan.shortest + plan.shortest / 2)).max(1)
        }
    };
    let first_feasible = |lengths: &mut dyn Iterator<Item = usize>| -> Result<Option<usize>> {
        for len in lengths {
            if plan.fits(&vec![None; len])? {
                return Ok(Some(len));
            }
        }
        Ok(None)
    };
    if first_feasible(&mut std::iter::once(len))?.is_some() {
        return Ok(len);
    }
    if settings.len.is_none()
        && let Some(longer) = first_feasible(&mut (len + 1..=room))?
    {
        return Ok(longer);
    }
    let error = Error::unsatisfiable(format!("no text that satisfies the constraints fills {len} positions"));
    Err(match first_feasible(&mut (1..=room.max(len)).rev())? {
        Some(l) => error.help(format!("`--len {l}` can be filled")),
        None => error.help(format!("the longest canvas here has {room} positions: relax the constraints")),
    })
}

/// The search for layouts with literals at known positions.
struct Pinned<'a> {
    model: &'a Model,
    plan: &'a CompiledConstraints,
    room: usize,
    len: Option<usize>,
    prompt: &'a Arc<[Token]>,
}

/// A literal with its tokens, or a slot with the numbers of tokens to try.
enum Span {
    Literal(Vec<Token>),
    Slot(Vec<usize>),
}

impl Pinned<'_> {
    /// Scores candidate layouts in one batched forward. `None` where no candidate is feasible.
    fn search(&self, scaffold: &Scaffold) -> Result<Option<SlotLengths>> {
        let started = Instant::now();
        let denoiser = self.model.denoiser();
        let spans = spans(scaffold, denoiser.vocab(), self.room)?;
        let mut canvases: Vec<Canvas> = Vec::new();
        for lengths in combinations(&spans) {
            if canvases.len() == CANDIDATES {
                break;
            }
            if let Some(canvas) = self.canvas(&spans, &lengths)
                && self.plan.fits(&canvas.decided())?
            {
                canvases.push(canvas);
            }
        }
        let found = |canvases, scores, nfe, time| SlotLengths {
            prompt: self.prompt.clone(),
            canvases: Canvases::Pinned(canvases, scores),
            nfe,
            time,
        };
        match canvases.len() {
            0 => return Ok(None),
            1 => return Ok(Some(found(canvases, vec![0.0], 0, started.elapsed()))),
            _ => {}
        }
        let mut searching = started.elapsed();
        // The views are blank canvases, so layouts of the same length share one prediction.
        let blank = |canvas: &Canvas| Canvas::open(canvas.len()).with_prompt(self.prompt.clone()).view();
        let mut views: Vec<CanvasView> = Vec::new();
        for view in canvases.iter().map(blank) {
            if !views.contains(&view) {
                views.push(view);
            }
        }
        let predictions = scores_of(denoiser, &views)?;
        let started = Instant::now();
        let mut scores = Vec::new();
        for canvas in &canvases {
            let lost = || Error::unsatisfiable("a layout lost its texts");
            let said = views.iter().zip(&predictions).find(|(view, _)| view.tokens.len() == canvas.len());
            scores.push(self.log_prob(canvas, said.ok_or_else(lost)?.1)?.ok_or_else(lost)?);
        }
        searching += started.elapsed();
        Ok(Some(found(canvases, scores, views.len(), searching)))
    }

    /// The log-probability of a layout among all texts of its length: the literals and the end at their positions, and
    /// valid text in the slots. All lengths have the same prior probability.
    fn log_prob(&self, canvas: &Canvas, said: &Scores) -> Result<Option<f64>> {
        let decided = canvas.decided();
        let Some(region) = self.plan.region(&decided, None)? else { return Ok(None) };
        let Some(reach) = region.feasible()? else { return Ok(None) };
        let slots = inference::infer(&reach, said, &Options::default())?.log_z();
        let literal = |(pos, token): (usize, &Option<Token>)| Some(log_softmax(said.row(pos), (*token)? as usize));
        Ok(Some(slots + decided.iter().enumerate().filter_map(literal).sum::<f64>()))
    }

    /// The canvas for one choice of slot lengths, padded behind the text. `None` where the text does not fit.
    fn canvas(&self, spans: &[Span], lengths: &[usize]) -> Option<Canvas> {
        let vocab = self.model.denoiser().vocab();
        let mut cells = Vec::new();
        let mut slots = lengths.iter();
        for span in spans {
            match span {
                Span::Literal(tokens) => cells.extend(tokens.iter().map(|&t| Cell::Fixed(t))),
                Span::Slot(_) => cells.extend(std::iter::repeat_n(Cell::Open, *slots.next()?)),
            }
        }
        let len = match (self.len, vocab.eos()) {
            (Some(len), _) => len,
            (None, Some(_)) => (cells.len() + 1).min(self.room),
            (None, None) => cells.len(),
        };
        if cells.len() > len || len == 0 || (cells.len() < len && vocab.eos().is_none()) {
            return None;
        }
        let mut canvas = Canvas::open(len).with_prompt(self.prompt.clone());
        let tail = vocab.eos().map(|eos| (cells.len()..len, eos));
        for (pos, cell) in cells.into_iter().enumerate() {
            canvas.set(pos, cell);
        }
        if let Some((tail, eos)) = tail {
            let pad = vocab.pad().unwrap_or(eos);
            let first = tail.start;
            tail.for_each(|pos| canvas.set(pos, Cell::Fixed(if pos == first { eos } else { pad })));
        }
        Some(canvas)
    }
}

/// The log-probability of one token of a row of scores.
fn log_softmax(row: &[f32], token: usize) -> f64 {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = row.iter().map(|&s| f64::from(s - top).exp()).sum();
    row.get(token).map_or(f64::NEG_INFINITY, |&s| f64::from(s - top)) - total.ln()
}

/// Draws an index by its log-probability; returns 0 where all are impossible.
fn pick(scores: &[f64], seed: u64) -> usize {
    let best = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|s| (s - best).exp()).collect();
    let mut left = ChaCha8Rng::seed_from_u64(seed ^ LAYOUT).random::<f64>() * weights.iter().sum::<f64>();
    weights
        .iter()
        .position(|w| {
            left -= w;
            left < 0.0
        })
        .unwrap_or(0)
}

/// Tokenises the literals and lists the lengths of the slots. A space before a slot belongs to the slot's tokens, since
/// tokenizers put a space at the head of a word. Slots counted in tokens begin at a token boundary, so the space stays
/// with the literal.
fn spans(scaffold: &Scaffold, vocab: &Vocab, room: usize) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut lead = "";
    for (i, part) in scaffold.parts.iter().enumerate() {
        match part {
            ScaffoldPart::Literal(text) => {
                let shifts = match scaffold.parts.get(i + 1) {
                    Some(ScaffoldPart::Slot { size, .. }) => !matches!(size, SlotSize::Tokens(..)),
                    _ => false,
                };
                let kept = if shifts { text.strip_suffix(' ').unwrap_or(text) } else { text };
                lead = &text[kept.len()..];
                if !kept.is_empty() {
                    spans.push(Span::Literal(vocab.encode(kept)?));
                }
            }
            ScaffoldPart::Slot { size, options, .. } => {
                spans.push(Span::Slot(slot_lengths(*size, options, lead, vocab, room)));
                lead = "";
            }
        }
    }
    Ok(spans)
}

/// The numbers of tokens to try for a slot.
fn slot_lengths(size: SlotSize, options: &[String], lead: &str, vocab: &Vocab, room: usize) -> Vec<usize> {
    if !options.is_empty() {
        let lengths: BTreeSet<usize> =
            options.iter().filter_map(|o| vocab.encode(&format!("{lead}{o}")).ok()).map(|t| t.len()).collect();
        return lengths.into_iter().collect();
    }
    let (min, max) = match size {
        SlotSize::Free => (1, 10),
        // One word is usually one token. A further token would be a piece of a word, so one is added only where the
        // size leaves no other choice for a rare word.
        SlotSize::Words(a, b) => (a, b.max(a.saturating_add(1))),
        SlotSize::Chars(a, b) => (a.div_ceil(6).max(1), b.div_ceil(2).max(1)),
        SlotSize::Tokens(a, b) => (a, b),
    };
    let max = max.min(room).max(min);
    // Eight evenly spaced lengths at most, since each slot multiplies the number of layouts.
    let count = (max - min + 1).min(8);
    (0..count).map(|i| min + i * (max - min) / (count - 1).max(1)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Choices of slot lengths: all of them in a fixed shuffled order if they are few, otherwise a fixed random selection.
fn combinations(spans: &[Span]) -> Vec<Vec<usize>> {
    const MOST: usize = 4 * CANDIDATES;
    let slots: Vec<&Vec<usize>> = spans
        .iter()
        .filter_map(|s| match s {
            Span::Slot(lengths) => Some(lengths),
            Span::Literal(_) => None,
        })
        .collect();
    let total = slots.iter().try_fold(1usize, |n, lengths| n.checked_mul(lengths.len())).unwrap_or(usize::MAX);
    let mut rng = ChaCha8Rng::seed_from_u64(LAYOUT);
    let nth = |mut code: usize| -> Vec<usize> {
        slots
            .iter()
            .map(|lengths| {
                let length = lengths[code % lengths.len()];
                code /= lengths.len();
                length
            })
            .collect()
    };
    if total <= MOST {
        let mut all: Vec<Vec<usize>> = (0..total).map(nth).collect();
        all.shuffle(&mut rng);
        return all;
    }
    let mut some: Vec<Vec<usize>> =
        (0..MOST).map(|_| slots.iter().map(|lengths| lengths[rng.random_range(0..lengths.len())]).collect()).collect();
    some.dedup();
    some
}
