//! Blocks of quantised weights as f32.

use super::simd::vectorised;
use candle_core::quantized::{GgmlDType, QuantizedType};
use half::f16;

/// The bytes of some blocks, as a file would hold them.
#[allow(unsafe_code)]
fn bytes(blocks: &dyn QuantizedType) -> &[u8] {
    // SAFETY: the pointer is that of a vector of blocks, plain numbers without padding, of so many bytes; it lives as long
    // as the borrow.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr(), blocks.storage_size_in_bytes()) }
}

/// Writes weight `first` and those that follow, whole blocks each.
pub fn widen_blocks(blocks: &dyn QuantizedType, first: usize, to: &mut [f32]) {
    let kind = blocks.dtype();
    let own = |widen: fn(&[u8], &mut [f32]), to| {
        let start = first / kind.block_size() * kind.type_size();
        widen(bytes(blocks).get(start..).unwrap_or_default(), to);
    };
    match kind {
        GgmlDType::Q4K => own(widen_q4k, to),
        GgmlDType::Q8_0 => own(widen_q8_0, to),
        _ => {
            let size = kind.block_size();
            let all = blocks.storage_size_in_bytes() / kind.type_size();
            let ids: Vec<u32> = (first / size..(first + to.len()) / size).map(|block| block as u32).collect();
            if let Ok(candle_core::CpuStorage::F32(values)) = blocks.embedding(&ids, all, size) {
                to.copy_from_slice(&values);
            }
        }
    }
}

/// Two bytes as a number of 16 bits.
#[inline(always)]
fn half([low, high]: [u8; 2]) -> f32 {
    f16::from_le_bytes([low, high]).to_f32()
}

vectorised! {
    /// 32 weights in 34 bytes: a factor, and 8 bits each.
    fn widen_q8_0(from: &[u8], to: &mut [f32]) {
        for (block, to) in from.as_chunks::<34>().0.iter().zip(to.as_chunks_mut::<32>().0) {
            let [low, high, numbers @ ..] = block;
            let factor = half([*low, *high]);
            for (to, number) in to.iter_mut().zip(numbers) {
                *to = factor * f32::from(*number as i8);
            }
        }
    }

    /// 256 weights in 144 bytes: factors of scales and of offsets, eight of either in 6 bits each, and 4 bits per weight.
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

/// Scale and offset of 32 weights.
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
    use candle_core::CpuStorage;

    #[test]
    fn blocks_become_the_numbers_that_candle_makes_of_them() {
        let weights: Vec<f32> = (0..2048).map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * 0.1).collect();
        for kind in [GgmlDType::Q4K, GgmlDType::Q8_0, GgmlDType::Q6K, GgmlDType::Q4_0, GgmlDType::Q5_1] {
            let mut blocks = kind.cpu_zeros(weights.len());
            blocks.from_float(&weights);
            let Ok(CpuStorage::F32(want)) = blocks.dequantize(weights.len()) else { panic!("{kind:?}") };
            for part in [0..2048, 512..1280, 1792..2048] {
                let mut got = vec![f32::NAN; part.len()];
                widen_blocks(&*blocks, part.start, &mut got);
                let close = |(got, want): (&f32, &f32)| (got - want).abs() < 1e-6;
                assert!(got.iter().zip(&want[part.clone()]).all(close), "{kind:?} {part:?}");
            }
        }
    }
}
