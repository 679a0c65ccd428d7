use crate::Step;

/// How many positions are written at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The open ones in equal shares over the steps left. Source: LLaDA (arXiv 2502.09992).
    Even,
    /// A whole block's positions in equal shares, whatever of the block is written already. Source: SDAR.
    Block,
    /// ⌊n·(1 − s/t)⌋ of n open ones from time t to time s, which fall evenly from 1 to `eps`. Times at which that is
    /// none are passed over: they would only repeat a forward. Source: Dream (arXiv 2508.15487).
    Falling {
        /// The last time.
        eps: f32,
        /// How many times have been passed.
        time: usize,
    },
}

impl Pace {
    /// Falling times before the first step.
    pub fn falling(eps: f32) -> Self {
        Self::Falling { eps, time: 0 }
    }

    /// Positions to write now, of `open` ones.
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
