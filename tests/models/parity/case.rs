//! Folders of reference checkpoints.

use candle_core::{DType, Device, Tensor};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use stencil_lm::models::{
    checkpoint::{Precision, Weights},
    families::{Description, describe},
    transformer::{Builder, Transformer},
};

/// One reference checkpoint.
pub struct Case {
    pub name: String,
    pub description: Description,
    pub network: Transformer,
    /// What the reference was asked and answered.
    tensors: HashMap<String, Tensor>,
    /// Names of those that have been looked at.
    seen: RefCell<BTreeSet<String>>,
}

/// Where further reference checkpoints lie, if somebody says so.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("STENCIL_FIXTURES")?);
    assert!(folder.is_dir(), "STENCIL_FIXTURES: {} is not a directory", folder.display());
    Some(folder)
}

/// Every folder with a checkpoint there, whatever its name and however deep, and those of this repository: odd shapes of
/// each family, made by `scripts/reference_checkpoints.py`. A folder with weights or answers but without a configuration is
/// a broken checkpoint, and among them.
pub fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references");
    let checkpoints = |folder: &PathBuf| {
        let found = below(folder, 3);
        assert!(!found.is_empty(), "{} has no checkpoint", folder.display());
        found
    };
    folder().iter().chain([&own]).flat_map(checkpoints).collect()
}

fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    entries.sort();
    let part = |p: &PathBuf| {
        p.file_name().is_some_and(|n| n == "config.json") || p.extension().is_some_and(|e| e == "safetensors")
    };
    if entries.iter().any(part) {
        return vec![folder.to_path_buf()];
    }
    let hidden = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    entries.retain(|p| p.is_dir() && !hidden(p));
    let found: Vec<PathBuf> = match depth {
        0 => Vec::new(),
        _ => entries.iter().flat_map(|entry| below(entry, depth - 1)).collect(),
    };
    if found.is_empty() {
        println!("IGNORED: {} has no checkpoint", folder.display());
    }
    found
}

/// Runs `check` on every folder; those that fail do not keep the others from being looked at.
#[allow(dead_code)]
pub fn each(check: impl Fn(&Path)) {
    let folders = folders();
    let failed = |folder: &&PathBuf| catch_unwind(AssertUnwindSafe(|| check(folder))).is_err();
    let failed: Vec<String> = folders.iter().filter(failed).map(|folder| folder.display().to_string()).collect();
    println!("{} checkpoints, {} of them failed", folders.len(), failed.len());
    assert!(failed.is_empty(), "failed, see above: {}", failed.join(", "));
}

/// The first of them whose network is of a family.
#[allow(dead_code)]
pub fn of_family(family: &str) -> PathBuf {
    let is = |folder: &PathBuf| describe(&config(folder)).unwrap().family == family;
    folders().into_iter().find(is).unwrap_or_else(|| panic!("no checkpoint of {family}"))
}

/// All tensors of a checkpoint, of one file or of shards.
#[allow(dead_code)]
pub fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let weights = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("model") && name.ends_with(".safetensors")
    };
    files.filter(weights).flat_map(|file| candle_core::safetensors::load(file, &Device::Cpu).unwrap()).collect()
}

pub fn config(folder: &Path) -> serde_json::Value {
    let file = folder.join("config.json");
    let text = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

impl Case {
    pub fn load(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let description = describe(&config(folder)).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let weights = Weights::open(folder).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let weights = weights.named_as(&description.plan);
        weights.check(&description.plan, &description.ignored).unwrap();
        let mut reader = weights.reader(Precision::F32);
        let network = Builder { tensors: &mut reader }.transformer(&description.plan).unwrap();
        let answers = folder.join("fixtures.safetensors");
        assert!(answers.exists(), "{} has a checkpoint, but no answers of a reference", folder.display());
        let tensors = candle_core::safetensors::load(answers, &Device::Cpu).unwrap();
        Self { name, description, network, tensors, seen: RefCell::default() }
    }

    /// What the reference answered and nobody has looked at, but for `known` beginnings.
    #[allow(dead_code)]
    pub fn unseen(&self, known: &[String]) -> Vec<&str> {
        let seen = self.seen.borrow();
        let new = |name: &&String| !seen.contains(*name) && !known.iter().any(|k| name.starts_with(&**k));
        let mut unseen: Vec<&str> = self.tensors.keys().filter(new).map(String::as_str).collect();
        unseen.sort();
        unseen
    }

    /// What stands before `suffix` in the names of tensors.
    pub fn inputs(&self, suffix: &str) -> Vec<String> {
        let names: BTreeSet<String> =
            self.tensors.keys().filter_map(|k| k.strip_suffix(suffix)).map(str::to_string).collect();
        names.into_iter().collect()
    }
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.seen.borrow_mut().insert(name.into());
        self.tensors.get(name)
    }
    /// Rows of whole numbers.
    pub fn ids(&self, name: &str) -> Option<Vec<Vec<u32>>> {
        let tensor = self.tensor(name)?.to_dtype(DType::U32).unwrap();
        Some(match tensor.rank() {
            1 => vec![tensor.to_vec1().unwrap()],
            _ => tensor.to_vec2().unwrap(),
        })
    }
    pub fn numbers(&self, name: &str) -> Option<Vec<f32>> {
        Some(self.tensor(name)?.flatten_all().unwrap().to_vec1().unwrap())
    }
    /// A table of logits for each text of a batch.
    pub fn tables(&self, name: &str) -> Option<Vec<Vec<Vec<f32>>>> {
        Some(self.tensor(name)?.to_vec3().unwrap())
    }
}
