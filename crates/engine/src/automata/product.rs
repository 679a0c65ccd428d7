//! The product of two automata, which read the same text side by side.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::symbols::Symbols;
use crate::Result;
use crate::util::FastMap;

/// The reachable part of the product; pairs that are not `alive` can accept nothing more.
pub(super) fn product<S: Symbols>(
    a: &Automaton<S>,
    b: &Automaton<S>,
    alive: impl Fn(State, State) -> bool,
    accept: impl Fn(bool, bool) -> bool,
    limits: &Limits,
) -> Result<Automaton<S>> {
    let (symbols, maps) = S::join([&a.symbols, &b.symbols].into_iter());
    let width = symbols.width();
    let mut pairs = vec![(DEAD, DEAD)];
    let mut ids = FastMap::default();
    let mut id = |pairs: &mut Vec<(State, State)>, p: State, q: State| {
        if !alive(p, q) {
            return DEAD;
        }
        *ids.entry((p as u64) << 32 | q as u64).or_insert_with(|| {
            pairs.push((p, q));
            pairs.len() as State - 1
        })
    };
    let start = id(&mut pairs, a.start, b.start);
    let mut next = vec![DEAD; width];
    let mut at = 1;
    while at < pairs.len() {
        limits.check(pairs.len(), width, "combining the constraints")?;
        let (p, q) = pairs[at];
        let (row_a, row_b) = (a.row(p), b.row(q));
        for (&class_a, &class_b) in maps[0].iter().zip(&maps[1]) {
            let to = id(&mut pairs, row_a[class_a as usize], row_b[class_b as usize]);
            next.push(to);
        }
        at += 1;
    }
    let mut accepting: Vec<bool> =
        pairs.iter().map(|&(p, q)| accept(a.accept[p as usize], b.accept[q as usize])).collect();
    accepting[DEAD as usize] = false;
    Ok(Automaton { symbols, next, accept: accepting, start }.minimized())
}
