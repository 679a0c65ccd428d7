//! Compiled constraints: all hard constraints of a run over the model's tokens, as one automaton, or, with a recursive
//! grammar, as a pushdown automaton that is explored as far as a canvas reaches.

use crate::{
    CompileCx, Constraint, Error, Language, Result, Token, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    grammar::{Acceptor, Pushdown, Question, View},
    inference::{Feasible, Problem, Tables, feasible},
};
use std::sync::{Arc, OnceLock};

/// All constraints of a run, compiled for a vocabulary.
pub struct CompiledConstraints {
    form: Form,
    /// Inference tables of the automaton, built when first needed.
    tables: OnceLock<Arc<Tables>>,
    /// Bounds on the number of tokens of the text.
    pub tokens: (usize, usize),
    /// Fewest tokens that a text of the constraint needs.
    pub shortest: usize,
    /// Most tokens that a text can have; `usize::MAX` where nothing bounds it.
    pub longest: usize,
}

enum Form {
    Finite(Arc<TokenAutomaton>),
    Pushdown(Box<Pushdown>),
}

/// The constraints on one canvas: the texts that can fit it.
pub struct Region<'a> {
    decided: &'a [Option<Token>],
    tokens: (usize, usize),
    view: RegionView<'a>,
}

enum RegionView<'a> {
    All(&'a TokenAutomaton, &'a Arc<Tables>),
    Part(Box<View>),
}

impl Region<'_> {
    /// The texts that fit; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Feasible::from_layers`].
    pub fn feasible(&self) -> Result<Option<Feasible<'_>>> {
        let automaton = match &self.view {
            RegionView::All(automaton, _) => *automaton,
            RegionView::Part(view) => &view.automaton,
        };
        let problem = Problem::new(automaton, self.decided).with_tokens(self.tokens.0, self.tokens.1);
        match &self.view {
            RegionView::All(_, tables) => Ok(feasible(&problem.with_tables(tables))),
            RegionView::Part(view) => Feasible::from_layers(&problem, view.layers.clone()),
        }
    }
    /// Whether the region holds all texts that fit.
    pub fn exact(&self) -> bool {
        match &self.view {
            RegionView::All(..) => true,
            RegionView::Part(view) => view.exact,
        }
    }
}

impl CompiledConstraints {
    /// # Errors
    /// Unsatisfiable constraints (naming those that contradict each other), or ones too large to compile.
    pub fn compile(constraints: &[Arc<dyn Constraint>], vocab: &Vocab) -> Result<Self> {
        let mut tokens = (0, usize::MAX);
        for constraint in constraints {
            let (min, max) = constraint.tokens();
            tokens = (tokens.0.max(min), tokens.1.min(max));
        }
        if tokens.0 > tokens.1 {
            return Err(Error::unsatisfiable(format!(
                "the text would need at least {} tokens and at most {}",
                tokens.0, tokens.1
            ))
            .help("widen one of the token lengths"));
        }
        let limits = Limits::default();
        let languages = languages(constraints, vocab)?;
        let all = Language::Intersect(languages.clone());
        let automaton = match all.has_grammar() {
            false => TokenAutomaton::compile(&all, vocab, &limits)?,
            true => match Acceptor::new(&all, vocab, &limits)? {
                Acceptor::Regular(dfa) => Arc::new(TokenAutomaton::lift(&dfa, vocab)?),
                Acceptor::Pushdown(pushdown) => {
                    let shortest = match pushdown.fewest_tokens()? {
                        Some(shortest) => shortest.max(tokens.0),
                        None if pushdown.is_empty() => return Err(contradiction(&languages, vocab, &limits)),
                        None => return Err(unwritable()),
                    };
                    let (form, tables) = (Form::Pushdown(pushdown), OnceLock::new());
                    return Ok(Self { form, tables, tokens, shortest, longest: tokens.1 });
                }
            },
        };
        let Some(shortest) = automaton.min_tokens() else {
            if accepting(&all, vocab, &limits).is_ok_and(|compiled| compiled.is_empty()) {
                return Err(contradiction(&languages, vocab, &limits));
            }
            return Err(unwritable());
        };
        let (form, longest) = (Form::Finite(automaton.clone()), longest(&automaton).unwrap_or(usize::MAX));
        let (tables, shortest) = (OnceLock::new(), shortest.max(tokens.0));
        Ok(Self { form, tables, tokens, shortest, longest: longest.min(tokens.1) })
    }

