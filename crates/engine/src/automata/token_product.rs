//! Products of token automata: several constraints at once.
//!
//! A product of byte automata multiplies the states inside multi-byte characters and the work of lifting them. So
//! constraints whose product is large are lifted on their own, which is cheap, and the product is taken over tokens.

use super::automaton::State;
use super::lift::lift;
use super::reorder::reorder;
use super::token_automaton::{Class, Edge, Label, Rows, TokenAutomaton};
use super::{Dfa, Limits};
use crate::language::Language;
use crate::util::FastMap;
use crate::{Error, Result, Vocab};

/// Most edges of a product: 8 bytes each, and as much again while it is trimmed.
const MOST_EDGES: usize = 16 << 20;
/// Most states of a product.
const MOST_STATES: usize = 4 << 20;
/// Most steps: pairs of edges that are visited, and words of sets of classes that are intersected.
const MOST_WORK: usize = 1 << 29;
/// Steps that a pair of edges counts for where the pair of labels is looked up in a map.
const FAR: usize = 8;
/// Most words that sets of classes may take, given or found.
const MOST_WORDS: usize = 32 << 20;
/// Most pairs for which a table is faster than a map.
const FEW_PAIRS: usize = 4 << 20;

/// [`TokenAutomaton::lift_all`].
pub(super) fn lift_all(factors: &[Dfa], vocab: &Vocab, limits: &Limits) -> Result<TokenAutomaton> {
    let mut lifted = factors.iter().map(|dfa| lift(dfa, vocab, limits)).collect::<Result<Vec<_>>>()?;
    lifted.sort_by_key(TokenAutomaton::states);
    let mut lifted = lifted.into_iter();
    let Some(first) = lifted.next() else {
        return lift(&Dfa::compile(&Language::Any, limits)?, vocab, limits);
    };
    Ok(reorder(lifted.try_fold(first, |all, next| intersect(&all, &next, limits))?))
}

/// [`TokenAutomaton::intersect`].
pub(super) fn intersect(left: &TokenAutomaton, right: &TokenAutomaton, limits: &Limits) -> Result<TokenAutomaton> {
    assert_eq!(left.vocab_len(), right.vocab_len(), "automata of one vocabulary");
    if left.is_empty() || right.is_empty() {
        return Ok(TokenAutomaton::none(left.vocab_len()));
    }
    let joint = Joint::new(left, right);
    if (left.labels() + right.labels()).saturating_mul(joint.words()) > MOST_WORDS {
        return Err(too_large(left, right, "tell too many kinds of tokens apart"));
    }
    let mut labels = Labels::new(left, right, &joint);
    let mut pairs = Pairs::new(left.states(), right.states());
    let start = pairs.id(left.start(), right.start());
    debug_assert_eq!(start, 0);
    let mut edges: Vec<(State, Edge)> = Vec::new();
    let each = if labels.known.table.is_empty() { FAR } else { 1 };
    let (mut from, mut work) = (0, 0);
    while let Some(&(p, q)) = pairs.list.get(from) {
        work += each * left.edges(p).len() * right.edges(q).len();
        for a in left.edges(p) {
            for b in right.edges(q) {
                if let Some(label) = labels.both(a.label, b.label) {
                    edges.push((from as State, Edge { label, target: pairs.id(a.target, b.target) }));
                }
            }
        }
        from += 1;
        if from % 4096 == 0 {
            limits.check_time("the constraints together")?;
        }
        if edges.len() > MOST_EDGES || pairs.list.len() > MOST_STATES {
            return Err(too_large(left, right, &format!("have more than {MOST_EDGES} transitions")));
        }
        if work + labels.work > MOST_WORK || labels.list.len() * joint.words() > MOST_WORDS {
            return Err(too_large(left, right, "take too much work to combine"));
        }
    }
    let accept = pairs.list.iter().map(|&(p, q)| left.accepting(p) && right.accepting(q)).collect();
    let ended = left.ended().zip(right.ended()).map(|(p, q)| pairs.id(p, q)).filter(|&id| (id as usize) < from);
    Ok(trimmed(accept, ended, edges, &labels, &joint))
}

