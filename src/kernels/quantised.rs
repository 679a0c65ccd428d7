//! Blocks of quantised weights, and their conversion to f32.

use super::multiversion::vectorised;
use candle_core::quantized::{GgmlDType, QuantizedType};
use candle_core::{CpuStorage, Result, bail};
use half::f16;
use std::borrow::Cow;

/// Quantised weights in memory: whole blocks of one kind. Only candle makes the blocks, so no other implementation of
/// [`QuantizedType`] is possible.
pub(crate) struct Blocks(Box<dyn QuantizedType>);

impl Blocks {
    /// Quantises numbers to blocks of a kind.
    ///
    /// # Errors
    /// Numbers that do not fill whole blocks.
    pub(crate) fn quantize(kind: GgmlDType, numbers: &[f32]) -> Result<Self> {
        if !numbers.len().is_multiple_of(kind.block_size()) {
            bail!("{} numbers do not fill blocks of {}", numbers.len(), kind.block_size())
        }
        let mut blocks = kind.cpu_zeros(numbers.len());
        blocks.from_float(numbers);
        Ok(Self(blocks))
    }

    /// Makes blocks from the bytes of a file.
    ///
    /// # Errors
    /// Bytes that are not whole blocks.
    pub(crate) fn from_bytes(kind: GgmlDType, bytes: &[u8]) -> Result<Self> {
        if !bytes.len().is_multiple_of(kind.type_size()) {
            bail!("{} bytes are not whole blocks of {}", bytes.len(), kind.type_size())
        }
        Ok(Self(kind.from_data(Cow::Borrowed(bytes))))
    }

    /// The kind of block.
    pub(crate) fn kind(&self) -> GgmlDType {
        self.0.dtype()
    }

    /// The bytes of all blocks, in the format of files.
    #[allow(unsafe_code)]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the constructors take the blocks from candle, which keeps them in a vector of plain numbers without
        // padding and says where it begins and how many bytes it has. It lives as long as the borrow.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.0.storage_size_in_bytes()) }
    }

    /// Converts the weights from `first` on to f32, in whole blocks.
    ///
    /// # Errors
    /// A range that is not whole blocks or exceeds the weights; the contents of `to` are then unspecified.
    pub(crate) fn widen(&self, first: usize, to: &mut [f32]) -> Result<()> {
        let (kind, bytes) = (self.kind(), self.bytes());
        let (size, width) = (kind.block_size(), kind.type_size());
        let (start, count) = (first / size, to.len() / size);
        if start * size != first || count * size != to.len() || start + count > bytes.len() / width {
            bail!("{} weights from {first} on are not whole blocks of {size}", to.len())
        }
        let own = &bytes[start * width..][..count * width];
        match kind {
            GgmlDType::Q4K => widen_q4k(own, to),
            GgmlDType::Q8_0 => widen_q8_0(own, to),
            _ => {
                let ids: Vec<u32> = (start..start + count).map(|block| block as u32).collect();
                let CpuStorage::F32(values) = self.0.embedding(&ids, bytes.len() / width, size)? else {
                    bail!("blocks of {kind:?} do not become f32")
                };
                to.copy_from_slice(&values);
            }
        }
        Ok(())
    }
}

/// A half-precision number from two bytes.
#[inline(always)]
fn half([low, high]: [u8; 2]) -> f32 {
    f16::from_le_bytes([low, high]).to_f32()
}

vectorised! {
    /// A block of 32 weights in 34 bytes: a scale, and 8 bits per weight.
    fn widen_q8_0(from: &[u8], to: &mut [f32]) {
        for (block, to) in from.as_chunks::<34>().0.iter().zip(to.as_chunks_mut::<32>().0) {
            let [low, high, numbers @ ..] = block;
            let factor = half([*low, *high]);
            for (to, number) in to.iter_mut().zip(numbers) {
                *to = factor * f32::from(*number as i8);
            }
        }
    }

    /// A block of 256 weights in 144 bytes: factors for scales and offsets, eight scales and eight offsets of 6 bits,
    /// and 4 bits per weight.
    ///
    /// Source: `k_quants` of llama.cpp.
    fn widen_q4k(from: &[u8], to: &mut [f32]) {
        for (block, to) in from.as_chunks::<144>().0.iter().zip(to.as_chunks_mut::<256>().0) {
            let [d0, d1, m0, m1, rest @ ..] = block;
            let (factor, offset) = (half([*d0, *d1]), half([*m0, *m1]));
            let (scales, numbers) = rest.split_at(12);
            let numbers = numbers.as_chunks::<32>().0;
            for (j, (numbers, to)) in numbers.iter().zip(to.as_chunks_mut::<64>().0).enumerate() {
                let (low, high) = to.split_at_mut(32);
                let (scale, shift) = six_bits(scales, 2 * j);
                let (scale, shift) = (factor * scale, offset * shift);
                for (to, number) in low.iter_mut().zip(numbers) {
                    *to = scale * f32::from(number & 15) - shift;
                }
                let (scale, shift) = six_bits(scales, 2 * j + 1);
                let (scale, shift) = (factor * scale, offset * shift);
                for (to, number) in high.iter_mut().zip(numbers) {
                    *to = scale * f32::from(number >> 4) - shift;
                }
            }
        }
    }
}

/// The scale and the offset of 32 weights.
#[inline(always)]
fn six_bits(scales: &[u8], j: usize) -> (f32, f32) {
    let (scale, offset) = if j < 4 {
        (scales[j] & 63, scales[j + 4] & 63)
    } else {
        let (both, low, high) = (scales[j + 4], scales[j - 4] >> 6 << 4, scales[j] >> 6 << 4);
        (both & 15 | low, both >> 4 | high)
    };
    (f32::from(scale), f32::from(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_the_numbers_that_candle_makes_of_them() {
        let weights: Vec<f32> = (0..2048).map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * 0.1).collect();
        for kind in [GgmlDType::Q4K, GgmlDType::Q8_0, GgmlDType::Q6K, GgmlDType::Q4_0, GgmlDType::Q5_1] {
            let blocks = Blocks::quantize(kind, &weights).unwrap();
            let Ok(CpuStorage::F32(want)) = blocks.0.dequantize(weights.len()) else { panic!("{kind:?}") };
            for part in [0..2048, 512..1280, 1792..2048] {
                let mut got = vec![f32::NAN; part.len()];
                blocks.widen(part.start, &mut got).unwrap();
                let close = |(got, want): (&f32, &f32)| (got - want).abs() < 1e-6;
                assert!(got.iter().zip(&want[part.clone()]).all(close), "{kind:?} {part:?}");
            }
        }
    }

    #[test]
    fn weights_that_are_not_there_are_errors() {
        for kind in [GgmlDType::Q4K, GgmlDType::Q8_0, GgmlDType::Q6K, GgmlDType::Q4_0] {
            let blocks = Blocks::quantize(kind, &[0.5; 512]).unwrap();
            let size = kind.block_size();
            let widen = |first, len| blocks.widen(first, &mut vec![0.0; len]);
            assert!(widen(512 - size, size).is_ok() && widen(512, 0).is_ok(), "{kind:?}");
            for (first, len) in [(512, size), (512 - size, 2 * size), (1, size), (0, size + 1), (usize::MAX - 7, size)]
            {
                assert!(widen(first, len).is_err(), "{kind:?}: {len} from {first} on");
            }
            assert!(Blocks::quantize(kind, &vec![0.0; size + 1]).is_err());
            assert!(Blocks::from_bytes(kind, &vec![0; kind.type_size() + 1]).is_err());
        }
    }
}
