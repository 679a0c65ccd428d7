use super::{Energies, Guide};
use crate::{Answer, Error, Pos, Result, Step, Token};
use std::{collections::BTreeMap, ops::Range};

/// Favours tokens that were the likeliest in earlier steps: a repeated prediction becomes more certain, so `threshold`
/// can commit it sooner.
///
/// At each step the credits of a position shrink by β, the likeliest token gains p^γ, and every token's score rises by
/// α·ln(1 + credit). Credits end with their block. Source: dInfer's credit decoding (arXiv 2510.06133).
#[derive(Debug, Clone)]
pub struct Credit {
    alpha: f32,
    gamma: f32,
    beta: f32,
    block: Range<Pos>,
    earned: BTreeMap<(Pos, Token), f32>,
}

impl Credit {
    /// # Errors
    /// Numbers that are negative or not finite, and a β above 1.
    pub fn new(alpha: f32, gamma: f32, beta: f32) -> Result<Self> {
        for (name, value, most) in [("alpha", alpha, f32::MAX), ("gamma", gamma, f32::MAX), ("beta", beta, 1.0)] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::input(format!("`credit`: {name} must be 0 or more, beta at most 1, not {value}"))
                    .under(name));
            }
        }
        Ok(Self { alpha, gamma, beta, block: 0..0, earned: BTreeMap::new() })
    }
}

impl Guide for Credit {
    fn guide(&mut self, step: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
        if self.block != step.block {
            self.block = step.block.clone();
            self.earned.clear();
        }
        self.earned.values_mut().for_each(|credit| *credit *= self.beta);
        let open = |pos: &Pos| step.block.contains(pos) && *pos < to.len();
        let open: Vec<Pos> = step.canvas.undecided().filter(open).collect();
        for pos in open {
            let (best, p) = likeliest(to.row(pos));
            *self.earned.entry((pos, best)).or_default() += p.powf(self.gamma);
            for (&(_, token), credit) in self.earned.range((pos, 0)..=(pos, Token::MAX)) {
                to.add(pos, token, self.alpha * credit.ln_1p());
            }
        }
        Ok(())
    }
}

/// The token with the largest score, and its probability.
fn likeliest(row: &[f32]) -> (Token, f32) {
    let best = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    let sum: f32 = row.iter().map(|score| (score - row[best]).exp()).sum();
    (best as Token, 1.0 / sum)
}
