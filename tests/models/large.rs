//! A checkpoint of LLaDA-8B's shape with random weights: loaded with `--quantize q4k` in bounded memory, and asked for one
//! constrained step. It writes 16 GB, so it runs only where it is asked for:
//!
//! `cargo test --release large -- --ignored --nocapture`, with `STENCIL_LARGE` as the folder (a new one under the
//! system's temporary folder if not given). The folder is deleted afterwards.

use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};
use stencil_lm::{
    Model, Sampler, Settings,
    models::{
        Loading,
        checkpoint::{Checkpoint, Precision},
        families::describe,
        transformer::plan::TensorPlan,
    },
    spec::Spec,
};

const VOCAB: usize = 126_464;
const SHARDS: usize = 6;

fn config() -> Value {
    json!({"model_type": "llada", "architectures": ["LLaDAModelLM"], "d_model": 4096, "n_layers": 32, "n_heads": 32,
        "n_kv_heads": 32, "mlp_hidden_size": 12288, "vocab_size": VOCAB, "embedding_size": VOCAB, "rope_theta": 5e5,
        "rms_norm_eps": 1e-5, "block_type": "llama", "activation_type": "silu", "layer_norm_type": "rms",
        "weight_tying": false, "include_bias": false, "max_sequence_length": 4096, "mask_token_id": 126_336,
        "eos_token_id": 126_081, "pad_token_id": 126_081})
}

/// Every byte, and words of the letters a to z for the rest.
fn tokenizer() -> Value {
    let word = |mut n: usize| -> String {
        let mut letters = String::from("\u{120}");
        while n > 0 {
            letters.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
        }
        letters
    };
    let printable = (b'!'..=b'~').map(|b| char::from(b).to_string()).chain(["\u{120}".into(), "\u{10a}".into()]);
    let words = (1..).map(word).filter(|w| w.chars().count() > 2);
    let mut vocab = Map::new();
    for (id, text) in printable.chain(words).take(VOCAB - 2).enumerate() {
        vocab.insert(text, json!(id));
    }
    let texts: Vec<String> = vocab.keys().cloned().collect();
    let special = |id: usize, text: &str| {
        json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    };
    // The special tokens take the places of two words.
    for id in [126_081, 126_336] {
        vocab.remove(&texts[id]);
    }
    vocab.insert("<|endoftext|>".into(), json!(126_081));
    vocab.insert("<|mdm_mask|>".into(), json!(126_336));
    let added = [special(126_081, "<|endoftext|>"), special(126_336, "<|mdm_mask|>")];
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
           "pre_tokenizer": level, "post_processor": null, "decoder": level,
           "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                     "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                     "vocab": vocab, "merges": []}})
}

/// Random numbers of magnitude 1/64 to 1/32 as bf16, repeated as often as needed; ones for norms.
fn write_shard(path: &Path, tensors: &[&TensorPlan], noise: &[u8]) {
    let (mut header, mut offset) = (Map::new(), 0);
    for tensor in tensors {
        let end = offset + 2 * tensor.elements();
        header.insert(
            tensor.name.clone(),
            json!({"dtype": "BF16", "shape": tensor.shape, "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 22, File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    for tensor in tensors {
        let mut left = 2 * tensor.elements() as usize;
        if tensor.shape.len() == 1 {
            file.write_all(&[0x80, 0x3f].repeat(left / 2)).unwrap();
            left = 0;
        }
        while left > 0 {
            let piece = left.min(noise.len());
            file.write_all(&noise[..piece]).unwrap();
            left -= piece;
        }
    }
    file.flush().unwrap();
}

fn write_checkpoint(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), config().to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let mut state = 1u64;
    let mut noise = Vec::with_capacity(1 << 26);
    while noise.len() < 1 << 26 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (state >> 48) as u16;
        noise.extend(((bits & 0x807f) | 121 << 7).to_le_bytes());
    }
    let plan = describe(&config()).unwrap().plan;
    let tensors = plan.tensors();
    let mut map = Map::new();
    for (shard, tensors) in tensors.chunks(tensors.len().div_ceil(SHARDS)).enumerate() {
        let name = format!("model-{:05}-of-{SHARDS:05}.safetensors", shard + 1);
        write_shard(&folder.join(&name), tensors, &noise);
        map.extend(tensors.iter().map(|t| (t.name.clone(), json!(name))));
    }
    fs::write(folder.join("model.safetensors.index.json"), json!({"weight_map": map}).to_string()).unwrap();
}

/// A line of /proc/self/status, in GiB.
fn memory(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / f64::from(1 << 20)
}

/// Processor time of this process, in seconds, of all threads together.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
#[ignore = "writes 16 GB and takes minutes"]
fn a_model_of_eight_billion_weights_takes_a_constrained_step_in_four_bits() {
    let folder = std::env::var_os("STENCIL_LARGE").map(PathBuf::from);
    let folder =
        Folder(folder.unwrap_or_else(|| std::env::temp_dir().join(format!("stencil-8b-{}", std::process::id()))));
    let clock = Instant::now();
    write_checkpoint(&folder.0);
    println!("written in {:.0} s", clock.elapsed().as_secs_f64());

    let checkpoint = Checkpoint::open(&folder.0).unwrap();
    let (weights, needed) = (checkpoint.description.plan.parameters(), checkpoint.needed(Precision::Q4K));
    drop(checkpoint);
    assert!((7.9e9..8.1e9).contains(&(weights as f64)), "{weights}");
    let (clock, used) = (Instant::now(), cpu());
    let loading = Loading { precision: Some(Precision::Q4K), memory: None };
    let model = Model::load_with(&folder.0, &loading).unwrap();
    let seconds = clock.elapsed().as_secs_f64();
    println!("{weights} weights loaded as q4k in {seconds:.0} s, {:.0} s of processor time", cpu() - used);
    let announced = needed as f64 / f64::from(1 << 30);
    println!("memory: {announced:.1} GiB announced, {:.1} now, {:.1} at most", memory("VmRSS:"), memory("VmHWM:"));

    let spec = Spec::new().regex("[A-Z][a-z]{3,9} is [0-9]{2}\\.").unwrap();
    for steps in [1, 3] {
        let settings = Settings { steps: Some(steps), len: Some(32), ..Settings::default() };
        let (clock, used) = (Instant::now(), cpu());
        let prompt = "Write down a name and a number, please.";
        let output = Sampler::new(&model).spec(&spec).settings(settings).prompt(prompt).run().unwrap().remove(0);
        let seconds = clock.elapsed().as_secs_f64();
        assert!(output.report.verified, "{output:?}");
        let (text, nfe, own) = (&output.text, output.report.nfe, cpu() - used);
        println!("{text:?}: {nfe} forwards in {seconds:.1} s, {own:.1} s of processor time");
    }
    println!("memory: {:.1} GiB at most", memory("VmHWM:"));
    assert!(memory("VmHWM:") < announced + 2.0, "more memory than announced");
}
