//! Intersection of rules with regular languages: while a text of such a rule is read, the automaton of the language
//! reads it too.
//!
//! This is the product of a pushdown automaton and a finite one (Bar-Hillel, Perles and Shamir 1961), built as it is
//! reached: the state on top of a stack carries the state of the finite automaton; a state beneath it is given one when
//! it is returned to.

use super::lower::Lowered;
use super::rtn::State;
use crate::automata::{Dfa, Limits};
use crate::language::{Expr, RuleId};
use crate::util::FastMap;
use crate::{Error, Result};

/// A state of the intersecting automata, whose states are numbered consecutively.
pub(super) type Inner = u32;

/// Outside of any intersected rule.
pub(super) const OUTSIDE: Inner = 0;
/// Marks a state to return to at the end of an intersected rule: the automaton must accept, and reads no further.
pub(super) const LEAVE: Inner = Inner::MAX;

/// The automata of the intersected rules.
pub(super) struct Automata {
    rules: Vec<(RuleId, Dfa)>,
}

impl Automata {
    /// Compiles the languages. A rule whose language is empty is left without texts, and without an automaton.
    ///
    /// # Errors
    /// Languages that speak of token boundaries, and those that cannot be compiled.
    pub fn compile(lowered: &mut Lowered, limits: &Limits) -> Result<Self> {
        let mut rules = Vec::new();
        for (rule, language) in &lowered.intersected {
            let dfa = Dfa::compile(language, limits)?;
            if dfa.reads_marks() {
                return Err(Error::unsupported("token boundaries cannot be spoken of beside a recursive grammar")
                    .help("size the slot in words or characters, or bound the whole text in tokens with `length`"));
            }
            match dfa.is_empty() {
                true => lowered.rules[*rule].body = Expr::Union(Vec::new()),
                false => rules.push((*rule, dfa)),
            }
        }
        Ok(Self { rules })
    }

    pub fn dfas(&self) -> impl Iterator<Item = &Dfa> + Clone {
        self.rules.iter().map(|(_, dfa)| dfa)
    }
    pub fn of(&self, rule: RuleId) -> Option<&Dfa> {
        self.rules.iter().find(|(intersected, _)| *intersected == rule).map(|(_, dfa)| dfa)
    }

    /// All automata as one table. `bytes` has one byte of each class; `first` gives the first state of a rule's
    /// network, if the rule is still there.
    pub fn table(&self, bytes: &[u8], first: impl Fn(RuleId) -> Option<State>) -> Intersected {
        let mut all = Intersected {
            width: bytes.len(),
            next: vec![OUTSIDE; bytes.len()],
            accept: vec![false],
            begins: FastMap::default(),
        };
        for (rule, dfa) in &self.rules {
            let offset = all.accept.len() as Inner - 1;
            for state in 1..=dfa.states() as u32 {
                let row = bytes.iter().map(|&byte| match dfa.step(state, byte) {
                    0 => OUTSIDE,
                    next => next + offset,
                });
                all.next.extend(row);
                all.accept.push(dfa.accepting(state));
            }
            if let Some(first) = first(*rule) {
                all.begins.insert(first, dfa.start() + offset);
            }
        }
        all
    }
}

/// The automata of the intersected rules, as one table over classes of bytes.
pub(super) struct Intersected {
    width: usize,
    /// states × classes.
    next: Vec<Inner>,
    accept: Vec<bool>,
    /// The start of each automaton, by the first state of its rule.
    begins: FastMap<State, Inner>,
}

impl Intersected {
    /// The start of the automaton of the rule with this first state; `None` if the rule is not intersected.
    pub fn begin(&self, called: State) -> Option<Inner> {
        self.begins.get(&called).copied()
    }
    /// The state after a byte of a class; `None` if no text of the language continues with it.
    pub fn step(&self, inner: Inner, class: usize) -> Option<Inner> {
        match inner {
            OUTSIDE => Some(OUTSIDE),
            _ => Some(self.next[inner as usize * self.width + class]).filter(|&next| next != OUTSIDE),
        }
    }
    pub fn accepting(&self, inner: Inner) -> bool {
        self.accept[inner as usize]
    }
}
