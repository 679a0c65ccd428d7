//! What the programs that run beside PyTorch share.
#![allow(dead_code, reason = "each uses a part")]

use safetensors::{SafeTensors, tensor::TensorView};
use std::{error::Error, fs, path::Path, path::PathBuf};
use stencil_lm::models::masked::{MaskedConfig, MaskedNetwork, PackedSequences, Parameter};

/// The folder to work on. `cargo bench` runs every benchmark without one; then this says what to do instead.
pub fn folder(script: &str) -> Option<PathBuf> {
    let folder = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')).map(PathBuf::from);
    if folder.is_none() {
        println!("run benches/pytorch/{script}.py");
    }
    folder
}

/// The model in the folder, with the weights of the file.
pub fn network(folder: &Path, file: &SafeTensors) -> Result<(MaskedConfig, MaskedNetwork), Box<dyn Error>> {
    let config = MaskedConfig::from_json(&fs::read(folder.join("config.json"))?)?;
    let start = |parameter: &Parameter| file.tensor(&parameter.name).map(|view| floats(&view));
    let network = MaskedNetwork::build(&config, start)?;
    Ok((config, network))
}

/// The sequences of a batch, all of one length.
pub fn packed(file: &SafeTensors, index: usize, length: usize) -> Option<PackedSequences> {
    let mut packed = PackedSequences::default();
    let tokens = integers(file, &format!("tokens.{index}"))?;
    tokens.chunks(length).for_each(|sequence| packed.push(sequence.iter().copied()));
    Some(packed)
}

pub fn integers(file: &SafeTensors, name: &str) -> Option<Vec<u32>> {
    let view = file.tensor(name).ok()?;
    let (numbers, _) = view.data().as_chunks::<8>();
    Some(numbers.iter().map(|&n| i64::from_le_bytes(n) as u32).collect())
}

pub fn floats(view: &TensorView) -> Vec<f32> {
    let (numbers, _) = view.data().as_chunks::<4>();
    numbers.iter().map(|&n| f32::from_le_bytes(n)).collect()
}

/// Of this process so far, over all threads, where the system tells (Linux, in ticks of 10 ms).
pub fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// Most memory that was resident at once, where the system tells.
pub fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).map_or(Ok(0.0), str::parse)?;
    Ok(kib / 1024.0)
}
