//! Pushdown automata over the tokens of a vocabulary, and the finite part that a canvas can reach.

use super::chart::Chart;
use super::gss::Gss;
use super::rtn::Rtn;
use super::transitions::{Config, ENDED, Shortest, Transitions};
use crate::automata::{Dfa, Edge, Label, TokenAutomaton};
use crate::util::FastMap;
use crate::vocab::RootedTrie;
use crate::{Error, Result, Token, Vocab};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The budget of a canvas: the most states it keeps over all gaps between positions, in equal shares.
const KEPT: usize = 192 * 256;
/// The least weight of a state, relative to the heaviest of its gap: a weight of 0 means that the state is not reached.
const FAINTEST: f64 = 1e-200;
/// The most states that are kept from one canvas to the next; beyond that, exploration starts anew.
const REMEMBERED: usize = 400_000;
/// A context-free constraint over the tokens of a vocabulary, explored as canvases ask for it.
pub struct Pushdown {
    /// Number of states of the automata of its rules.
    states: usize,
    fresh: Box<dyn Fn() -> Result<Transitions> + Send + Sync>,
    transitions: Mutex<Transitions>,
    vocab: Arc<Vocab>,
    kept: usize,
}

/// The part of a constraint that a canvas can reach, as a finite automaton.
pub struct View {
    /// The states of all gaps, numbered from the start.
    pub automaton: TokenAutomaton,
    /// The states at each gap between positions.
    pub layers: Vec<Vec<u32>>,
    /// Whether the part holds every text that fits the canvas.
    pub exact: bool,
}

/// A canvas: decided tokens, bounds on the length, and a witness.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The token of every decided position.
    pub decided: &'a [Option<Token>],
    /// Fewest and most tokens of the text.
    pub tokens: (usize, usize),
    /// A text that fits, tail included, if one is known: it is always kept.
    pub witness: Option<&'a [Token]>,
}

impl Pushdown {
    /// The texts of a network that `beside` accepts too.
    pub(super) fn new(rtn: Rtn, beside: Dfa, vocab: &Vocab) -> Result<Self> {
        let states = rtn.states();
        let (trie, rtn, vocab) =
            (Arc::new(RootedTrie::new(vocab.trie().clone())), Arc::new(rtn), Arc::new(vocab.clone()));
        let sized = vocab.clone();
        let fresh =
            Box::new(move || Ok(Transitions::new(Gss::new(rtn.clone()), beside.clone(), trie.clone(), sized.len())));
        let transitions = Mutex::new(fresh()?);
        Ok(Self { states, fresh, transitions, vocab, kept: KEPT })
    }

    /// Keeps at most so many states over all gaps of a canvas, instead of some fifty thousand.
    pub fn with_budget(self, kept: usize) -> Self {
        Self { kept, ..self }
    }
    /// Number of states of the automata of its rules.
    pub fn states(&self) -> usize {
        self.states
    }

    fn transitions(&self) -> MutexGuard<'_, Transitions> {
        self.transitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it surely holds no text at all.
    pub fn is_empty(&self) -> bool {
        matches!(self.transitions().shortest(), Shortest::Nothing)
    }

    /// How many of the bytes some text begins with, as far as the grammar and the rest can tell, and whether all of
    /// them are a text.
    pub fn read(&self, text: &[u8]) -> (usize, bool) {
        self.transitions().read(text)
    }

    /// A text with the fewest bytes.
    pub fn shortest(&self) -> Option<String> {
        match self.transitions().shortest() {
            Shortest::Text(bytes) => String::from_utf8(bytes).ok(),
            Shortest::Nothing | Shortest::Unknown => None,
        }
    }

    /// Fewest tokens of any text; `None` if there is no text.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn fewest_tokens(&self) -> Result<Option<usize>> {
        const MOST: usize = 4096;
        let decided = vec![None; MOST];
        let question = Question { decided: &decided, tokens: (0, MOST), witness: None };
        Chart::fewest(&mut self.transitions(), &self.vocab, question)
    }

    /// A text that fits, tail included; `None` if there is none. Decided for every canvas, in polynomial time.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn witness(&self, question: Question) -> Result<Option<Vec<Token>>> {
        Chart::witness(&mut self.transitions(), &self.vocab, question)
    }

    /// The part that a canvas can reach; `None` if no text fits.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn view(&self, question: Question) -> Result<Option<View>> {
        let mut transitions = self.transitions();
        if transitions.len() > REMEMBERED {
            *transitions = (self.fresh)()?;
        }
        let mut explorer = Explorer { transitions: &mut transitions, vocab: &self.vocab, question, kept: self.kept };
        let (layers, exact) = explorer.layers(question.witness)?;
        if let Some(layers) = explorer.alive(layers)? {
            return explorer.view(layers, exact).map(Some);
        }
        if exact {
            return Ok(None);
        }
        let Some(witness) = Chart::witness(explorer.transitions, &self.vocab, question)? else { return Ok(None) };
        let (layers, exact) = explorer.layers(Some(&witness))?;
        match explorer.alive(layers)? {
            Some(layers) => explorer.view(layers, exact).map(Some),
            None => Err(Error::model("a text that fits was lost")),
        }
    }
}

