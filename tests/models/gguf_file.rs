//! GGUF files, written as the public converter writes them.

use crate::parity::case;
use candle_core::{
    Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Value as Meta, write},
    },
};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
};

pub fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// llama.cpp's names for what stands in a layer, and outside.
const PARTS: &[(&str, &str)] = &[
    ("q_proj", "attn_q"),
    ("k_proj", "attn_k"),
    ("v_proj", "attn_v"),
    ("o_proj", "attn_output"),
    ("attn_out", "attn_output"),
    ("q_norm", "attn_q_norm"),
    ("k_norm", "attn_k_norm"),
    ("input_layernorm", "attn_norm"),
    ("attn_norm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("ff_norm", "ffn_norm"),
    ("gate_proj", "ffn_gate"),
    ("ff_proj", "ffn_gate"),
    ("up_proj", "ffn_up"),
    ("down_proj", "ffn_down"),
    ("ff_out", "ffn_down"),
    ("gate", "ffn_gate_inp"),
];

/// What the public converter does to a tensor of a checkpoint: its name, and the turned rows of LLaDA's queries and
/// keys.
fn convert(name: &str, tensor: &Tensor, llada: Option<(usize, usize)>) -> (String, Tensor) {
    let parts: Vec<&str> = name.split('.').collect();
    let outside = match name {
        "model.embed_tokens.weight" | "model.transformer.wte.weight" => Some("token_embd.weight"),
        "model.norm.weight" | "model.transformer.ln_f.weight" => Some("output_norm.weight"),
        "lm_head.weight" | "model.transformer.ff_out.weight" => Some("output.weight"),
        _ => None,
    };
    if let Some(outside) = outside {
        return (outside.into(), tensor.clone());
    }
    let layer = parts.iter().find(|p| p.parse::<usize>().is_ok()).unwrap();
    let (part, end) = (parts[parts.len() - 2], parts[parts.len() - 1]);
    let own = PARTS.iter().find(|(known, _)| *known == part).unwrap_or_else(|| panic!("{name}")).1;
    let tensor = match llada {
        Some((queries, keys)) if matches!(part, "q_proj" | "k_proj") => {
            let heads = if part == "q_proj" { queries } else { keys };
            let (rows, columns) = tensor.dims2().unwrap();
            let halves = tensor.reshape((heads, 2, rows / heads / 2, columns)).unwrap();
            halves.transpose(1, 2).unwrap().contiguous().unwrap().reshape((rows, columns)).unwrap()
        }
        _ => tensor.clone(),
    };
    (format!("blk.{layer}.{own}.{end}"), tensor)
}

/// Experts of a layer as one tensor, as the converter stacks them.
fn stacked(tensors: &HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let mut stacks: HashMap<String, Vec<(usize, Tensor)>> = HashMap::new();
    for (name, tensor) in tensors.iter().filter(|(name, _)| name.contains(".experts.")) {
        let parts: Vec<&str> = name.split('.').collect();
        let own = PARTS.iter().find(|(known, _)| *known == parts[6]).unwrap().1;
        stacks
            .entry(format!("blk.{}.{own}_exps.weight", parts[2]))
            .or_default()
            .push((parts[5].parse().unwrap(), tensor.clone()));
    }
    let stack = |(name, mut experts): (String, Vec<(usize, Tensor)>)| {
        experts.sort_by_key(|(expert, _)| *expert);
        let all: Vec<Tensor> = experts.into_iter().map(|(_, tensor)| tensor).collect();
        (name, Tensor::stack(&all, 0).unwrap())
    };
    stacks.into_iter().map(stack).collect()
}

/// Writes a GGUF file from a checkpoint directory; matrices as `kind` where their rows fill its blocks.
pub fn to_gguf(folder: &Path, architecture: &str, kind: GgmlDType, path: &Path) {
    let (config, tokenizer) = (json_of(&folder.join("config.json")), json_of(&folder.join("tokenizer.json")));
    let tensors = case::tensors(folder);
    let size = config["vocab_size"].as_u64().unwrap() as usize;
    let heads_of = |key: &str| config[key].as_u64().map(|n| n as usize);
    let heads = heads_of("n_heads").filter(|_| architecture == "llada");
    let heads = heads.map(|n| (n, heads_of("n_kv_heads").unwrap_or(n)));
    let (experts, plain): (HashMap<_, _>, HashMap<_, _>) =
        tensors.into_iter().partition(|(name, _)| name.contains(".experts."));
    let mut all: HashMap<String, Tensor> = plain.iter().map(|(name, t)| convert(name, t, heads)).collect();
    all.extend(stacked(&experts));
    let quantize = |tensor: &Tensor| {
        let fits = tensor.rank() > 1 && tensor.dims().last().unwrap().is_multiple_of(kind.block_size());
        QTensor::quantize(tensor, if fits { kind } else { GgmlDType::F32 }).unwrap()
    };
    let all: Vec<(String, QTensor)> = all.iter().map(|(name, tensor)| (name.clone(), quantize(tensor))).collect();

    let number = |keys: &[&str]| keys.iter().find_map(|key| config[*key].as_u64()).map(|n| Meta::U32(n as u32));
    let real = |key: &str| config[key].as_f64().map(|x| Meta::F32(x as f32));
    let own = |key: &str| format!("{architecture}.{key}");
    let mut texts: Vec<String> = vec![String::new(); size];
    let mut kinds = vec![Meta::I32(5); size];
    for (text, id) in tokenizer["model"]["vocab"].as_object().unwrap() {
        texts[id.as_u64().unwrap() as usize] = text.clone();
        kinds[id.as_u64().unwrap() as usize] = Meta::I32(1);
    }
    for token in tokenizer["added_tokens"].as_array().unwrap() {
        let id = token["id"].as_u64().unwrap() as usize;
        texts[id] = token["content"].as_str().unwrap().into();
        kinds[id] = Meta::I32(3);
    }
    texts.iter_mut().enumerate().filter(|(_, t)| t.is_empty()).for_each(|(id, t)| *t = format!("[PAD{id}]"));
    let merge = |m: &Value| match m {
        Value::String(text) => text.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    };
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter().map(|m| Meta::String(merge(m)));
    let scaling = &config["rope_scaling"];
    let length = scaling["original_max_position_embeddings"].as_u64().map(|n| Meta::U32(n as u32));
    let token = |key: &str| config[key].as_u64().map(|n| Meta::U32(n as u32));
    let entries: Vec<(String, Option<Meta>)> = vec![
        ("general.architecture".into(), Some(Meta::String(architecture.into()))),
        (own("embedding_length"), number(&["d_model", "hidden_size"])),
        (own("block_count"), number(&["n_layers", "num_hidden_layers"])),
        (own("attention.head_count"), number(&["n_heads", "num_attention_heads"])),
        (own("attention.head_count_kv"), number(&["n_kv_heads", "num_key_value_heads"])),
        (own("feed_forward_length"), number(&["mlp_hidden_size", "intermediate_size"])),
        (own("expert_feed_forward_length"), number(&["expert_intermediate_size"])),
        (own("expert_count"), number(&["num_experts"])),
        (own("expert_used_count"), number(&["num_experts_per_tok"])),
        (own("context_length"), number(&["max_sequence_length", "max_position_embeddings"])),
        (own("rope.freq_base"), real("rope_theta")),
        (own("attention.layer_norm_rms_epsilon"), real("rms_norm_eps")),
        (own("rope.scaling.type"), scaling["rope_type"].as_str().map(|kind| Meta::String(kind.into()))),
        (own("rope.scaling.factor"), scaling["factor"].as_f64().map(|x| Meta::F32(x as f32))),
        (own("rope.scaling.original_context_length"), length),
        ("tokenizer.ggml.model".into(), Some(Meta::String("gpt2".into()))),
        ("tokenizer.ggml.pre".into(), Some(Meta::String("gpt-2".into()))),
        ("tokenizer.ggml.tokens".into(), Some(Meta::Array(texts.into_iter().map(Meta::String).collect()))),
        ("tokenizer.ggml.token_type".into(), Some(Meta::Array(kinds))),
        ("tokenizer.ggml.merges".into(), Some(Meta::Array(merges.collect()))),
        ("tokenizer.ggml.mask_token_id".into(), token("mask_token_id")),
        ("tokenizer.ggml.eos_token_id".into(), token("eos_token_id")),
    ];
    let entries: Vec<(String, Meta)> = entries.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
    let metadata: Vec<(&str, &Meta)> = entries.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tensors: Vec<(&str, &QTensor)> = all.iter().map(|(k, v)| (k.as_str(), v)).collect();
    write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
}
