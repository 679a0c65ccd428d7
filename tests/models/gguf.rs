//! GGUF files written from reference checkpoints, and weights in fewer bits.

use crate::common::process;
use crate::gguf_file as file;
use crate::parity::case;

use candle_core::{
    Device, Tensor,
    quantized::{
        GgmlDType,
        gguf_file::{Value as Meta, write},
    },
};
use file::to_gguf;
use serde_json::json;
use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};
use stencil_lm::{
    CanvasView, Model, Sampler, Scores, Settings,
    models::{Loading, checkpoint::Precision, families::describe},
    spec::Spec,
};

struct Folder(PathBuf);

impl Folder {
    fn new(purpose: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stencil-gguf-{}-{purpose}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A small LLaDA-MoE with random weights.
fn mixture(folder: &Path) {
    let config = json!({"model_type": "llada_moe", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 131,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96,
        "expert_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2, "qk_layernorm": true,
        "rope_theta": 5e4, "rms_norm_eps": 1e-5, "max_position_embeddings": 256, "mask_token_id": 130,
        "eos_token_id": 128, "tie_word_embeddings": false});
    let plan = describe(&config).unwrap().plan;
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.4
    };
    let tensor = |plan: &stencil_lm::models::transformer::plan::TensorPlan| {
        let shift = if plan.shape.len() == 1 { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..plan.elements()).map(|_| random() + shift).collect();
        (plan.name.clone(), Tensor::from_vec(values, plan.shape.as_slice(), &Device::Cpu).unwrap())
    };
    let tensors: HashMap<String, Tensor> = plan.tensors().into_iter().map(tensor).collect();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references/llada-grouped-tied");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::write(folder.join(name), fs::read(tokenizer.join(name)).unwrap()).unwrap();
    }
}

fn views(model: &Model) -> Vec<CanvasView> {
    let prompt = model.denoiser().vocab().encode("Name a river, now.").unwrap();
    vec![
        CanvasView { prompt: prompt.clone().into(), condition: None, tokens: vec![None; 9] },
        CanvasView { prompt: prompt.into(), condition: None, tokens: vec![Some(40), None, None, Some(77), None] },
    ]
}

/// Largest difference of a row of scores, the median over the rows, and the largest score. The median, since a router
/// whose numbers change a little may choose other experts for some token.
fn difference(a: &[Scores], b: &[Scores]) -> (f32, f32) {
    let rows = |scores: &Scores| (0..scores.len()).map(|pos| scores.row(pos).to_vec()).collect::<Vec<_>>();
    let (a, b): (Vec<_>, Vec<_>) = (a.iter().flat_map(rows).collect(), b.iter().flat_map(rows).collect());
    // What is never written has a score far below.
    let largest = a.iter().flatten().filter(|x| **x > -1e3).fold(0.0, |m: f32, x| m.max(x.abs()));
    let row = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
    let mut rows: Vec<f32> = a.iter().zip(&b).map(row).collect();
    rows.sort_by(f32::total_cmp);
    (rows[rows.len() / 2], largest)
}

/// Whether checkpoints of unknown shapes are among those tested.
fn foreign() -> bool {
    std::env::var_os("STENCIL_FIXTURES").is_some()
}

