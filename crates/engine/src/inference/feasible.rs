//! The feasible set: the texts of a constraint that fit a canvas.

use super::cache::Canvas;
use super::graph::Graph;
use super::layers::{Choice, Layers};
use super::support::Support;
use super::tables::Tables;
use crate::automata::{Class, Edge, TokenAutomaton};
use crate::{Error, Pos, Result, Token};
use std::sync::Arc;

/// A canvas and the constraint its text must satisfy.
#[derive(Debug)]
pub struct Problem<'a, G = TokenAutomaton> {
    /// The constraint's states; a [`TokenAutomaton`] where it is regular.
    pub automaton: &'a G,
    /// The token of every decided position; `None` where any may stand.
    pub decided: &'a [Option<Token>],
    /// Fewest and most tokens of the text, the tail not counted.
    pub tokens: (usize, usize),
    /// Tables of the constraint; they are built anew if not given.
    pub tables: Option<&'a Arc<Tables>>,
}

impl<G> Clone for Problem<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G> Copy for Problem<'_, G> {}

impl<'a, G: Graph> Problem<'a, G> {
    /// A text of any length that fits.
    pub fn new(automaton: &'a G, decided: &'a [Option<Token>]) -> Self {
        Self { automaton, decided, tokens: (0, usize::MAX), tables: None }
    }
    /// Bounds on the number of tokens of the text, the tail not counted.
    pub fn with_tokens(self, min: usize, max: usize) -> Self {
        Self { tokens: (min, max), ..self }
    }
    /// Tables of this constraint, which save time where it is used more than once.
    pub fn with_tables(self, tables: &'a Arc<Tables>) -> Self {
        Self { tables: Some(tables), ..self }
    }

    fn prepared(&self) -> Arc<Tables> {
        self.tables.cloned().unwrap_or_else(|| Arc::new(Tables::once(self.automaton)))
    }

    /// The choice of each position; `None` if a decided token is legal nowhere.
    fn choices(&self) -> Option<Vec<Choice>> {
        let choice = |decided: &Option<Token>| match decided {
            Some(token) => self.automaton.class_of(*token).map(Choice::One),
            None => Some(Choice::Any),
        };
        self.decided.iter().map(choice).collect()
    }
}

/// The texts that fit a canvas: proof that there is one, and what each position may hold.
#[derive(Debug)]
pub struct Feasible<'a, G = TokenAutomaton> {
    pub(super) problem: Problem<'a, G>,
    pub(super) layers: Arc<Layers>,
    pub(super) tables: Arc<Tables>,
}

impl<G> Clone for Feasible<'_, G> {
    fn clone(&self) -> Self {
        Self { problem: self.problem, layers: self.layers.clone(), tables: self.tables.clone() }
    }
}

/// The boolean forward–backward pass; `None` if no text fits the canvas.
pub fn feasible<'a>(problem: &Problem<'a>) -> Option<Feasible<'a>> {
    let (choices, tables) = (problem.choices()?, problem.prepared());
    let canvas = Canvas { decided: problem.decided.to_vec(), tokens: problem.tokens };
    let find = || Layers::new(problem.automaton, &tables, &choices, problem.tokens);
    let layers = tables.cache.get_or_find(canvas, find)?;
    Some(Feasible { problem: *problem, layers, tables })
}

impl<'a, G: Graph> Feasible<'a, G> {
    /// The texts whose states are all in `layers`, which has one layer more than there are positions: the states that a
    /// text may have before, between and behind them. The first layer is the start alone; the last holds states in
    /// which a text may end. `Problem::tokens` is ignored: the layers determine the lengths. States that lie on no
    /// complete text are dropped. `None` if no text is left.
    ///
    /// # Errors
    /// When the number of layers is not one more than that of positions, the first is not the start, or a state is
    /// none of the graph's.
    pub fn from_layers(problem: &Problem<'a, G>, mut layers: Vec<Vec<u32>>) -> Result<Option<Self>> {
        let graph = problem.automaton;
        layers.iter_mut().for_each(|layer| {
            layer.sort_unstable();
            layer.dedup();
        });
        let known = layers.iter().flatten().all(|&q| (q as usize) < graph.states());
        if layers.len() != problem.decided.len() + 1 || layers[0].iter().any(|&q| q != graph.start()) || !known {
            return Err(Error::model("the layers do not fit the canvas or its graph"));
        }
        let kept = problem.choices().and_then(|choices| Layers::from_layers(graph, &choices, layers));
        Ok(kept.map(|layers| Self { problem: *problem, layers: Arc::new(layers), tables: problem.prepared() }))
    }

