//! Rules of which a text must be of a regular language too: its automaton runs along while such a text is read.
//!
//! The product of a pushdown automaton and a finite one (Bar-Hillel, Perles and Shamir 1961), made as it is reached: the
//! state on top of a stack carries the state of the finite automaton; those beneath it are given one when they are
//! returned to.

use super::lower::Lowered;
use super::rtn::State;
use crate::automata::{Dfa, Limits};
use crate::language::{Expr, RuleId};
use crate::util::FastMap;
use crate::{Error, Result};

/// A state of the automata that run along, all of them numbered in a row.
pub(super) type Inner = u32;

/// No automaton runs along.
pub(super) const OUTSIDE: Inner = 0;
/// Beside a state to return to: the automaton must accept here, and runs no further.
pub(super) const LEAVE: Inner = Inner::MAX;

/// The automata of the rules that are narrowed.
pub(super) struct Automata {
    rules: Vec<(RuleId, Dfa)>,
}

impl Automata {
    /// Compiles the languages; a rule whose language is empty loses its texts instead.
    ///
    /// # Errors
    /// Languages that speak of token boundaries, and those that cannot be compiled.
    pub fn compile(lowered: &mut Lowered, limits: &Limits) -> Result<Self> {
        let mut rules = Vec::new();
        for (rule, language) in &lowered.narrowed {
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
        self.rules.iter().find(|(narrowed, _)| *narrowed == rule).map(|(_, dfa)| dfa)
    }

    /// As one table. `bytes`: one byte of each class; `first`: where the automaton of a rule starts, if it is there.
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

/// The automata of the narrowed rules over classes of bytes.
pub(super) struct Intersected {
    width: usize,
    /// states × classes.
    next: Vec<Inner>,
    accept: Vec<bool>,
    /// By the first state of the rule.
    begins: FastMap<State, Inner>,
}

impl Intersected {
    /// Where the automaton starts that runs along with the rule whose first state this is.
    pub fn begin(&self, called: State) -> Option<Inner> {
        self.begins.get(&called).copied()
    }
    /// The state after a byte of a class; `None` if no text goes on so.
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