#[test]
fn gguf_files_say_what_the_checkpoints_say_that_they_were_made_of() {
    let mixed = Folder::new("mixture");
    mixture(&mixed.0);
    let architecture = |folder: PathBuf| {
        let config = case::config(&folder);
        // What llama.cpp's converter does not write down.
        let scaling = &config["rope_scaling"];
        let plain = config["include_bias"] != true && config["embedding_size"] == config["vocab_size"];
        let known = matches!(scaling["rope_type"].as_str(), None | Some("linear" | "yarn"));
        let known = known && scaling.get("attention_factor").is_none();
        match describe(&config).unwrap().family {
            "LLaDA" if plain => Some(("llada", folder)),
            "Dream" if known => Some(("dream", folder)),
            _ => None,
        }
    };
    let folders: Vec<(&str, PathBuf)> = case::folders().into_iter().filter_map(architecture).collect();
    assert!(folders.len() >= 2);
    for (architecture, folder) in folders.into_iter().chain([("llada-moe", mixed.0.clone())]) {
        let out = Folder::new(architecture);
        let (original, path) = (Model::load(&folder).unwrap(), out.0.join("model.gguf"));
        let expected = original.denoiser().predict(&views(&original)).unwrap();
        for (kind, bound) in
            [(GgmlDType::F32, 1e-4), (GgmlDType::F16, 0.02), (GgmlDType::Q8_0, 0.05), (GgmlDType::Q4_0, 0.6)]
        {
            to_gguf(&folder, architecture, kind, &path);
            let model = Model::load(&path).unwrap_or_else(|e| panic!("{architecture} {kind:?}: {}", e.report()));
            assert_eq!(views(&model), views(&original), "{architecture}: the tokenizers differ");
            let (worst, largest) = difference(&expected, &model.denoiser().predict(&views(&model)).unwrap());
            println!("{architecture} as {kind:?}: {worst:.1e} of {largest:.1}");
            // How much fewer bits lose is known of known shapes only.
            let bounded = kind == GgmlDType::F32 || !foreign();
            assert!(!bounded || worst <= bound * largest.max(1.0), "{architecture} as {kind:?}: {worst} of {largest}");
            let spec = Spec::new().regex("[A-Z][a-z]{2,8}").unwrap();
            let settings = Settings { len: Some(12), steps: Some(4), ..Settings::default() };
            assert!(Sampler::new(&model).spec(&spec).settings(settings).run().unwrap()[0].report.verified);
        }
        let good = fs::read(&path).unwrap();
        // Up to 31 bytes at the end are padding.
        for len in [8, 100, good.len() / 2, good.len() - 32] {
            fs::write(&path, &good[..len]).unwrap();
            let report = Model::load(&path).err().expect("a truncated file").report();
            assert!(report.contains("damaged") || report.contains("outside the file"), "{len}: {report}");
        }
    }
}

#[test]
fn angles_are_stretched_as_the_configuration_says() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/references/dream-tied");
    let out = Folder::new("angles");
    let path = out.0.join("model.gguf");
    for entry in fs::read_dir(&own).unwrap().map(|e| e.unwrap().path()) {
        fs::write(out.0.join(entry.file_name().unwrap()), fs::read(&entry).unwrap()).unwrap();
    }
    let plain = Model::load(&out.0).unwrap();
    for scaling in [
        json!({"rope_type": "linear", "factor": 2.5}),
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
    ] {
        let mut config = case::config(&own);
        config["rope_scaling"] = scaling;
        fs::write(out.0.join("config.json"), config.to_string()).unwrap();
        to_gguf(&out.0, "dream", GgmlDType::F32, &path);
        let [ours, theirs, without] = [Model::load(&path).unwrap(), Model::load(&out.0).unwrap(), plain.clone()]
            .map(|model| model.denoiser().predict(&views(&model)).unwrap());
        assert!(difference(&ours, &theirs).0 < 1e-5 && difference(&ours, &without).0 > 1e-3, "{config}");
    }
}

#[test]
fn unknown_architectures_and_quantising_twice_are_refused() {
    let out = Folder::new("unknown");
    let path = out.0.join("model.gguf");
    let name = Meta::String("llama".into());
    write(&mut File::create(&path).unwrap(), &[("general.architecture", &name)], &[]).unwrap();
    assert!(Model::load(&path).err().unwrap().report().contains("known: llada, llada-moe, dream"));
    fs::write(&path, b"not a model").unwrap();
    assert!(Model::load(&path).err().unwrap().report().contains("no GGUF file"));
    to_gguf(&case::of_family("Dream"), "dream", GgmlDType::Q8_0, &path);
    let loading = Loading { precision: Some(Precision::Q4K), memory: None };
    assert!(Model::load_with(&path, &loading).err().unwrap().report().contains("cannot be quantised again"));
}

