//! Whether a finished text satisfies something: decided here, apart from the code that steers the generation.
//!
//! This module must not import automata, pushdown automata, the JSON Schema compiler, inference, plans or constraints;
//! a test over its imports enforces that. What it shares with the constraining code is what both sides are told:
//! expressions and grammar rules as data, and the readers of their syntax ([`crate::language`]), the JSON reader, and
//! the definitions of a word character and of a unit of length, which stand here.
//!
//! ```text
//! affix, choice, length, words   by comparison, look-up, counting and search
//! regex                          the matcher of the regex-automata crate
//! earley                         a recogniser of context-free grammars, character by character
//! json_schema                    the validator of the jsonschema crate (feature `verify`)
//! template                       a search for the spans of the slots
//! ```

pub(crate) mod affix;
pub(crate) mod choice;
pub(crate) mod earley;
#[cfg(test)]
mod imports;
pub(crate) mod json_schema;
pub(crate) mod length;
pub(crate) mod regex;
pub(crate) mod template;
pub(crate) mod words;

/// The side of a constraint that decides whether a finished text satisfies it.
///
/// What a report calls `verified` rests on this side alone. An implementation must decide by its own means: it must
/// use neither [`Constraint::language`](crate::Constraint::language) nor anything compiled from that. The two sides
/// must agree on every text.
pub trait Check: Send + Sync {
    /// Whether a finished text satisfies the constraint.
    fn check(&self, text: &str) -> Verdict;

    /// Like [`check`](Self::check), for a text whose tokens are known: `tokens` holds the bytes that each token
    /// writes, in order. Constraints that count tokens decide here.
    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        let _ = tokens;
        self.check(text)
    }
}

/// The answer of a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The text satisfies the constraint.
    Accept,
    /// The text does not satisfy it.
    Reject {
        /// Byte offset at which the text left the constraint, as far as it can be told.
        at: usize,
        /// The reason, in a clause.
        why: String,
    },
    /// The check cannot decide; it would need a tokenizer, for example.
    Unknown {
        /// The reason, in a clause.
        why: String,
    },
}

impl Verdict {
    /// Whether this is [`Accept`](Verdict::Accept).
    pub fn accepted(&self) -> bool {
        *self == Verdict::Accept
    }

    /// `Accept` if a condition holds, a rejection at `at` otherwise.
    pub fn require(holds: bool, at: usize, why: impl FnOnce() -> String) -> Self {
        if holds { Verdict::Accept } else { Verdict::Reject { at, why: why() } }
    }

    /// Both must accept; a rejection wins over an unknown.
    pub fn and(self, other: impl FnOnce() -> Verdict) -> Self {
        match self {
            Verdict::Accept => other(),
            Verdict::Reject { .. } => self,
            Verdict::Unknown { .. } => match other() {
                Verdict::Accept => self,
                worse => worse,
            },
        }
    }

    /// All must accept; the first rejection ends the evaluation. An empty list is accepted.
    pub fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        let mut all = Verdict::Accept;
        for verdict in verdicts {
            all = all.and(|| verdict);
            if matches!(all, Verdict::Reject { .. }) {
                break;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Accept};

    #[test]
    fn a_rejection_wins_over_an_unknown_and_ends_the_evaluation() {
        let reject = || Verdict::Reject { at: 1, why: "no".into() };
        let unknown = |why: &str| Verdict::Unknown { why: why.into() };
        assert_eq!(Verdict::all([]), Accept);
        assert_eq!(Verdict::all([Accept, unknown("a"), Accept]), unknown("a"));
        assert_eq!(Verdict::all([unknown("a"), unknown("b")]), unknown("b"));
        assert_eq!(Verdict::all([unknown("a"), reject()]), reject());
        let mut asked = 0;
        let verdicts = [Accept, reject(), unknown("a")].into_iter().inspect(|_| asked += 1);
        assert_eq!(Verdict::all(verdicts), reject());
        assert_eq!(asked, 2);
    }
}
