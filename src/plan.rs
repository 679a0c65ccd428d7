//! All hard constraints of a run, compiled into one automaton over the model's tokens.

use crate::{
    CompileCx, Constraint, Error, Language, Result, Token, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    inference::{Problem, Reach},
    spec::Spec,
};
use std::sync::Arc;

/// What a run must satisfy.
pub(crate) struct Plan {
    pub automaton: Arc<TokenAutomaton>,
    /// Bounds on the number of tokens of the text.
    pub tokens: (usize, usize),
    /// Fewest tokens that a text of the constraint needs.
    pub shortest: usize,
    /// Most tokens that a text can have; `usize::MAX` where nothing bounds it.
    pub longest: usize,
}

impl Plan {
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
        let automaton = TokenAutomaton::compile(&Language::Intersect(languages.clone()), vocab, &limits)?;
        let Some(shortest) = automaton.min_tokens() else {
            if Dfa::compile(&Language::Intersect(languages.clone()), &limits).is_ok_and(|dfa| dfa.is_empty()) {
                return Err(contradiction(&languages, &limits));
            }
            return Err(Error::unsatisfiable(
                "the model's vocabulary cannot write any text that satisfies the constraints",
            )
            .help("use other characters, or a model whose tokens cover them"));
        };
        let longest = longest(&automaton).unwrap_or(usize::MAX).min(tokens.1);
        Ok(Self { automaton, tokens, shortest: shortest.max(tokens.0), longest })
    }

    /// The question that a canvas asks: what can stand where.
    pub fn problem<'a>(&'a self, decided: &'a [Option<Token>]) -> Problem<'a> {
        Problem::new(&*self.automaton, decided).with_tokens(self.tokens.0, self.tokens.1)
    }

    pub fn reach<'a>(&'a self, decided: &'a [Option<Token>]) -> Option<Reach<'a>> {
        crate::inference::reach(&self.problem(decided))
    }
}

impl Spec {
    /// All hard constraints as one automaton over bytes. Needs no model: every vocabulary gives the same one, unless a
    /// constraint of your own asks for it.
    ///
    /// # Errors
    /// Unsatisfiable constraints (naming those that contradict each other), or ones too large to compile.
    pub fn automaton(&self, vocab: &Vocab) -> Result<Dfa> {
        let limits = Limits::default();
        let languages = languages(&self.constraints, vocab)?;
        let dfa = Dfa::compile(&Language::Intersect(languages.clone()), &limits)?;
        if dfa.is_empty() { Err(contradiction(&languages, &limits)) } else { Ok(dfa) }
    }
}

fn languages(constraints: &[Arc<dyn Constraint>], vocab: &Vocab) -> Result<Vec<Language>> {
    let cx = CompileCx::new(vocab);
    constraints.iter().map(|c| Ok(c.language(&cx)?.named(c.name()))).collect()
}

/// Tokens on the longest path to the end of a text; `None` if there is a loop, so that texts have no longest.
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
fn contradiction(languages: &[Language], limits: &Limits) -> Error {
    let empty = |parts: &[&Language]| {
        let all = Language::Intersect(parts.iter().map(|l| (*l).clone()).collect());
        Dfa::compile(&all, limits).is_ok_and(|dfa| dfa.is_empty())
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
