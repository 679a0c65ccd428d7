//! Matrices of weights in memory: plain numbers, or blocks of few bits.

use crate::kernels::{Blocks, Rows, tensor};
use candle_core::quantized::GgmlDType;
use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;
use std::{ops::Range, ptr, sync::Arc};

/// A matrix (out, in).
#[derive(Clone)]
pub enum Matrix {
    /// f32, bf16 or f16.
    Dense(Tensor),
    /// Blocks of quantised weights.
    Quantised(Arc<QuantisedMatrix>),
}

/// A matrix whose rows are blocks of quantised weights. Products are computed in f32, a few rows at a time: only the
/// weights lose precision, and all kinds of blocks cost about the same.
pub struct QuantisedMatrix {
    /// Parts of `height` rows each; the last part may have fewer.
    parts: Vec<Blocks>,
    height: usize,
    rows: usize,
    columns: usize,
}

/// Number of weights in a part. One part at a time is in f32 while a matrix is quantised.
const PART: usize = 1 << 20;

impl QuantisedMatrix {
    /// Quantises a matrix of (rows, columns) numbers; `read` returns a range of its rows.
    ///
    /// # Errors
    /// Columns that are no multiple of the block, and errors of `read`.
    pub fn quantize(
        kind: GgmlDType,
        (rows, columns): (usize, usize),
        read: impl Fn(Range<usize>) -> Result<Vec<f32>> + Sync,
    ) -> Result<Self> {
        Self::assemble(kind, (rows, columns), |part| {
            let numbers = read(part.clone())?;
            if numbers.len() != part.len() * columns {
                bail!("{} numbers are not {} rows of {columns}", numbers.len(), part.len())
            }
            Blocks::quantize(kind, &numbers)
        })
    }

    /// Makes a matrix from blocks as a file stores them, row after row.
    ///
    /// # Errors
    /// A number of bytes that does not match the rows.
    pub fn from_bytes(kind: GgmlDType, bytes: &[u8], (rows, columns): (usize, usize)) -> Result<Self> {
        let width = columns / kind.block_size() * kind.type_size();
        if bytes.len() != rows * width {
            bail!("{} bytes are not {rows} rows of {columns} weights as {kind:?}", bytes.len())
        }
        let part = |part: Range<usize>| Blocks::from_bytes(kind, &bytes[part.start * width..part.end * width]);
        Self::assemble(kind, (rows, columns), part)
    }

    fn assemble(
        kind: GgmlDType,
        (rows, columns): (usize, usize),
        part: impl Fn(Range<usize>) -> Result<Blocks> + Sync,
    ) -> Result<Self> {
        if !columns.is_multiple_of(kind.block_size()) {
            bail!("{columns} columns do not fill blocks of {}", kind.block_size())
        }
        let height = (PART / columns.max(1)).max(1);
        let starts: Vec<usize> = (0..rows).step_by(height).collect();
        let parts = starts.into_par_iter().map(|start| part(start..rows.min(start + height)));
        Ok(Self { parts: parts.collect::<Result<_>>()?, height, rows, columns })
    }

    /// Looks rows up by their numbers: (n, columns), f32.
    ///
    /// # Errors
    /// A row out of range.
    pub fn lookup(&self, rows: &[u32]) -> Result<Vec<f32>> {
        let mut out = vec![0.0; rows.len() * self.columns];
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(self.columns.max(1))) {
            self.widen(row as usize, 0, out)?;
        }
        Ok(out)
    }
}

impl Rows for QuantisedMatrix {
    fn widen(&self, row: usize, from: usize, to: &mut [f32]) -> Result<()> {
        let Some(blocks) = self.parts.get(row / self.height) else {
            bail!("row {row} of a matrix of {} rows", self.rows)
        };
        blocks.widen(row % self.height * self.columns + from, to)
    }
    fn stored(&self, rows: Range<usize>) -> Range<*const u8> {
        let Some(blocks) = self.parts.get(rows.start / self.height) else { return ptr::null()..ptr::null() };
        let width = self.columns / blocks.kind().block_size() * blocks.kind().type_size();
        let first = rows.start % self.height;
        let at = |row: usize| blocks.bytes().as_ptr().wrapping_add(row * width);
        at(first)..at(self.height.min(first + rows.len()))
    }
}

impl Matrix {
    /// The numbers of rows and columns.
    ///
    /// # Errors
    /// A tensor that is no matrix.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => weight.dims2(),
            Self::Quantised(packed) => Ok((packed.rows, packed.columns)),
        }
    }

    /// x·Wᵀ + b: (…, in) → (…, out).
    ///
    /// # Errors
    /// Shapes that cannot be multiplied.
    pub fn linear(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match self {
            Self::Dense(weight) if tensor::fits(x) => tensor::linear(x, weight, bias),
            Self::Dense(weight) => {
                let y = x.matmul(&weight.to_dtype(x.dtype())?.t()?)?;
                bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
            }
            // Quantised matrices stay on the CPU.
            Self::Quantised(_) if !x.device().is_cpu() => {
                let bias = bias.map(|bias| bias.to_device(&Device::Cpu)).transpose()?;
                self.linear(&x.to_device(&Device::Cpu)?, bias.as_ref())?.to_device(x.device())
            }
            Self::Quantised(packed) => tensor::linear_rows(x, (packed.rows, packed.columns), bias, &**packed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_matrices_multiply_nearly_as_the_numbers_they_were_made_of() {
        // More than one part.
        let (rows, columns) = (2 * PART / 512 + 3, 512);
        let weights: Vec<f32> = (0..rows * columns).map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * 0.1).collect();
        let dense = Tensor::from_vec(weights.clone(), (rows, columns), &Device::Cpu).unwrap();
        let x: Vec<f32> = (0..3 * columns).map(|i| ((i * 104_729 % 613) as f32 / 306.5) - 1.0).collect();
        let x = Tensor::from_vec(x, (3, columns), &Device::Cpu).unwrap();
        let exact = Matrix::Dense(dense).linear(&x, None).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let size = (exact.iter().map(|y| y * y).sum::<f32>() / exact.len() as f32).sqrt();
        for (kind, bound) in [(GgmlDType::Q8_0, 0.01), (GgmlDType::Q4K, 0.1), (GgmlDType::Q4_0, 0.15)] {
            let read = |part: Range<usize>| Ok(weights[part.start * columns..part.end * columns].to_vec());
            let packed = QuantisedMatrix::quantize(kind, (rows, columns), read).unwrap();
            assert_eq!(packed.parts.len(), 3);
            let ours = Matrix::Quantised(Arc::new(packed)).linear(&x, None).unwrap();
            let ours = ours.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let errors = ours.iter().zip(&exact).map(|(a, b)| (a - b) * (a - b));
            let error = (errors.sum::<f32>() / exact.len() as f32).sqrt() / size;
            assert!(error < bound && error > 0.0, "{kind:?}: {error}");
        }
        assert!(QuantisedMatrix::from_bytes(GgmlDType::Q8_0, &[0; 33], (1, 32)).is_err());
        assert!(QuantisedMatrix::quantize(GgmlDType::Q4K, (1, 64), |_| Ok(vec![0.0; 64])).is_err());
    }
}