#[test]
fn fewer_bits_change_little() {
    for folder in case::folders().into_iter().filter(|f| f.join("tokenizer.json").exists()) {
        let load = |precision| Model::load_with(&folder, &Loading { precision, memory: None }).unwrap();
        let original = load(None);
        let expected = original.denoiser().predict(&views(&original)).unwrap();
        for (precision, bound) in [(Precision::Half, 0.05), (Precision::Q8_0, 0.05), (Precision::Q4K, 0.2)] {
            let model = load(Some(precision));
            let (worst, largest) = difference(&expected, &model.denoiser().predict(&views(&model)).unwrap());
            println!("{} as {}: {worst:.1e} of {largest:.1}", folder.display(), precision.name());
            // Of unknown shapes logits may all be at their cap.
            assert!(foreign() || worst > 0.0, "{}", folder.display());
            assert!(foreign() || worst <= bound * largest.max(1.0), "{}: {worst}", folder.display());
        }
    }
}

/// A GGUF file of one entry of metadata, whose type and bytes are given.
fn with_entry(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend([0u64.to_le_bytes(), 1u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
    file.push(b'k');
    file.extend(kind.to_le_bytes());
    file.extend(bytes);
    file
}

#[test]
fn hostile_headers_are_refused_and_cost_nothing() {
    let out = Folder::new("hostile");
    let path = out.0.join("model.gguf");
    let (string, array, many) = (8u32, 9u32, u64::MAX.to_le_bytes());
    let counts = |tensors: u64, entries: u64| {
        [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes()].concat()
    };
    // Lists in lists, half a million deep.
    let nested: Vec<u8> = [array.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat().repeat(500_000);
    let files = [
        counts(u64::MAX, 0),
        counts(0, u64::MAX),
        counts(1 << 40, 1 << 40),
        with_entry(string, &many),
        with_entry(string, &(1u64 << 62).to_le_bytes()),
        with_entry(array, &[&4u32.to_le_bytes()[..], &many].concat()),
        with_entry(array, &[&string.to_le_bytes()[..], &(1u64 << 61).to_le_bytes()].concat()),
        with_entry(array, &nested),
        with_entry(99, &[0; 64]),
    ];
    for (i, file) in files.iter().enumerate() {
        fs::write(&path, file).unwrap();
        let report = Model::load(&path).err().unwrap_or_else(|| panic!("{i} was loaded")).report();
        assert!(report.contains("a damaged GGUF file"), "{i}: {report}");
    }
    // Sizes that overflow when they are multiplied, and places far outside.
    to_gguf(&case::of_family("Dream"), "dream", GgmlDType::F32, &path);
    let good = fs::read(&path).unwrap();
    let name = good.windows(17).position(|w| w == b"token_embd.weight").unwrap() + 17;
    let dims = name + 4;
    for (place, value) in
        [(dims, u64::MAX), (dims, 1 << 62), (dims + 8, 1 << 40), (dims + 20, u64::MAX), (dims + 20, 1 << 50)]
    {
        let mut file = good.clone();
        file[place..place + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, &file).unwrap();
        let report = Model::load(&path).err().unwrap_or_else(|| panic!("{place} was loaded")).report();
        assert!(!report.contains("panicked") && report.contains("model.gguf"), "{report}");
    }
}

#[test]
fn files_are_inspected_and_written_with_on_the_command_line() {
    let out = Folder::new("command line");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references/llada-grouped-tied");
    let path = out.0.join("model.gguf");
    to_gguf(&folder, "llada", GgmlDType::F32, &path);
    let (file, folder) = (path.to_str().unwrap(), folder.to_str().unwrap());
    let write = |model: &str| {
        let args = ["run", "-m", model, "Hi", "--regex", "[a-z]{9}", "--temperature", "0"];
        process::stencil(&args).expect(0).out
    };
    assert_eq!(write(file), write(folder));
    let table = process::stencil(&["models", "inspect", file]).expect(0).out;
    assert!(table.contains("6 heads of 4, 2 of keys") && table.contains("as it is stored"), "{table}");
    let facts = process::stencil(&["models", "inspect", file, "--json"]).expect(0).json().remove(0);
    assert!(facts["memory"]["gguf"].is_u64() && facts["mask"] == 130, "{facts}");
    process::stencil(&["run", "-m", file, "--quantize", "q4k", "Hi"]).fails(2, &["cannot be quantised again", "help:"]);
    fs::write(&path, &fs::read(&path).unwrap()[..2000]).unwrap();
    let ran = process::stencil(&["run", "-m", file, "Hi"]).fails(2, &["a damaged GGUF file", "download or copy"]);
    assert!(!ran.err.contains("candle"), "{}", ran.err);
}
