//! The subset construction and minimisation for rules, whose automata read calls beside bytes.

use super::nfa::{Edges, Nfa, Symbol};
use super::rtn::Automaton;
use crate::Result;
use crate::automata::{Limits, Subsets};
use std::collections::{HashMap, HashSet};

/// The work of sorting an edge, in steps.
const SORTING: usize = 4;

/// The minimal deterministic automaton of a rule's body.
pub(super) fn determinize(nfa: &Nfa, limits: &Limits) -> Result<Automaton> {
    let mut subsets = Subsets::default();
    // The round in which each state was last seen.
    let mut seen = vec![0u32; nfa.edges.len()];
    let mut round = 0;
    let mut closed = |mut set: Vec<u32>| {
        round += 1;
        set.retain(|&state| std::mem::replace(&mut seen[state as usize], round) != round);
        let mut at = 0;
        while let Some(&state) = set.get(at) {
            for &(symbol, to) in &nfa.edges[state as usize] {
                if symbol == Symbol::Nothing && std::mem::replace(&mut seen[to as usize], round) != round {
                    set.push(to);
                }
            }
            at += 1;
        }
        set.sort_unstable();
        set
    };
    let mut rows: Vec<Edges> = Vec::new();
    subsets.number(&closed(vec![nfa.start]));
    let (mut at, mut work) = (0, 0);
    while let Some(set) = subsets.get(at) {
        let edges = set.iter().flat_map(|&state| &nfa.edges[state as usize]);
        let mut edges: Edges = edges.filter(|(symbol, _)| *symbol != Symbol::Nothing).copied().collect();
        edges.sort_unstable();
        work += SORTING * edges.len();
        let mut row = Vec::new();
        for targets in edges.chunk_by(|a, b| a.0 == b.0) {
            let symbol = targets[0].0;
            let set = closed(targets.iter().map(|&(_, to)| to).collect());
            work += set.len();
            row.push((symbol, subsets.number(&set).0));
        }
        rows.push(row);
        limits.check(subsets.len(), 64, "a rule of the grammar")?;
        limits.check_work(work, "a rule of the grammar")?;
        at += 1;
    }
    let accept: Vec<bool> = subsets.iter().map(|set| set.binary_search(&nfa.accept).is_ok()).collect();
    Ok(minimize(trimmed(Automaton { rows, accept })))
}

/// The automaton without edges to states from which no accepting state is reached.
fn trimmed(mut automaton: Automaton) -> Automaton {
    let before = sources(&automaton);
    let mut useful = vec![false; automaton.rows.len()];
    let accepting = (0..).zip(&automaton.accept).filter(|(_, accepts)| **accepts).map(|(state, _)| state);
    let mut open: Vec<u32> = accepting.collect();
    while let Some(state) = open.pop() {
        if !std::mem::replace(&mut useful[state as usize], true) {
            open.extend(&before[state as usize]);
        }
    }
    automaton.rows.iter_mut().for_each(|row| row.retain(|&(_, to)| useful[to as usize]));
    automaton
}

/// The sources of the edges into each state.
fn sources(automaton: &Automaton) -> Vec<Vec<u32>> {
    let mut sources = vec![Vec::new(); automaton.rows.len()];
    for (state, row) in (0..).zip(&automaton.rows) {
        row.iter().for_each(|&(_, to)| sources[to as usize].push(state));
    }
    sources
}

/// Merges equal states by partition refinement. Only states with an edge to a state that changed its block are visited
/// again, and the largest part of a split block keeps its name (Hopcroft 1971), so that a state seldom changes its
/// block.
fn minimize(automaton: Automaton) -> Automaton {
    let before = sources(&automaton);
    let states = automaton.rows.len();
    let mut block: Vec<u32> = automaton.accept.iter().map(|&accepts| accepts.into()).collect();
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); 2];
    let mut place = vec![0; states];
    for state in 0..states {
        let members = &mut members[block[state] as usize];
        place[state] = members.len();
        members.push(state as u32);
    }
    // States of a block that are not waiting have equal edges.
    let mut waiting = vec![true; states];
    let mut queue: Vec<u32> = (0..states as u32).collect();
    while !queue.is_empty() {
        queue.sort_unstable_by_key(|&state| block[state as usize]);
        let round = std::mem::take(&mut queue);
        round.iter().for_each(|&state| waiting[state as usize] = false);
        let mut moved = Vec::new();
        for changed in round.chunk_by(|&a, &b| block[a as usize] == block[b as usize]) {
            let edges = |state: u32| -> Edges {
                automaton.rows[state as usize].iter().map(|&(symbol, to)| (symbol, block[to as usize])).collect()
            };
            let old = block[changed[0] as usize];
            let looked_at: HashSet<u32> = changed.iter().copied().collect();
            let unchanged = members[old as usize].iter().find(|state| !looked_at.contains(state));
            let mut parts: indexmap::IndexMap<Edges, Vec<u32>> = indexmap::IndexMap::new();
            let rest = members[old as usize].len() - changed.len();
            if let Some(&state) = unchanged {
                parts.insert(edges(state), Vec::new());
            }
            for &state in changed {
                parts.entry(edges(state)).or_default().push(state);
            }
            let size = |i: usize, part: &Vec<u32>| part.len() + if i == 0 { rest } else { 0 };
            let largest = (0..parts.len()).max_by_key(|&i| size(i, &parts[i])).unwrap_or(0);
            moved.extend(parts.into_values().enumerate().filter(|(i, _)| *i != largest).map(|(i, mut part)| {
                if i == 0 && rest > 0 {
                    let stay = members[old as usize].iter().filter(|state| !looked_at.contains(state));
                    part.extend(stay);
                }
                (old, part)
            }));
        }
        for (old, part) in moved {
            let new = members.len() as u32;
            for (at, &state) in part.iter().enumerate() {
                let left = &mut members[old as usize];
                left.swap_remove(place[state as usize]);
                if let Some(&other) = left.get(place[state as usize]) {
                    place[other as usize] = place[state as usize];
                }
                (place[state as usize], block[state as usize]) = (at, new);
            }
            for &state in part.iter().flat_map(|&state| &before[state as usize]) {
                if !std::mem::replace(&mut waiting[state as usize], true) {
                    queue.push(state);
                }
            }
            members.push(part);
        }
    }
    merged(&automaton, &block)
}

/// The automaton with one state for each block, numbered in order of appearance; the start stays state 0.
fn merged(automaton: &Automaton, block: &[u32]) -> Automaton {
    let mut names: HashMap<u32, u32> = HashMap::new();
    let mut merged = Automaton { rows: Vec::new(), accept: Vec::new() };
    let mut firsts = Vec::new();
    for (state, block) in block.iter().enumerate() {
        let new = names.len() as u32;
        if *names.entry(*block).or_insert(new) == new {
            firsts.push(state);
        }
    }
    for state in firsts {
        merged.accept.push(automaton.accept[state]);
        merged.rows.push(automaton.rows[state].iter().map(|&(s, to)| (s, names[&block[to as usize]])).collect());
    }
    merged
}