struct Explorer<'a> {
    transitions: &'a mut Transitions,
    vocab: &'a Vocab,
    question: Question<'a>,
    kept: usize,
}

impl Explorer<'_> {
    /// The states that can be reached at each gap, within the budget, together with those of the witness; and whether
    /// none was left out.
    fn layers(&mut self, witness: Option<&[Token]>) -> Result<(Vec<Vec<Config>>, bool)> {
        let Some(start) = self.transitions.start() else { return Ok((vec![Vec::new(); self.len() + 1], true)) };
        let path = witness.map(|witness| self.path(start, witness));
        let mut layers = vec![vec![start]];
        // By state, the weight of this gap and of the next: the number of ways to reach the state, relative to the
        // heaviest.
        let (mut here, mut next) = (vec![0.0; self.transitions.len()], vec![0.0; self.transitions.len()]);
        here[start as usize] = 1.0;
        let mut exact = true;
        let room = (self.kept / self.len().max(1)).max(1);
        for pos in 0..self.len() {
            let mut layer: Vec<Config> = Vec::new();
            for &from in &layers[pos] {
                let weight = here[from as usize];
                self.successors(pos, from, |to, tokens| {
                    if next.len() <= to as usize {
                        next.resize(to as usize + 1, 0.0);
                    }
                    let sum: &mut f64 = &mut next[to as usize];
                    if *sum == 0.0 {
                        layer.push(to);
                    }
                    *sum += weight * tokens as f64;
                    false
                })?;
            }
            layers[pos].iter().for_each(|&from| here[from as usize] = 0.0);
            next.resize(self.transitions.len(), 0.0);
            here.resize(self.transitions.len(), 0.0);
            if layer.len() > room {
                exact = false;
                let left = self.len() - pos - 1;
                // The order of positive floats is that of their bits.
                let rank = |&config: &Config| {
                    let fits = config == ENDED || self.transitions.bytes_to_end(config) <= left;
                    Reverse((fits, next[config as usize].to_bits(), Reverse(config)))
                };
                let mut ranked: Vec<_> = layer.iter().map(rank).collect();
                ranked.select_nth_unstable(room);
                layer.clear();
                for (place, Reverse((_, _, Reverse(config)))) in ranked.into_iter().enumerate() {
                    if place < room {
                        layer.push(config);
                    } else {
                        next[config as usize] = 0.0;
                    }
                }
                layer.extend(path.as_ref().and_then(|path| path.get(pos + 1)));
            }
            layer.sort_unstable();
            layer.dedup();
            let largest = layer.iter().map(|&config| next[config as usize]).fold(0.0, f64::max);
            layer.iter().for_each(|&config| next[config as usize] = (next[config as usize] / largest).max(FAINTEST));
            std::mem::swap(&mut here, &mut next);
            layers.push(layer);
        }
        Ok((layers, exact))
    }

    fn len(&self) -> usize {
        self.question.decided.len()
    }

    /// The states of a text at each gap, as far as it fits.
    fn path(&mut self, start: Config, witness: &[Token]) -> Vec<Config> {
        let mut path = vec![start];
        for (pos, &token) in witness.iter().enumerate() {
            let Some(&from) = path.last() else { break };
            match self.after(pos, from, token) {
                Some(to) => path.push(to),
                None => break,
            }
        }
        path
    }

    /// The state after a token at a position.
    fn after(&mut self, pos: usize, from: Config, token: Token) -> Option<Config> {
        let (min, max) = self.question.tokens;
        if self.vocab.is_tail(token) {
            let ends = from == ENDED
                || Some(token) == self.vocab.eos() && pos >= min && pos <= max && self.transitions.complete(from);
            return ends.then_some(ENDED);
        }
        if from == ENDED || pos >= max {
            return None;
        }
        let bytes = self.vocab.bytes(token)?;
        self.transitions.step(from, bytes)
    }

    /// Calls `visit` with each state after `from`, and the number of tokens that lead there, until `visit` returns
    /// true; returns whether it did.
    fn successors(&mut self, pos: usize, from: Config, mut visit: impl FnMut(Config, usize) -> bool) -> Result<bool> {
        let (min, max) = self.question.tokens;
        if let Some(token) = self.question.decided[pos] {
            return Ok(self.after(pos, from, token).is_some_and(|to| visit(to, 1)));
        }
        let ends = from == ENDED || pos >= min && pos <= max && self.transitions.complete(from);
        if ends && self.vocab.eos().is_some() && visit(ENDED, 1) {
            return Ok(true);
        }
        if from == ENDED || pos >= max {
            return Ok(false);
        }
        let edges = self.transitions.edges(from)?;
        Ok(edges.iter().any(|edge| visit(edge.target, self.transitions.partition.size(edge.label))))
    }

    /// Drops states from which no text can be completed; `None` if nothing is left.
    fn alive(&mut self, mut layers: Vec<Vec<Config>>) -> Result<Option<Vec<Vec<Config>>>> {
        let last = self.len();
        let (min, max) = self.question.tokens;
        let fits = (min..=max).contains(&last);
        let transitions = &mut *self.transitions;
        layers[last].retain(|&config| config == ENDED || fits && transitions.complete(config));
        // The position after which a state was last found alive.
        let mut alive = vec![usize::MAX; self.transitions.len()];
        for pos in (0..last).rev() {
            layers[pos + 1].iter().for_each(|&to| alive[to as usize] = pos);
            let mut kept = Vec::with_capacity(layers[pos].len());
            for &from in &layers[pos] {
                if self.successors(pos, from, |to, _| alive.get(to as usize) == Some(&pos))? {
                    kept.push(from);
                }
            }
            layers[pos] = kept;
        }
        Ok((!layers[0].is_empty()).then_some(layers))
    }

    /// The finite automaton of the states of all layers.
    fn view(&mut self, layers: Vec<Vec<Config>>, exact: bool) -> Result<View> {
        let mut local: FastMap<Config, u32> = FastMap::default();
        let mut configs = Vec::new();
        for &config in layers.iter().flatten().filter(|&&config| config != ENDED) {
            local.entry(config).or_insert_with(|| {
                configs.push(config);
                configs.len() as u32 - 1
            });
        }
        let ended = self.vocab.eos().map(|_| configs.len() as u32);
        local.extend(ended.map(|ended| (ENDED, ended)));

        let mut lists = Vec::new();
        for &config in &configs {
            lists.push(self.transitions.edges(config)?);
        }
        // From here on no class is split any more, so that the classes of labels are final.
        let mut parts = Parts::new(&mut *self.transitions, self.vocab);
        let mut edges: Vec<(u32, Edge)> = Vec::new();
        let mut accept = Vec::new();
        for ((from, &config), list) in (0..).zip(&configs).zip(&lists) {
            let kept = list.iter().filter_map(|edge| Some((edge.label, *local.get(&edge.target)?)));
            let mut row: Vec<(u32, Label)> = kept.map(|(label, target)| (target, parts.label(label))).collect();
            row.sort_unstable();
            edges.extend(row.iter().map(|&(target, label)| (from, Edge { label, target })));
            accept.push(parts.transitions.complete(config));
            if let (true, Some(ended)) = (accept[from as usize], ended) {
                edges.push((from, Edge { label: Parts::END, target: ended }));
            }
        }
        if let Some(ended) = ended {
            edges.push((ended, Edge { label: Parts::TAIL, target: ended }));
            accept.push(true);
        }
        let layers = layers.iter().map(|layer| layer.iter().map(|config| local[config]).collect()).collect();
        let automaton =
            TokenAutomaton::from_parts(accept, ended, edges, parts.labels, &parts.members, self.vocab.len());
        Ok(View { automaton, layers, exact })
    }
}

