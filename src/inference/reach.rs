//! Feasibility, decided on booleans: which states can lie on a complete text.

use super::graph::Graph;
use crate::automata::{Class, Label, TokenAutomaton};
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
}

impl<G> Clone for Problem<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G> Copy for Problem<'_, G> {}

impl<'a, G> Problem<'a, G> {
    /// A text of any length that fits.
    pub fn new(automaton: &'a G, decided: &'a [Option<Token>]) -> Self {
        Self { automaton, decided, tokens: (0, usize::MAX) }
    }
    /// Bounds on the number of tokens of the text, the tail not counted.
    pub fn with_tokens(self, min: usize, max: usize) -> Self {
        Self { tokens: (min, max), ..self }
    }
}

/// What may stand at a position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice<'a> {
    /// A decided token, by its class.
    One(Class),
    Any,
    /// Classes of these labels (true) only.
    Among(&'a [bool]),
}

/// For every gap between positions, the states that lie on a complete text, ascending.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    first: Vec<usize>,
    states: Vec<u32>,
}

impl Layers {
    /// The states at gap `gap`: before position `gap`, after position `gap - 1`.
    pub(super) fn layer(&self, gap: usize) -> &[u32] {
        &self.states[self.range(gap)]
    }
    /// Where the states of a gap lie among those of all gaps.
    pub(super) fn range(&self, gap: usize) -> std::ops::Range<usize> {
        self.first[gap]..self.first[gap + 1]
    }
    /// Number of states over all gaps.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// `None` if no text fits.
    pub(super) fn new(automaton: &TokenAutomaton, choices: &[Choice], tokens: (usize, usize)) -> Option<Self> {
        if automaton.is_empty() {
            return None;
        }
        let (min, max) = tokens;
        let ended = automaton.ended();
        let mut seen = vec![usize::MAX; automaton.states()];
        let mut layers = vec![vec![automaton.start()]];
        for (pos, &choice) in choices.iter().enumerate() {
            let mut next = Vec::new();
            for &from in &layers[pos] {
                each_successor(automaton, choice, from, |to| {
                    let fits = if Some(to) == ended { Some(from) == ended || pos >= min } else { pos < max };
                    if fits && seen[to as usize] != pos {
                        seen[to as usize] = pos;
                        next.push(to);
                    }
                    false
                });
            }
            layers.push(ascending(next, |q| seen[q as usize] == pos, automaton.states()));
        }
        let last = choices.len();
        layers[last].retain(|&q| automaton.accepting(q) && (Some(q) == ended || last >= min));

        Self::alive(automaton, choices, layers)
    }

    /// What is left of the layers where only `choices` may stand; `None` if nothing is.
    pub(super) fn restricted<G: Graph>(&self, graph: &G, choices: &[Choice]) -> Option<Self> {
        let mut reached = vec![usize::MAX; graph.states()];
        let mut layers = vec![self.layer(0).to_vec()];
        for (pos, &choice) in choices.iter().enumerate() {
            for &from in &layers[pos] {
                each_successor(graph, choice, from, |to| {
                    reached[to as usize] = pos;
                    false
                });
            }
            layers.push(self.layer(pos + 1).iter().copied().filter(|&q| reached[q as usize] == pos).collect());
        }
        Self::alive(graph, choices, layers)
    }

    /// Of layers that have been reached, the states from which the last can be.
    fn alive<G: Graph>(graph: &G, choices: &[Choice], mut layers: Vec<Vec<u32>>) -> Option<Self> {
        let mut alive = vec![usize::MAX; graph.states()];
        for gap in (0..layers.len()).rev() {
            if let Some(&choice) = choices.get(gap) {
                layers[gap].retain(|&q| each_successor(graph, choice, q, |to| alive[to as usize] == gap + 1));
            }
            if layers[gap].is_empty() {
                return None;
            }
            layers[gap].iter().for_each(|&q| alive[q as usize] = gap);
        }
        Some(Self::assemble(&layers))
    }

    fn assemble(layers: &[Vec<u32>]) -> Self {
        let mut first = vec![0];
        first.extend(layers.iter().scan(0, |total, layer| {
            *total += layer.len();
            Some(*total)
        }));
        Self { first, states: layers.concat() }
    }
}

/// Calls `visit` with each state after `from`, until it returns true; whether it did.
fn each_successor<G: Graph>(graph: &G, choice: Choice, from: u32, mut visit: impl FnMut(u32) -> bool) -> bool {
    match choice {
        Choice::One(class) => graph.next(from, class).is_some_and(visit),
        Choice::Any => graph.edges(from).iter().any(|edge| visit(edge.target)),
        Choice::Among(labels) => graph.edges(from).iter().any(|edge| labels[edge.label as usize] && visit(edge.target)),
    }
}

/// Sorts distinct states; when they are many, by looking through all.
fn ascending(mut found: Vec<u32>, is_found: impl Fn(u32) -> bool, states: usize) -> Vec<u32> {
    if found.len() < states / 16 {
        found.sort_unstable();
        return found;
    }
    (0..states as u32).filter(|&q| is_found(q)).collect()
}

