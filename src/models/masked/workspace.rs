//! The buffers of a pass through the network, reused by later passes.

/// A growing buffer of numbers. It is never shrunk.
#[derive(Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// The first `len` numbers, with the values of earlier calls.
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

/// All intermediate values between the tokens and the loss.
#[derive(Default)]
pub struct Workspace {
    /// The residual stream: positions × d.
    pub x: Buffer,
    /// The buffers of blocks: one for inference, one per block for training.
    pub blocks: Vec<BlockBuffers>,
    /// The states of the positions with a loss, before and after the last norm: rows × d.
    pub picked: Buffer,
    pub normed: Buffer,
    /// The logits of some rows: rows × V.
    pub logits: Buffer,
    pub losses: Vec<f32>,
    /// The gradients of the buffers of the same width.
    pub dx: Buffer,
    pub dh: Buffer,
    pub dpicked: Buffer,
    pub dnormed: Buffer,
    pub dgated: Buffer,
}

/// The intermediate values of a block, in order. `x` and `middle` are copies of the stream for the backward pass.
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