/// The labels and classes that the part uses, renumbered.
struct Parts<'a> {
    transitions: &'a mut Transitions,
    label_of: FastMap<Label, Label>,
    class_of: FastMap<u32, u32>,
    labels: Vec<Vec<u32>>,
    members: Vec<Vec<Token>>,
}

impl<'a> Parts<'a> {
    /// The label of end-of-text.
    const END: Label = 0;
    /// The label of the tail: end-of-text and padding.
    const TAIL: Label = 1;

    fn new(transitions: &'a mut Transitions, vocab: &Vocab) -> Self {
        let pad = vocab.pad().filter(|&pad| Some(pad) != vocab.eos());
        let members: Vec<Vec<Token>> = [vocab.eos(), pad].into_iter().flatten().map(|token| vec![token]).collect();
        let labels = match vocab.eos() {
            Some(_) => vec![vec![0], (0..members.len() as u32).collect()],
            None => Vec::new(),
        };
        let members = if vocab.eos().is_some() { members } else { Vec::new() };
        Self { transitions, label_of: FastMap::default(), class_of: FastMap::default(), labels, members }
    }

    fn label(&mut self, label: Label) -> Label {
        if let Some(&known) = self.label_of.get(&label) {
            return known;
        }
        let partition = &self.transitions.partition;
        let mut classes: Vec<u32> = Vec::new();
        for &class in partition.label(label) {
            let members = &mut self.members;
            classes.push(*self.class_of.entry(class).or_insert_with(|| {
                let mut tokens = partition.members()[class as usize].clone();
                tokens.sort_unstable();
                members.push(tokens);
                members.len() as u32 - 1
            }));
        }
        classes.sort_unstable();
        self.labels.push(classes);
        let new = self.labels.len() as Label - 1;
        self.label_of.insert(label, new);
        new
    }
}
