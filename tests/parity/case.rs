//! Folders of reference checkpoints.

use candle_core::{DType, Device, Tensor};
use std::{
    collections::{BTreeSet, HashMap},
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
}

/// Where the reference checkpoints from the families' own code lie; None, loudly, where there are none.
pub fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("STENCIL_FIXTURES").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(given.is_none(), "STENCIL_FIXTURES: {} is not a directory", folder.display());
    eprintln!("SKIPPED: no reference checkpoints at {}; set STENCIL_FIXTURES to their folder", folder.display());
    None
}

/// Every folder with a checkpoint there, whatever its name, and those of this repository: odd shapes of each family, made
/// by `scripts/reference_checkpoints.py`.
pub fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references");
    let checkpoints = |folder: &PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let mut found: Vec<PathBuf> = entries.filter(|p| p.join("config.json").exists()).collect();
        found.sort();
        assert!(!found.is_empty(), "{} has no checkpoint", folder.display());
        found
    };
    folder().iter().chain([&own]).flat_map(checkpoints).collect()
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
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

/// All of them, loaded.
pub fn cases() -> Vec<Case> {
    folders().iter().map(|folder| Case::load(folder)).collect()
}

impl Case {
    pub fn load(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let description = describe(&config(folder)).unwrap();
        let weights = Weights::open(folder).unwrap();
        weights.check(&description.plan, &description.ignored).unwrap();
        let mut reader = weights.reader(Precision::F32);
        let network = Builder { tensors: &mut reader }.transformer(&description.plan).unwrap();
        let answers = folder.join("fixtures.safetensors");
        assert!(answers.exists(), "{} has a checkpoint, but no answers of a reference", folder.display());
        let tensors = candle_core::safetensors::load(answers, &Device::Cpu).unwrap();
        Self { name, description, network, tensors }
    }

    /// What stands before `suffix` in the names of tensors.
    pub fn inputs(&self, suffix: &str) -> Vec<String> {
        let names: BTreeSet<String> =
            self.tensors.keys().filter_map(|k| k.strip_suffix(suffix)).map(str::to_string).collect();
        names.into_iter().collect()
    }
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
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