    /// The region of a canvas with these decided tokens; `None` if no text fits. A `witness` is a text that fits, tail
    /// included, if one is known.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn region<'a>(&'a self, decided: &'a [Option<Token>], witness: Option<&[Token]>) -> Result<Option<Region<'a>>> {
        let tokens = self.tokens;
        let view = match &self.form {
            Form::Finite(automaton) => {
                RegionView::All(automaton, self.tables.get_or_init(|| Arc::new(Tables::new(&**automaton))))
            }
            Form::Pushdown(pushdown) => match pushdown.view(Question { decided, tokens, witness })? {
                Some(view) => RegionView::Part(Box::new(view)),
                None => return Ok(None),
            },
        };
        Ok(Some(Region { decided, tokens, view }))
    }

    /// The automaton of constraints without a recursive grammar.
    pub fn automaton(&self) -> Option<&TokenAutomaton> {
        match &self.form {
            Form::Finite(automaton) => Some(automaton),
            Form::Pushdown(_) => None,
        }
    }

    /// The error that says why no text fits a canvas: it is too short, or decided positions contradict the constraints.
    pub fn unfit(&self, decided: &[Option<Token>], vocab: &Vocab) -> Error {
        let room = decided.len();
        if room < self.shortest {
            let needed = format!("the shortest text that satisfies the constraints needs {} tokens", self.shortest);
            return Error::unsatisfiable(format!("{needed}, but there is room for {room}"))
                .help(format!("give at least {} positions", self.shortest));
        }
        let fits = |end: usize| {
            let mut some = decided.to_vec();
            some[end..].fill(None);
            self.fits(&some).unwrap_or(true)
        };
        // Fewer decided positions leave more texts, so binary search finds the first position that leaves none.
        let ends: Vec<usize> = (0..=room).collect();
        let last = ends.partition_point(|&end| fits(end)).checked_sub(1);
        match last.and_then(|pos| Some((pos, decided.get(pos).copied().flatten()?))) {
            Some((pos, token)) => {
                let piece = vocab.bytes(token).map(|bytes| format!(" ({:?})", String::from_utf8_lossy(bytes)));
                Error::unsatisfiable(format!(
                    "no text of {room} tokens that satisfies the constraints has token {token}{} at position {pos}, given what is \
                     decided before it",
                    piece.unwrap_or_default()
                ))
                .help(format!("leave position {pos} open, or one of those before it"))
            }
            None => Error::unsatisfiable(format!("no text of {room} tokens satisfies the constraints"))
                .help("give more positions"),
        }
    }

    /// Whether some text fits a canvas.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn fits(&self, decided: &[Option<Token>]) -> Result<bool> {
        match self.region(decided, None)? {
            Some(region) => Ok(region.feasible()?.is_some()),
            None => Ok(false),
        }
    }
}

/// The error of a canvas that no text fits. Within a run the witness invariant rules it out.
pub fn lost() -> Error {
    Error::unsatisfiable("the canvas cannot be completed: a committed position contradicts the constraints")
}

/// Compiles all constraints to an acceptor of texts. Any vocabulary will do, unless a constraint of the caller's own
/// asks for it.
///
/// # Errors
/// Unsatisfiable constraints (naming those that contradict each other), or ones too large to compile.
pub fn acceptor(constraints: &[Arc<dyn Constraint>], vocab: &Vocab) -> Result<Acceptor> {
    let limits = Limits::default();
    let languages = languages(constraints, vocab)?;
    let compiled = accepting(&Language::Intersect(languages.clone()), vocab, &limits)?;
    if compiled.is_empty() { Err(contradiction(&languages, vocab, &limits)) } else { Ok(compiled) }
}

fn unwritable() -> Error {
    Error::unsatisfiable("the model's vocabulary cannot write any text that satisfies the constraints")
        .help("use other characters, or a model whose tokens cover them")
}

fn languages(constraints: &[Arc<dyn Constraint>], vocab: &Vocab) -> Result<Vec<Language>> {
    let cx = CompileCx::new(vocab);
    constraints.iter().map(|c| Ok(c.language(&cx)?.named(c.name()))).collect()
}

fn accepting(all: &Language, vocab: &Vocab, limits: &Limits) -> Result<Acceptor> {
    match all.has_grammar() {
        true => Acceptor::new(all, vocab, limits),
        false => Dfa::compile(all, limits).map(Acceptor::Regular),
    }
}

/// The most tokens of a text; `None` if there is a loop, so that lengths are unbounded.
fn longest(automaton: &TokenAutomaton) -> Option<usize> {
    let text_states = automaton.ended().map_or(automaton.states(), |ended| ended as usize);
    let within = |q: u32| automaton.successors(q).filter(|&t| (t as usize) < text_states);
    let mut incoming = vec![0usize; text_states];
    for q in 0..text_states as u32 {
        within(q).for_each(|t| incoming[t as usize] += 1);
    }
    let mut depth = vec![0; text_states];
    let mut ready: Vec<u32> = (0..text_states as u32).filter(|&q| incoming[q as usize] == 0).collect();
    let mut sorted = 0;
    while let Some(q) = ready.pop() {
        sorted += 1;
        for t in within(q) {
            depth[t as usize] = depth[t as usize].max(depth[q as usize] + 1);
            incoming[t as usize] -= 1;
            if incoming[t as usize] == 0 {
                ready.push(t);
            }
        }
    }
    (sorted == text_states).then(|| depth.into_iter().max().unwrap_or(0))
}

/// Names the smallest group of constraints (one, or two) that no text satisfies.
fn contradiction(languages: &[Language], vocab: &Vocab, limits: &Limits) -> Error {
    let empty = |parts: &[&Language]| {
        let all = Language::Intersect(parts.iter().map(|l| (*l).clone()).collect());
        accepting(&all, vocab, limits).is_ok_and(|compiled| compiled.is_empty())
    };
    let name = |l: &Language| match l {
        Language::Named(name, _) => format!("`{name}`"),
        _ => "a constraint".to_string(),
    };
    for one in languages {
        if empty(&[one]) {
            return Error::unsatisfiable(format!("{} allows no text at all", name(one))).help("relax it");
        }
    }
    for (i, one) in languages.iter().enumerate() {
        for other in &languages[i + 1..] {
            if empty(&[one, other]) {
                return Error::unsatisfiable(format!(
                    "{} and {} contradict each other: no text satisfies both",
                    name(one),
                    name(other)
                ))
                .help("relax or leave out one of them");
            }
        }
    }
    let names: Vec<String> = languages.iter().map(name).collect();
    Error::unsatisfiable(format!("no text satisfies {} together", names.join(", ")))
        .help("relax or leave out one of them")
}
