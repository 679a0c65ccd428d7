//! What the engine should say, slowly: sums in double precision over the states of the `regex` crate's own automata,
//! token by token and byte by byte. All that it shares with the engine is what each token writes.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, start},
};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use stencil_lm::{Token, Vocab};

/// Most expressions that hold together.
const MOST: usize = 5;

/// A number beyond the range of floats: m · 2^e with 1 ≤ m < 2, or 0.
#[derive(Debug, Clone, Copy)]
pub struct Wide(f64, i64);

impl Wide {
    const ZERO: Self = Self(0.0, 0);
    const ONE: Self = Self(1.0, 0);

    /// e^x
    pub fn exp(x: f64) -> Self {
        let e = (x / std::f64::consts::LN_2).floor();
        Self((x - e * std::f64::consts::LN_2).exp(), e as i64).normal()
    }
    pub fn ln(self) -> f64 {
        self.0.ln() + self.1 as f64 * std::f64::consts::LN_2
    }
    fn normal(self) -> Self {
        match self.0 {
            m if m >= 2.0 => Self(m / 2.0, self.1 + 1),
            m if m < 1.0 && m > 0.0 => Self(m * 2.0, self.1 - 1),
            _ => self,
        }
    }
    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 + other.1).normal()
    }
    fn plus(self, other: Self) -> Self {
        let (high, low) =
            if other.0 == 0.0 || self.0 > 0.0 && self.1 >= other.1 { (self, other) } else { (other, self) };
        match high.1 - low.1 {
            _ if low.0 == 0.0 => high,
            0..60 => Self(high.0 + low.0 / (1u64 << (high.1 - low.1)) as f64, high.1).normal(),
            _ => high,
        }
    }
}

/// The state of every automaton; none where the text has ended.
type Place = Option<[StateID; MOST]>;

/// Places are hashed millions of times.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte as u32));
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0.rotate_left(5) ^ n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn write_usize(&mut self, n: usize) {
        self.write_u32(n as u32);
    }
}

/// Places between two positions, with the sum and the largest product of the ways that lead there.
#[derive(Default)]
struct Layer {
    ids: HashMap<Place, usize, BuildHasherDefault<Quick>>,
    found: Vec<(Place, Wide, f64)>,
}

impl Layer {
    fn add(&mut self, place: Place, weight: Wide, best: f64) {
        let new = self.found.len();
        let id = *self.ids.entry(place).or_insert(new);
        match self.found.get_mut(id) {
            Some((_, sum, largest)) => (*sum, *largest) = (sum.plus(weight), largest.max(best)),
            None => self.found.push((place, weight, best)),
        }
    }
}

/// Tokens of a position with the logarithms of their weights, those of no weight left out.
pub type Weights = Vec<(Token, f64)>;

pub struct Answer {
    /// Of each position, the logarithm of each token's probability.
    pub marginals: Vec<HashMap<Token, f64>>,
    /// Logarithms of the weight of all texts, and of the likeliest.
    pub total: f64,
    pub best: f64,
}

pub struct Oracle {
    automata: Vec<dense::DFA<Vec<u32>>>,
}

impl Oracle {
    /// Texts that match all of the expressions as a whole.
    pub fn new(patterns: &[String]) -> Self {
        assert!(patterns.len() <= MOST);
        let config = dense::Config::new().start_kind(StartKind::Anchored).match_kind(MatchKind::All);
        let build = |pattern: &String| dense::Builder::new().configure(config.clone()).build(pattern).unwrap();
        Self { automata: patterns.iter().map(build).collect() }
    }

    fn start(&self) -> Place {
        let config = start::Config::new().anchored(Anchored::Yes);
        let mut place = [StateID::ZERO; MOST];
        self.automata.iter().zip(&mut place).for_each(|(dfa, q)| *q = dfa.start_state(&config).unwrap());
        Some(place)
    }

    fn accepts(&self, place: &Place) -> bool {
        let accepts = |(dfa, &q): (&dense::DFA<Vec<u32>>, &StateID)| dfa.is_match_state(dfa.next_eoi_state(q));
        place.as_ref().is_none_or(|states| self.automata.iter().zip(states).all(accepts))
    }

    /// Where a token leads, if anywhere.
    fn step(&self, place: &Place, token: Token, vocab: &Vocab) -> Option<Place> {
        if Some(token) == vocab.eos() {
            return self.accepts(place).then_some(None);
        }
        let (mut states, bytes) = ((*place)?, vocab.bytes(token)?);
        for (dfa, q) in self.automata.iter().zip(&mut states) {
            for &byte in bytes {
                *q = dfa.next_state(*q, byte);
                if dfa.is_dead_state(*q) {
                    return None;
                }
            }
        }
        Some(Some(states))
    }

    pub fn answer(&self, rows: &[Weights], vocab: &Vocab) -> Answer {
        let wide = |row: &Weights| row.iter().map(|&(token, x)| (token, x, Wide::exp(x))).collect::<Vec<_>>();
        let rows: Vec<_> = rows.iter().map(wide).collect();
        let mut first = Layer::default();
        first.add(self.start(), Wide::ONE, 0.0);
        let mut layers = vec![first];
        for row in &rows {
            let mut next = Layer::default();
            for (place, sum, best) in &layers[layers.len() - 1].found {
                for &(token, x, weight) in row {
                    if let Some(to) = self.step(place, token, vocab) {
                        next.add(to, sum.times(weight), best + x);
                    }
                }
            }
            layers.push(next);
        }
        let last = &layers[rows.len()].found;
        let accepted = || last.iter().filter(|(place, ..)| self.accepts(place));
        let total = accepted().fold(Wide::ZERO, |sum, (_, more, _)| sum.plus(*more)).ln();
        let best = accepted().fold(f64::NEG_INFINITY, |best, &(.., x)| best.max(x));
        let mut backward: Vec<Wide> =
            last.iter().map(|(place, ..)| if self.accepts(place) { Wide::ONE } else { Wide::ZERO }).collect();
        let mut marginals = vec![HashMap::new(); rows.len()];
        for (pos, row) in rows.iter().enumerate().rev() {
            let mut sums = vec![Wide::ZERO; row.len()];
            let mut before = vec![Wide::ZERO; layers[pos].found.len()];
            for ((place, forward, _), before) in layers[pos].found.iter().zip(&mut before) {
                for (&(token, _, weight), sum) in row.iter().zip(&mut sums) {
                    let Some(to) = self.step(place, token, vocab) else { continue };
                    let way = weight.times(backward[layers[pos + 1].ids[&to]]);
                    *before = before.plus(way);
                    *sum = sum.plus(forward.times(way));
                }
            }
            let some = row.iter().zip(sums).filter(|(_, sum)| sum.0 > 0.0);
            marginals[pos] = some.map(|(&(token, ..), sum)| (token, sum.ln() - total)).collect();
            backward = before;
        }
        Answer { marginals, total, best }
    }
}
