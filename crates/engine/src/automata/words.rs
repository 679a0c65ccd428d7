//! Finite sets of texts, such as a choice of thousands: their minimal automaton is built incrementally, without
//! determinisation.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::minimize;
use super::symbols::Symbols;
use crate::Result;
use crate::util::FastMap;
use std::rc::Rc;

/// The transitions of a state, by ascending class: the class and the state after it.
type Ways = Vec<(u32, State)>;

/// A state below which words are still added; its last transition has no target yet.
#[derive(Default)]
struct Open {
    accept: bool,
    ways: Ways,
}

/// The finished states, each distinct one once.
#[derive(Default)]
struct Closed {
    states: Vec<Rc<(bool, Ways)>>,
    known: FastMap<Rc<(bool, Ways)>, State>,
}

impl Closed {
    fn close(&mut self, open: Open) -> State {
        let new = self.states.len() as State;
        let state = Rc::new((open.accept, open.ways));
        *self.known.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            new
        })
    }

    /// Closes the states at the end of the path until `len` are left.
    fn shorten(&mut self, path: &mut Vec<Open>, len: usize) {
        while path.len() > len {
            let Some(last) = path.pop() else { return };
            let state = self.close(last);
            if let Some((_, to)) = path.last_mut().and_then(|open| open.ways.last_mut()) {
                *to = state;
            }
        }
    }
}

/// The minimal automaton of some words: they are added in order, and each state is merged with an equal one once it is
/// finished (Daciuk et al., 2000). The states of the result are in breadth-first order.
pub(super) fn build<S: Symbols>(symbols: S, mut words: Vec<Vec<u32>>, limits: &Limits) -> Result<Automaton<S>> {
    words.sort_unstable();
    words.dedup();
    let width = symbols.width();
    let mut closed = Closed::default();
    let mut path = vec![Open::default()];
    let mut before: &[u32] = &[];
    for word in &words {
        let shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
        closed.shorten(&mut path, shared + 1);
        for &class in &word[shared..] {
            if let Some(last) = path.last_mut() {
                last.ways.push((class, DEAD));
            }
            path.push(Open::default());
        }
        if let Some(last) = path.last_mut() {
            last.accept = true;
        }
        before = word;
        limits.check(closed.states.len() + path.len(), width, "the list of texts")?;
    }
    if words.is_empty() {
        return Ok(Automaton::none(&symbols));
    }
    closed.shorten(&mut path, 0);

    let mut number = vec![DEAD; closed.states.len()];
    let mut order = vec![closed.states.len() - 1];
    number[order[0]] = 1;
    let mut next = vec![DEAD; (closed.states.len() + 1) * width];
    let mut accept = vec![false];
    let mut at = 0;
    while let Some(&state) = order.get(at) {
        at += 1;
        let (accepts, ways) = &*closed.states[state];
        accept.push(*accepts);
        let row = &mut next[at * width..][..width];
        for &(class, to) in ways {
            let to = to as usize;
            if number[to] == DEAD {
                order.push(to);
                number[to] = order.len() as State;
            }
            row[class as usize] = number[to];
        }
        if let Some(mark) = symbols.mark() {
            row[mark] = at as State;
        }
    }
    Ok(minimize::narrow(Automaton { symbols, next, accept, start: 1 }))
}
