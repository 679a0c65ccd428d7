//! Membership: whether a text is one that could be generated, decided by following the networks over the text.

use super::network::{Label, NetId, Nets};
use crate::{
    Result,
    automata::{Dfa, Limits},
};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

/// Networks with the automata of their labels; an automaton is built when it is first needed.
pub(super) struct Acceptor {
    nets: Nets,
    dfas: Mutex<HashMap<u32, Arc<Dfa>>>,
    /// The arrows of each network, grouped by the node that they leave.
    leaving: Vec<HashMap<u32, Vec<(Label, u32)>>>,
}

impl Acceptor {
    pub fn new(nets: Nets) -> Self {
        let leaving = nets.nets.iter().map(|net| {
            let mut from: HashMap<u32, Vec<(Label, u32)>> = HashMap::new();
            net.arrows.iter().for_each(|&(a, label, b)| from.entry(a).or_default().push((label, b)));
            from
        });
        Self { leaving: leaving.collect(), nets, dfas: Mutex::default() }
    }

    /// # Errors
    /// Texts whose automata become too large.
    pub fn accepts(&self, text: &str) -> Result<bool> {
        let mut run = Run { acceptor: self, text: text.as_bytes(), known: HashMap::new() };
        Ok(run.ends(0, 0)?.contains(&text.len()))
    }

    fn dfa(&self, text: u32) -> Result<Arc<Dfa>> {
        let mut dfas = self.dfas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = dfas.get(&text) {
            return Ok(known.clone());
        }
        let dfa = Arc::new(Dfa::compile(&self.nets.texts[text as usize], &Limits::default())?);
        dfas.insert(text, dfa.clone());
        Ok(dfa)
    }
}

struct Run<'a> {
    acceptor: &'a Acceptor,
    text: &'a [u8],
    known: HashMap<(NetId, usize), Rc<Vec<usize>>>,
}

impl Run<'_> {
    /// Where texts of a network that begin at `from` end. Networks do not call themselves before they read something,
    /// and who asks sees to the stack for texts that nest deep.
    fn ends(&mut self, net: NetId, from: usize) -> Result<Rc<Vec<usize>>> {
        if let Some(known) = self.known.get(&(net, from)) {
            return Ok(known.clone());
        }
        let (mut open, mut seen) = (vec![(0u32, from)], HashSet::from([(0u32, from)]));
        let mut ends = Vec::new();
        while let Some((node, at)) = open.pop() {
            if self.acceptor.nets.nets[net].accepting[node as usize] {
                ends.push(at);
            }
            for &(label, to) in self.acceptor.leaving[net].get(&node).into_iter().flatten() {
                let reached = match label {
                    Label::Text(text) => {
                        let found = self.acceptor.dfa(text)?.prefixes(&self.text[at..]);
                        Rc::new(found.into_iter().map(|read| at + read).collect())
                    }
                    Label::Call(net) => self.ends(net, at)?,
                };
                open.extend(reached.iter().map(|&at| (to, at)).filter(|&place| seen.insert(place)));
            }
        }
        let ends = Rc::new(ends);
        self.known.insert((net, from), ends.clone());
        Ok(ends)
    }
}
