//! The files of a run: the checkpoint for use, and the state to resume from. A file appears whole or not at all.

use super::optimizer::Optimizer;
use crate::models::masked::{MaskedNetwork, Parameter};
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, collections::HashMap, fs, io::Write, path::Path};

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Number of updates so far.
    pub step: usize,
    /// Number of finished epochs.
    pub epoch: u64,
    /// Number of texts seen in this epoch.
    pub next: u64,
    /// Number of positions seen so far.
    pub tokens: usize,
}

/// The header of a state.
#[derive(Deserialize)]
struct Run {
    progress: Progress,
    settings: Option<Value>,
}

/// Writes a file atomically: a new file is written beside the old one, synced and renamed. A crash leaves the old file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::io(format!("cannot write {}", path.display())).because(e).help("is the disk full, or the folder locked?")
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    let written = fs::File::create(temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(temporary, path)) {
        // A partial file is removed, since it takes space on a full disk.
        let _ = fs::remove_file(temporary);
        return Err(failed(error));
    }
    // The rename survives a power cut only if the folder is synced. Where a folder cannot be synced, the old file may
    // come back, which is still whole.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

const PARTS: [&str; 4] = ["weight", "first", "second", "mean"];

/// Saves weights, moments, means (all in f32), the position in the data and the settings of the run. Random numbers
/// follow from the seed and the step, so they need no state.
pub fn save(
    path: &Path,
    network: &MaskedNetwork,
    optimizer: &Optimizer,
    progress: Progress,
    settings: &Value,
) -> Result<()> {
    let mut parts = Vec::new();
    for parameter in network.parameters() {
        let numbers = [network.weights(), &optimizer.first, &optimizer.second, &optimizer.mean];
        for (part, numbers) in PARTS.into_iter().zip(numbers) {
            let bytes: Vec<u8> = numbers[parameter.range.clone()].iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push((format!("{part}/{}", parameter.name), parameter.shape.clone(), bytes));
        }
    }
    let damaged = |e: safetensors::SafeTensorError| Error::model("the state cannot be written").because(e);
    let mut views = Vec::with_capacity(parts.len());
    for (name, shape, bytes) in &parts {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(damaged)?));
    }
    // The header has a single entry, since several entries would be written in a random order.
    let run = serde_json::json!({ "progress": progress, "settings": settings });
    let header = HashMap::from([("run".to_string(), run.to_string())]);
    write(path, &safetensors::serialize(views, Some(header)).map_err(damaged)?)
}

/// Reads a state into weights of the same shapes. Returns the settings of the saved run, if the state has them.
///
/// # Errors
/// A damaged file, or a state of a model of other sizes.
pub fn load(path: &Path, network: &mut MaskedNetwork, optimizer: &mut Optimizer) -> Result<(Progress, Option<Value>)> {
    let name = path.display();
    let damaged = |e: safetensors::SafeTensorError| Error::model(format!("{name} is damaged")).because(e);
    let bytes = fs::read(path).map_err(|e| {
        Error::io(format!("cannot read {name}")).because(e).help("leave out --resume to start from the beginning")
    })?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let run: Run = header
        .metadata()
        .as_ref()
        .and_then(|m| serde_json::from_str(m.get("run")?).ok())
        .ok_or_else(|| Error::model(format!("{name} does not say where the run stands")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    for parameter in network.parameters().to_vec() {
        let Parameter { name: weight, shape, range, .. } = &parameter;
        let targets = [network.weights_mut(), &mut optimizer.first, &mut optimizer.second, &mut optimizer.mean];
        for (part, target) in PARTS.into_iter().zip(targets) {
            let view = file.tensor(&format!("{part}/{weight}")).map_err(damaged)?;
            if view.shape() != shape || view.dtype() != Dtype::F32 {
                return Err(Error::model(format!(
                    "{name}: {weight} has shape {:?}, the configuration says {shape:?}",
                    view.shape()
                )));
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            target[range.clone()].iter_mut().zip(numbers).for_each(|(x, bytes)| *x = f32::from_le_bytes(*bytes));
        }
    }
    Ok((run.progress, run.settings))
}

/// The differences between two settings, one line per key.
pub fn changes(key: &str, before: &Value, now: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (before.as_object(), now.as_object()) else {
        return if before == now { Vec::new() } else { vec![format!("{key}: {before} → {now}")] };
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let under = |name: &str| if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
    let one = |name: &String| {
        let [before, now] = [old, new].map(|values| values.get(name).unwrap_or(&Value::Null));
        changes(&under(name), before, now)
    };
    keys.into_iter().flat_map(one).collect()
}
