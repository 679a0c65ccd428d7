//! The buffers of a pass through the network, kept from one to the next.

/// Numbers for a number of positions, grown when needed and never given back.
#[derive(Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// The first `len` numbers; what they hold is left from before.
    pub fn get(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len {
            self.0.resize(len, 0.0);
        }
        &mut self.0[..len]
    }
    /// As [`get`](Self::get), all zero.
    pub fn zeros(&mut self, len: usize) -> &mut [f32] {
        let numbers = self.get(len);
        numbers.fill(0.0);
        numbers
    }
    /// The same numbers as `from`.
    pub fn copy(&mut self, from: &[f32]) {
        self.get(from.len()).copy_from_slice(from);
    }
}

/// Everything between the tokens and the loss.
#[derive(Default)]
pub struct Workspace {
    /// The residual stream: positions × d.
    pub x: Buffer,
    /// One for inference, which forgets; one per block for training.
    pub blocks: Vec<BlockBuffers>,
    /// Of the positions with a loss, before and after the last norm: rows × d.
    pub picked: Buffer,
    pub normed: Buffer,
    /// Of some of the rows: rows × V.
    pub logits: Buffer,
    pub losses: Vec<f32>,
    /// Gradients of the buffers of the same width.
    pub dx: Buffer,
    pub dh: Buffer,
    pub dpicked: Buffer,
    pub dnormed: Buffer,
    pub dgated: Buffer,
}

/// What a block computes, in order. `x` and `middle` are copies of the stream for the backward pass.
#[derive(Default)]
pub struct BlockBuffers {
    pub x: Buffer,
    pub attention_in: Buffer,
    pub qkv: Buffer,
    pub mixed: Buffer,
    pub middle: Buffer,
    pub ff_in: Buffer,
    pub gate_up: Buffer,
    pub gated: Buffer,
}