/// The texts that fit a canvas: proof that there is one, and what each position may hold.
#[derive(Debug)]
pub struct Reach<'a, G = TokenAutomaton> {
    pub(super) problem: Problem<'a, G>,
    pub(super) layers: Arc<Layers>,
}

impl<G> Clone for Reach<'_, G> {
    fn clone(&self) -> Self {
        Self { problem: self.problem, layers: self.layers.clone() }
    }
}

/// The boolean forward–backward pass; `None` if no text fits the canvas.
pub fn reach<'a>(problem: &Problem<'a>) -> Option<Reach<'a>> {
    let choices = choices(problem)?;
    let layers = Layers::new(problem.automaton, &choices, problem.tokens)?;
    Some(Reach { problem: *problem, layers: Arc::new(layers) })
}

/// `None` if a decided token is legal nowhere.
pub(super) fn choices<'a, G: Graph>(problem: &Problem<G>) -> Option<Vec<Choice<'a>>> {
    let choice = |decided: &Option<Token>| match decided {
        Some(token) => problem.automaton.class_of(*token).map(Choice::One),
        None => Some(Choice::Any),
    };
    problem.decided.iter().map(choice).collect()
}

impl<'a, G: Graph> Reach<'a, G> {
    /// The texts whose states are all in `layers`: for each of the gaps around the positions (one more than there are)
    /// the states a text may have there. The first layer is the start alone; the last one holds states in which a text
    /// may end. `Problem::tokens` is not looked at: layers say which lengths there are. States that lie on no complete
    /// text are dropped. `None` if no text is left.
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
        let given = Layers::assemble(&layers);
        let kept = choices(problem).and_then(|choices| given.restricted(graph, &choices));
        Ok(kept.map(|layers| Self { problem: *problem, layers: Arc::new(layers) }))
    }

    /// The problem this answers.
    pub fn problem(&self) -> &Problem<'a, G> {
        &self.problem
    }
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.problem.decided.len()
    }
    pub fn is_empty(&self) -> bool {
        self.problem.decided.is_empty()
    }

    /// Whether this is a text that fits: one token per position, tail included.
    pub fn contains(&self, text: &[Token]) -> bool {
        let automaton = self.problem.automaton;
        let mut state = Some(automaton.start());
        for (pos, &token) in text.iter().enumerate() {
            let decided = self.problem.decided.get(pos);
            let agrees = decided.is_some_and(|d| d.is_none_or(|d| d == token));
            let next = state.filter(|_| agrees).and_then(|q| automaton.next(q, automaton.class_of(token)?));
            state = next.filter(|q| self.layers.layer(pos + 1).binary_search(q).is_ok());
        }
        text.len() == self.len() && state.is_some()
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
        if let Some(token) = self.problem.decided[pos] {
            return vec![token];
        }
        let mut labels = vec![false; self.problem.automaton.labels()];
        self.labels(pos).for_each(|label| labels[label as usize] = true);
        let mut legal = vec![false; self.problem.automaton.classes()];
        for label in (0..labels.len()).filter(|&l| labels[l]) {
            self.problem.automaton.label(label as Label).iter().for_each(|&class| legal[class as usize] = true);
        }
        let classes = (0..legal.len()).filter(|&c| legal[c]);
        let mut tokens: Vec<Token> =
            classes.flat_map(|c| self.problem.automaton.members(c as Class)).copied().collect();
        tokens.sort_unstable();
        tokens
    }

    /// Undecided positions with exactly one legal token, with that token.
    pub fn forced(&self) -> Vec<(Pos, Token)> {
        let open = (0..self.len()).filter(|&pos| self.problem.decided[pos].is_none());
        open.filter_map(|pos| Some((pos, self.only(pos)?))).collect()
    }

    fn only(&self, pos: Pos) -> Option<Token> {
        let mut labels = self.labels(pos);
        let label = labels.next()?;
        let &[class] = self.problem.automaton.label(label) else { return None };
        let &[token] = self.problem.automaton.members(class) else { return None };
        labels.all(|l| l == label).then_some(token)
    }

    fn legal_class(&self, pos: Pos, class: Class) -> bool {
        let next = self.layers.layer(pos + 1);
        let automaton = self.problem.automaton;
        let mut targets = self.layers.layer(pos).iter().filter_map(|&q| automaton.next(q, class));
        targets.any(|to| next.binary_search(&to).is_ok())
    }

    /// Labels of the edges that fitting texts use at an undecided position, with repetitions.
    fn labels(&self, pos: Pos) -> impl Iterator<Item = Label> + '_ {
        let next = self.layers.layer(pos + 1);
        let edges = self.layers.layer(pos).iter().flat_map(|&q| self.problem.automaton.edges(q));
        edges.filter(|e| next.binary_search(&e.target).is_ok()).map(|e| e.label)
    }
}
