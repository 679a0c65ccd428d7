//! Rotary positions (RoFormer, arXiv 2104.09864).

/// Which numbers of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// i and i + half.
    Halves,
    /// 2i and 2i + 1.
    Neighbours,
}

/// cos and sin of every position's angles: max_len × size/2 each.
#[derive(Debug, Clone)]
pub struct Rope {
    pairs: Pairs,
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Turns the first `size` numbers (even) of each head; pair i by `pos·theta^(−2i/size)`.
    pub fn new(max_len: usize, size: usize, theta: f64, pairs: Pairs) -> Self {
        let frequencies: Vec<f64> = (0..size / 2).map(|i| theta.powf(-2.0 * i as f64 / size as f64)).collect();
        Self::from_frequencies(max_len, &frequencies, pairs)
    }
    /// Pair i turns by `pos·frequencies[i]`.
    pub fn from_frequencies(max_len: usize, frequencies: &[f64], pairs: Pairs) -> Self {
        let angles = || (0..max_len).flat_map(|pos| frequencies.iter().map(move |f| pos as f64 * f));
        Self {
            pairs,
            half: frequencies.len(),
            cos: angles().map(|a| a.cos() as f32).collect(),
            sin: angles().map(|a| a.sin() as f32).collect(),
        }
    }
    /// Turns each head of `row`, `size` numbers each, by the angles of `pos`.
    #[inline(always)]
    pub fn turn(&self, row: &mut [f32], size: usize, pos: usize) {
        self.apply(row, size, pos, 1.0);
    }
    /// The inverse of [`turn`](Self::turn), and its gradient.
    #[inline(always)]
    pub fn turn_back(&self, row: &mut [f32], size: usize, pos: usize) {
        self.apply(row, size, pos, -1.0);
    }
    #[inline(always)]
    fn apply(&self, row: &mut [f32], size: usize, pos: usize, direction: f32) {
        let cos = &self.cos[pos * self.half..][..self.half];
        let sin = &self.sin[pos * self.half..][..self.half];
        let turn = |a: &mut f32, b: &mut f32, cos: f32, sin: f32| {
            let (x, y, sin) = (*a, *b, sin * direction);
            *a = x * cos - y * sin;
            *b = x * sin + y * cos;
        };
        for head in row.chunks_exact_mut(size) {
            let turned = &mut head[..2 * self.half];
            match self.pairs {
                Pairs::Halves => {
                    let (a, b) = turned.split_at_mut(self.half);
                    a.iter_mut().zip(b).zip(cos).zip(sin).for_each(|(((a, b), &cos), &sin)| turn(a, b, cos, sin));
                }
                Pairs::Neighbours => {
                    let (pairs, _) = turned.as_chunks_mut::<2>();
                    pairs.iter_mut().zip(cos).zip(sin).for_each(|(([a, b], &cos), &sin)| turn(a, b, cos, sin));
                }
            }
        }
    }
}