    /// The problem this answers.
    pub fn problem(&self) -> &Problem<'a, G> {
        &self.problem
    }
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.problem.decided.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.problem.decided.is_empty()
    }

    /// Whether this is a text that fits: one token per position, tail included.
    pub fn contains(&self, text: &[Token]) -> bool {
        let graph = self.problem.automaton;
        let mut state = Some(graph.start());
        for (pos, &token) in text.iter().enumerate() {
            let decided = self.problem.decided.get(pos);
            let agrees = decided.is_some_and(|d| d.is_none_or(|d| d == token));
            let next = state.filter(|_| agrees).and_then(|q| graph.next(q, graph.class_of(token)?));
            state = next.filter(|q| self.layers.layer(pos + 1).has(*q));
        }
        text.len() == self.len() && state.is_some()
    }

    /// The beginnings of the texts, `len` tokens long. Each counts once, however many texts it begins.
    ///
    /// # Panics
    /// When there are fewer positions.
    pub fn prefix(&self, len: usize) -> Self {
        let problem = Problem { decided: &self.problem.decided[..len], ..self.problem };
        Self { problem, layers: Arc::new(self.layers.prefix(len)), tables: self.tables.clone() }
    }

    /// A text that fits and starts with `beginning`; `None` if there is none.
    pub fn completed(&self, beginning: &[Token]) -> Option<Vec<Token>> {
        let graph = self.problem.automaton;
        let mut state = graph.start();
        let mut text = Vec::with_capacity(self.len());
        for pos in 0..self.len() {
            let next = self.layers.layer(pos + 1);
            let known = beginning.get(pos).or(self.problem.decided[pos].as_ref());
            let (token, to) = match known {
                Some(&token) => (token, graph.next(state, graph.class_of(token)?)?),
                None => {
                    let support = self.support(pos)?;
                    let open = |edge: &&Edge| support.bears(edge.label) && next.has(edge.target);
                    let edge = graph.edges(state).iter().find(open)?;
                    let place = graph.label(edge.label).iter().find_map(|&class| support.place(class))?;
                    (*support.members(graph, place).first()?, edge.target)
                }
            };
            state = next.has(to).then_some(to)?;
            text.push(token);
        }
        Some(text)
    }

    /// Whether some fitting text has `token` at `pos`.
    pub fn legal(&self, pos: Pos, token: Token) -> bool {
        match (self.problem.decided.get(pos), self.problem.automaton.class_of(token)) {
            (Some(Some(decided)), _) => *decided == token,
            (Some(None), Some(class)) => self.legal_class(pos, class),
            _ => false,
        }
    }

    /// All tokens that some fitting text has at `pos`, ascending.
    pub fn legal_tokens(&self, pos: Pos) -> Vec<Token> {
        let Some(support) = self.support(pos) else {
            return self.problem.decided.get(pos).copied().flatten().into_iter().collect();
        };
        let places = 0..support.classes.len();
        let mut tokens: Vec<Token> =
            places.flat_map(|place| support.members(self.problem.automaton, place)).copied().collect();
        tokens.sort_unstable();
        tokens
    }

    /// Undecided positions with exactly one legal token, with that token.
    pub fn forced(&self) -> Vec<(Pos, Token)> {
        (0..self.len()).filter_map(|pos| Some((pos, self.only(pos)?))).collect()
    }

    fn only(&self, pos: Pos) -> Option<Token> {
        let support = self.support(pos).filter(|support| support.tokens == 1)?;
        support.members(self.problem.automaton, 0).first().copied()
    }

    fn legal_class(&self, pos: Pos, class: Class) -> bool {
        self.support(pos).is_some_and(|support| support.place(class).is_some())
    }

    /// The support of an undecided position; `None` where a token is decided.
    fn support(&self, pos: Pos) -> Option<&Support> {
        self.layers.supports.get(pos)?.as_deref()
    }
}
