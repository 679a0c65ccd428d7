//! The format of stored weights: 32, 16 or 8 bits.

use super::network::Parameter;
use crate::{Error, Result};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

/// How a checkpoint of a small model stores its weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// 32 bits: as trained.
    F32,
    /// 16 bits.
    #[default]
    F16,
    /// 8 bits, and 16 bits for the scale of each group of weights; vectors have 16 bits.
    Int8,
}

/// Number of weights that share a scale. The largest weight of a group is stored as ±127.
const GROUP: usize = 64;

/// The suffix of the tensor of scales, one f16 per [`GROUP`], beside a tensor of integers.
pub(super) const SCALES: &str = ".scale";

/// Serialises weights as a safetensors file.
///
/// # Errors
/// A weight that the format cannot hold (NaN, or beyond ±65504 in half precision).
pub fn weights_to_bytes(parameters: &[Parameter], weights: &[f32], format: WeightFormat) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for Parameter { name, shape, range, .. } in parameters {
        let numbers = &weights[range.clone()];
        let name = name.clone();
        match format {
            WeightFormat::F32 => {
                let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
                tensors.push((name, Dtype::F32, shape.clone(), bytes));
            }
            WeightFormat::Int8 if shape.len() > 1 => {
                let scales = numbers.chunks(GROUP).map(|group| {
                    let largest = group.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    // The scale is rounded up, so that the largest weight stays within 127, and is never 0.
                    let scale = f16::from_f32(largest / 127.0 * 1.0005).max(f16::MIN_POSITIVE_SUBNORMAL);
                    (group, scale)
                });
                let (mut integers, mut bytes) = (Vec::with_capacity(numbers.len()), Vec::new());
                for (group, scale) in scales {
                    if !scale.is_finite() || group.iter().any(|x| x.is_nan()) {
                        return Err(Error::model(format!("{name} holds numbers that eight bits cannot")));
                    }
                    bytes.extend(scale.to_le_bytes());
                    let scale = scale.to_f32();
                    integers.extend(group.iter().map(|x| (x / scale).round().clamp(-127.0, 127.0) as i8 as u8));
                }
                tensors.push((format!("{name}{SCALES}"), Dtype::F16, vec![bytes.len() / 2], bytes));
                tensors.push((name, Dtype::I8, shape.clone(), integers));
            }
            WeightFormat::F16 | WeightFormat::Int8 => {
                let mut bytes = Vec::with_capacity(2 * numbers.len());
                for &value in numbers {
                    let half = f16::from_f32(value);
                    if !half.is_finite() {
                        return Err(Error::model(format!("{name} holds {value}, which half precision cannot")));
                    }
                    bytes.extend(half.to_le_bytes());
                }
                tensors.push((name, Dtype::F16, shape.clone(), bytes));
            }
        }
    }
    let damaged = |e: safetensors::SafeTensorError| Error::model("the weights cannot be written").because(e);
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).map_err(damaged)?));
    }
    safetensors::serialize(views, None).map_err(damaged)
}

/// The numbers of a tensor; integers are multiplied by their scales.
///
/// # Errors
/// A tensor of an unknown type, or integers without scales.
pub(super) fn numbers(file: &SafeTensors, name: &str, view: &TensorView) -> Result<Vec<f32>> {
    let (halves, _) = view.data().as_chunks::<2>();
    let (floats, _) = view.data().as_chunks::<4>();
    match view.dtype() {
        Dtype::F16 => Ok(halves.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::BF16 => Ok(halves.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect()),
        Dtype::F32 => Ok(floats.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        Dtype::I8 => {
            let scales = file.tensor(&format!("{name}{SCALES}")).ok().filter(|scales| {
                scales.dtype() == Dtype::F16 && scales.data().len() == 2 * view.data().len().div_ceil(GROUP)
            });
            let scales = scales.ok_or_else(|| {
                Error::model(format!("tensor {name:?} is I8 without an F16 scale per {GROUP} numbers"))
            })?;
            let (scales, _) = scales.data().as_chunks::<2>();
            let groups = view.data().chunks(GROUP).zip(scales);
            Ok(groups
                .flat_map(|(group, &scale)| {
                    let scale = f16::from_le_bytes(scale).to_f32();
                    group.iter().map(move |&x| f32::from(x as i8) * scale)
                })
                .collect())
        }
        other => Err(Error::model(format!("tensor {name:?} is {other:?}, expected F32, F16, BF16 or I8"))),
    }
}
