//! FIRST and FOLLOW sets of the states of a grammar's automata, and the fewest bytes that each state still needs. They
//! hold whatever the stack is.

use super::rtn::{Rtn, State};

/// A set of classes of bytes.
pub(super) type ClassSet = [u64; 4];

pub(super) fn has(set: &ClassSet, class: usize) -> bool {
    set[class / 64] >> (class % 64) & 1 == 1
}

pub(super) fn add(set: &mut ClassSet, other: &ClassSet) {
    set.iter_mut().zip(other).for_each(|(a, b)| *a |= b);
}

/// FIRST sets: the classes of bytes that can be read next in each state, in its own automaton or in those it calls;
/// after a return is not counted.
pub(super) fn first_sets(rtn: &Rtn) -> Vec<ClassSet> {
    let states = rtn.states() + 1;
    let mut first = vec![ClassSet::default(); states];
    for (state, set) in (0..).zip(&mut first) {
        for class in (0..rtn.width).filter(|&class| rtn.next(state, class) != 0) {
            set[class / 64] |= 1 << (class % 64);
        }
    }
    loop {
        let mut changed = false;
        for state in 1..states as State {
            for &(called, _) in rtn.calls(state) {
                let (mut set, called) = (first[state as usize], first[called as usize]);
                add(&mut set, &called);
                changed |= set != first[state as usize];
                first[state as usize] = set;
            }
        }
        if !changed {
            return first;
        }
    }
}

/// Fewest bytes from each state to the end of its automaton.
pub(super) fn bytes_left(rtn: &Rtn) -> Vec<usize> {
    let states = rtn.states() + 1;
    let mut left = vec![usize::MAX; states];
    loop {
        let mut changed = false;
        for state in 1..states as State {
            let read = (0..rtn.width).map(|class| rtn.next(state, class)).filter(|&next| next != 0);
            let read = read.map(|next| left[next as usize].saturating_add(1));
            let called = rtn.calls(state).iter();
            let called = called.map(|&(called, back)| left[called as usize].saturating_add(left[back as usize]));
            let accepted = if rtn.accepting(state) { 0 } else { usize::MAX };
            let least = read.chain(called).fold(accepted, usize::min);
            changed |= least < left[state as usize];
            left[state as usize] = left[state as usize].min(least);
        }
        if !changed {
            return left;
        }
    }
}

/// FOLLOW sets: for each state the classes of bytes that can be read after its automaton has ended.
pub(super) fn follow_sets(rtn: &Rtn, first: &[ClassSet]) -> Vec<ClassSet> {
    let mut after = vec![ClassSet::default(); rtn.automata()];
    loop {
        let before = after.clone();
        for state in 1..=rtn.states() as State {
            for &(called, back) in rtn.calls(state) {
                let beyond = after[rtn.automaton(state)];
                let set = &mut after[rtn.automaton(called)];
                add(set, &first[back as usize]);
                if rtn.accepting(back) {
                    add(set, &beyond);
                }
            }
        }
        if after == before {
            return (0..=rtn.states() as State).map(|state| after[rtn.automaton(state)]).collect();
        }
    }
}
