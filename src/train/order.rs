//! The order of texts: shuffled without a list, so that a corpus may be larger than memory.

/// A permutation of `0..n` that needs no memory: a Feistel network over the next power of four, walked until it stays
/// inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
#[derive(Debug, Clone, Copy)]
pub struct Permutation {
    n: u64,
    half: u32,
    key: u64,
}

impl Permutation {
    /// A permutation of `0..n`, chosen by the key.
    pub fn new(n: u64, key: u64) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        Self { n, half: bits.div_ceil(2).max(1), key }
    }

    /// The image of `index`, which must be below `n`.
    pub fn at(self, index: u64) -> u64 {
        let mut index = index;
        loop {
            index = self.round(index);
            if index < self.n || self.n == 0 {
                return index;
            }
        }
    }

    fn round(self, index: u64) -> u64 {
        const ROUNDS: u64 = 6;
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (index >> self.half, index & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (mix(self.key ^ mix(right << 3 | round)) & mask));
        }
        left << self.half | right
    }
}

/// The finaliser of SplitMix64.
pub fn mix(x: u64) -> u64 {
    let x = (x.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A contiguous part of the corpus, and the number of its texts that an epoch sees.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: u64,
    texts: u64,
    draws: u64,
}

/// Walks the texts in a new order each epoch. The position is two numbers, so a run can resume.
///
/// A part of weight w gives w times its number of texts to each epoch. The selection continues where the epoch before
/// stopped, so all texts are seen equally often in the end.
#[derive(Debug, Clone)]
pub struct BatchOrder {
    seed: u64,
    parts: Vec<Part>,
    draws: u64,
    /// Number of finished epochs.
    pub epoch: u64,
    /// Number of texts seen in this epoch.
    pub next: u64,
}

impl BatchOrder {
    /// The order for parts with these numbers of texts and weights, at a position.
    pub fn new(seed: u64, sizes: impl IntoIterator<Item = (u64, f64)>, epoch: u64, next: u64) -> Self {
        let mut start = 0;
        let part = |(texts, weight): (u64, f64)| {
            let draws = if texts == 0 { 0 } else { ((texts as f64 * weight).round() as u64).max(1) };
            start += texts;
            Part { start: start - texts, texts, draws }
        };
        let parts: Vec<Part> = sizes.into_iter().map(part).collect();
        let draws = parts.iter().map(|p| p.draws).sum();
        Self { seed, parts, draws, epoch, next: next.min(draws) }
    }

    /// Number of epochs so far, with the fraction of this one.
    pub fn epochs(&self) -> f64 {
        self.epoch as f64 + self.next as f64 / self.draws.max(1) as f64
    }

    /// The next text; `None` for an empty corpus.
    pub fn peek(&self) -> Option<u64> {
        let (epoch, next) = if self.next < self.draws { (self.epoch, self.next) } else { (self.epoch + 1, 0) };
        let mut draw = Permutation::new(self.draws, mix(self.seed ^ mix(epoch))).at(next);
        for (i, part) in self.parts.iter().enumerate() {
            if draw < part.draws {
                let (pass, index) = {
                    let all = epoch * part.draws + draw;
                    (all / part.texts, all % part.texts)
                };
                let key = mix(self.seed ^ mix(pass ^ mix(!(i as u64))));
                return Some(part.start + Permutation::new(part.texts, key).at(index));
            }
            draw -= part.draws;
        }
        None
    }

    /// Advances to the next text.
    pub fn advance(&mut self) {
        if self.next >= self.draws {
            self.epoch += 1;
            self.next = 0;
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_are_permutations_and_look_random() {
        for n in [1u64, 2, 3, 5, 16, 17, 1000] {
            let mut seen: Vec<u64> = (0..n).map(|i| Permutation::new(n, 7).at(i)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
        let moved = (0..1000).filter(|&i| Permutation::new(1000, 1).at(i) != Permutation::new(1000, 2).at(i)).count();
        assert!(moved > 980, "{moved}");
        let rising = (1..1000).filter(|&i| Permutation::new(1000, 1).at(i) > Permutation::new(1000, 1).at(i - 1));
        assert!((430..570).contains(&rising.count()));
    }

    fn walk(order: &mut BatchOrder, steps: usize) -> Vec<u64> {
        (0..steps)
            .map(|_| {
                let text = order.peek().unwrap();
                order.advance();
                text
            })
            .collect()
    }

    #[test]
    fn an_epoch_sees_every_text_as_often_as_its_weight_says() {
        let sizes = [(10, 1.0), (6, 2.0), (8, 0.5), (0, 1.0)];
        let mut order = BatchOrder::new(3, sizes, 0, 0);
        let mut counts = [0; 24];
        walk(&mut order, 26).into_iter().for_each(|t| counts[t as usize] += 1);
        assert!(counts[..10].iter().all(|&c| c == 1) && counts[10..16].iter().all(|&c| c == 2), "{counts:?}");
        assert_eq!(counts[16..].iter().sum::<i32>(), 4);
        assert_eq!(order.epochs(), 1.0);
        walk(&mut order, 26).into_iter().for_each(|t| counts[t as usize] += 1);
        assert!(counts[16..].iter().all(|&c| c == 1), "the second epoch sees the other half: {counts:?}");
    }

    #[test]
    fn a_place_in_the_order_is_two_numbers() {
        let sizes = [(10, 1.0), (7, 1.5)];
        let mut order = BatchOrder::new(1, sizes, 0, 0);
        let before = walk(&mut order, 33);
        let mut resumed = BatchOrder::new(1, sizes, order.epoch, order.next);
        assert_eq!(walk(&mut order, 40), walk(&mut resumed, 40));
        assert_ne!(before, walk(&mut BatchOrder::new(2, sizes, 0, 0), 33));
        assert_eq!(BatchOrder::new(0, [], 0, 0).peek(), None);
    }
}
