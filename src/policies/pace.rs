use crate::Step;

/// The number of positions to commit at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The open positions in equal shares over the steps left. Source: LLaDA (arXiv 2502.09992).
    Even,
    /// All positions of a block in equal shares, including those that are already written. Source: SDAR.
    Block,
    /// ⌊n·(1 − s/t)⌋ of n open positions from time t to time s. The times fall evenly from 1 to `eps`. Times at which
    /// this number is 0 are skipped, since they would only repeat a forward. Source: Dream (arXiv 2508.15487).
    Falling {
        /// The last time.
        eps: f32,
        /// The number of times passed so far.
        time: usize,
    },
}

impl Pace {
    /// The falling times before the first step.
    pub fn falling(eps: f32) -> Self {
        Self::Falling { eps, time: 0 }
    }

    /// The number of positions to commit now, of `open` open ones.
    pub fn quota(&mut self, step: &Step, open: usize) -> usize {
        match self {
            Self::Even => open.div_ceil(step.left()),
            Self::Block => {
                let (share, rest) = (step.block_size / step.budget, step.block_size % step.budget);
                share + usize::from(step.index < rest)
            }
            Self::Falling { eps, time } => {
                if step.index == 0 {
                    *time = 0;
                }
                let at = |i: usize| 1.0 + (*eps - 1.0) * (i as f32 / step.budget as f32);
                while *time + 1 < step.budget {
                    let quota = open as f32 * (1.0 - at(*time + 1) / at(*time));
                    *time += 1;
                    if quota >= 1.0 {
                        return quota as usize;
                    }
                }
                open
            }
        }
    }
}