fn too_large(left: &TokenAutomaton, right: &TokenAutomaton, what: &str) -> Error {
    let (a, b) = (left.states(), right.states());
    Error::too_large(format!(
        "together the constraints, with {a} and {b} states over the tokens of this vocabulary, {what}"
    ))
    .help("ask for fewer words, or narrow the ranges of lengths and repetitions")
}

/// The joint classes: tokens that neither side tells apart.
struct Joint {
    class_of: Vec<Class>,
    /// For each joint class the classes of both sides whose intersection it is.
    parts: Vec<(Class, Class)>,
}

impl Joint {
    fn new(a: &TokenAutomaton, b: &TokenAutomaton) -> Self {
        let mut ids: FastMap<u64, Class> = FastMap::default();
        let mut parts = Vec::new();
        let pairs = a.class_of.iter().zip(&b.class_of).map(|(&p, &q)| match TokenAutomaton::NO_CLASS {
            none if p == none || q == none => none,
            _ => *ids.entry((p as u64) << 32 | q as u64).or_insert_with(|| {
                parts.push((p, q));
                parts.len() as Class - 1
            }),
        });
        Self { class_of: pairs.collect(), parts }
    }

    /// Number of words of a set of classes.
    fn words(&self) -> usize {
        self.parts.len().div_ceil(64)
    }
}

/// Labels of the product by pairs of labels, computed when first needed.
struct Labels {
    /// Sets of joint classes, as bits: one for each label of the first, and of the second automaton.
    sets: [Vec<Box<[u64]>>; 2],
    known: PairMap,
    ids: FastMap<Box<[u64]>, Label>,
    list: Vec<Box<[u64]>>,
    /// Number of words that were intersected so far.
    work: usize,
}

const UNKNOWN: u32 = u32::MAX;
const EMPTY: Label = Label::MAX - 1;

impl Labels {
    fn new(a: &TokenAutomaton, b: &TokenAutomaton, joint: &Joint) -> Self {
        let sets = |side: &TokenAutomaton, part: fn(&(Class, Class)) -> Class| {
            let by_class = Rows::new(side.classes(), joint.parts.iter().zip(0..).map(|(p, id)| (part(p), id)));
            let set = |label| {
                let mut bits = vec![0u64; joint.words()].into_boxed_slice();
                for &class in side.label(label) {
                    by_class.get(class).iter().for_each(|&id: &Class| bits[id as usize / 64] |= 1 << (id % 64));
                }
                bits
            };
            (0..side.labels() as Label).map(set).collect()
        };
        Self {
            sets: [sets(a, |p| p.0), sets(b, |p| p.1)],
            known: PairMap::new(a.labels(), b.labels()),
            ids: FastMap::default(),
            list: Vec::new(),
            work: 0,
        }
    }

    /// The label of the classes in both labels; `None` if there is none.
    fn both(&mut self, a: Label, b: Label) -> Option<Label> {
        let [left, right] = &self.sets;
        let known = self.known.of(a, b);
        if *known == UNKNOWN {
            self.work += left[a as usize].len();
            let both: Box<[u64]> = left[a as usize].iter().zip(&right[b as usize]).map(|(a, b)| a & b).collect();
            *known = match both.iter().all(|&word| word == 0) {
                true => EMPTY,
                false => *self.ids.entry(both).or_insert_with_key(|both| {
                    self.list.push(both.clone());
                    self.list.len() as Label - 1
                }),
            };
        }
        (*known != EMPTY).then_some(*known)
    }
}

/// The states of the product: pairs of states, numbered in order of appearance.
struct Pairs {
    list: Vec<(State, State)>,
    ids: PairMap,
}

impl Pairs {
    fn new(a: usize, b: usize) -> Self {
        Self { list: Vec::new(), ids: PairMap::new(a, b) }
    }
    fn id(&mut self, p: State, q: State) -> State {
        let id = self.ids.of(p, q);
        if *id == UNKNOWN {
            *id = self.list.len() as State;
            self.list.push((p, q));
        }
        *id
    }
}

/// A number for each pair of numbers, `UNKNOWN` at first: a table where it is small enough, a map where not.
struct PairMap {
    width: usize,
    table: Vec<u32>,
    map: FastMap<u64, u32>,
}

impl PairMap {
    fn new(a: usize, b: usize) -> Self {
        let table = if a.saturating_mul(b) <= FEW_PAIRS { vec![UNKNOWN; a * b] } else { Vec::new() };
        Self { width: b, table, map: FastMap::default() }
    }
    fn of(&mut self, p: u32, q: u32) -> &mut u32 {
        match self.table.is_empty() {
            false => &mut self.table[p as usize * self.width + q as usize],
            true => self.map.entry((p as u64) << 32 | q as u64).or_insert(UNKNOWN),
        }
    }
}

/// The product without states from which no text is completed, and with classes merged that no label tells apart any
/// more.
fn trimmed(
    accept: Vec<bool>,
    ended: Option<State>,
    mut edges: Vec<(State, Edge)>,
    labels: &Labels,
    joint: &Joint,
) -> TokenAutomaton {
    let states = accept.len();
    let mut useful = accept.clone();
    let before = Rows::new(states, edges.iter().map(|&(from, edge)| (edge.target, from)));
    let mut stack: Vec<State> = (0..states as State).filter(|&q| useful[q as usize]).collect();
    while let Some(state) = stack.pop() {
        for &from in before.get(state) {
            if !std::mem::replace(&mut useful[from as usize], true) {
                stack.push(from);
            }
        }
    }
    drop(before);
    if !useful[0] {
        return TokenAutomaton::none(joint.class_of.len());
    }
    // *Ended* is the last state.
    let ended = ended.filter(|&q| useful[q as usize]);
    let mut number = vec![UNKNOWN; states];
    let kept = (0..states as State).filter(|&q| useful[q as usize] && Some(q) != ended).chain(ended);
    let mut accepting = Vec::new();
    for (new, state) in (0..).zip(kept) {
        number[state as usize] = new;
        accepting.push(accept[state as usize]);
    }
    edges.retain(|(from, edge)| useful[*from as usize] && useful[edge.target as usize]);
    for (from, edge) in &mut edges {
        *from = number[*from as usize];
        edge.target = number[edge.target as usize];
    }

    // The labels that are still used, and for each class the labels that hold it.
    let mut name = vec![UNKNOWN; labels.list.len()];
    let mut used = Vec::new();
    for (_, edge) in &mut edges {
        let new = used.len() as Label;
        let name = &mut name[edge.label as usize];
        if *name == UNKNOWN {
            *name = new;
            used.push(&labels.list[edge.label as usize]);
        }
        edge.label = *name;
    }
    let holds = |class: usize| (0..).zip(&used).filter(move |(_, set)| set[class / 64] >> (class % 64) & 1 == 1);
    let mut ids: FastMap<Vec<Label>, Class> = FastMap::default();
    let mut sets: Vec<Vec<Class>> = vec![Vec::new(); used.len()];
    let merged: Vec<Class> = (0..joint.parts.len())
        .map(|class| {
            let holders: Vec<Label> = holds(class).map(|(label, _)| label).collect();
            if holders.is_empty() {
                return TokenAutomaton::NO_CLASS;
            }
            let new = ids.len() as Class;
            *ids.entry(holders).or_insert_with_key(|holders| {
                holders.iter().for_each(|&label| sets[label as usize].push(new));
                new
            })
        })
        .collect();
    let of = |&class: &Class| merged.get(class as usize).copied().unwrap_or(TokenAutomaton::NO_CLASS);
    let class_of = joint.class_of.iter().map(of).collect();
    TokenAutomaton::from_edges(accepting, ended.map(|q| number[q as usize]), &edges, &sets, class_of)
}
