//! GGUF files of the masked families: LLaDA, LLaDA-MoE, Dream.
//!
//! The metadata is rewritten as the configuration of the family, so one description serves both formats. Tensors are
//! looked up under llama.cpp's names.

use super::device;
use super::map::{forget, map};
use crate::models::OrModel;
use crate::models::families::{Description, describe};
use crate::models::transformer::plan::{TensorPlan, TransformerPlan};
use crate::models::transformer::{Matrix, QuantisedMatrix, Tensors};
use crate::{Error, Result};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value as Meta};
use candle_core::{DType, Tensor};
use memmap2::Mmap;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap, io::Cursor, ops::Range, path::Path, sync::Arc};

/// Maximum size of a header. Parsed values take many times their bytes in the file.
const MOST_HEADER: usize = 64 << 20;
const AGAIN: &str = "download or copy the file again";
const HELP: &str = "a model is a directory with config.json, tokenizer.json and weights, or a GGUF file";

/// The supported architectures, by llama.cpp's names.
const ARCHITECTURES: &[(&str, Names)] = &[
    ("llada", Names { layers: "model.transformer.blocks.", parts: LLADA, interleaved: true }),
    ("llada-moe", Names { layers: "model.layers.", parts: QWEN, interleaved: false }),
    ("dream", Names { layers: "model.layers.", parts: QWEN, interleaved: false }),
];

/// The names of a family's tensors in a GGUF file.
struct Names {
    /// The prefix in front of a layer's number.
    layers: &'static str,
    /// The names outside and inside layers.
    parts: &'static [(&'static str, &'static str)],
    /// Whether the rows of queries and keys are stored in the order of interleaved rotary pairs.
    interleaved: bool,
}

const QWEN: &[(&str, &str)] = &[
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
];
const EXPERTS: &[(&str, &str)] =
    &[("gate_proj", "ffn_gate_exps"), ("up_proj", "ffn_up_exps"), ("down_proj", "ffn_down_exps")];
const LLADA: &[(&str, &str)] = &[
    ("model.transformer.wte", "token_embd"),
    ("model.transformer.ln_f", "output_norm"),
    ("model.transformer.ff_out", "output"),
    ("q_proj", "attn_q"),
    ("k_proj", "attn_k"),
    ("v_proj", "attn_v"),
    ("attn_out", "attn_output"),
    ("attn_norm", "attn_norm"),
    ("ff_norm", "ffn_norm"),
    ("ff_proj", "ffn_gate"),
    ("up_proj", "ffn_up"),
    ("ff_out", "ffn_down"),
];

/// A GGUF file, mapped into memory.
pub struct Gguf {
    map: Mmap,
    content: Content,
    architecture: usize,
}

/// One tensor, or one expert of a stack.
struct Found<'a> {
    kind: GgmlDType,
    bytes: &'a [u8],
    range: Range<usize>,
}

impl Gguf {
    /// Opens a file and checks that every tensor lies within it.
    ///
    /// # Errors
    /// A file that is missing or damaged, or an unsupported architecture; the error lists the supported ones.
    pub fn open(path: &Path) -> Result<Self> {
        let map = map(path).map_err(|e| Error::model("it cannot be read").because(e).help(AGAIN))?;
        if !map.starts_with(b"GGUF") {
            return Err(Error::model("it is no GGUF file").help(HELP));
        }
        let content = Content::read(&mut Cursor::new(&map[..map.len().min(MOST_HEADER)]))
            .map_err(|e| Error::model("it is a damaged GGUF file").because(e).help(AGAIN))?;
        let name = match content.metadata.get("general.architecture") {
            Some(Meta::String(name)) => name.clone(),
            _ => return Err(Error::model("it does not say which architecture it has").help(AGAIN)),
        };
        let Some(architecture) = ARCHITECTURES.iter().position(|(known, _)| *known == name) else {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
            return Err(Error::model(format!("the architecture {name:?} is not read from GGUF files"))
                .help(format!("known: {}", known.join(", "))));
        };
        let new = Self { map, content, architecture };
        for name in new.content.tensor_infos.keys() {
            new.range(name)?;
        }
        Ok(new)
    }

    /// The byte range of a tensor.
    fn range(&self, name: &str) -> Result<Range<usize>> {
        let outside = || Error::model(format!("tensor {name:?} lies outside the file")).help(AGAIN);
        let info = self.content.tensor_infos.get(name).ok_or_else(outside)?;
        let elements = info.shape.dims().iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(outside)?;
        let blocks = elements / info.ggml_dtype.block_size();
        let bytes = blocks.checked_mul(info.ggml_dtype.type_size()).ok_or_else(outside)?;
        let start = self.content.tensor_data_offset.checked_add(info.offset).ok_or_else(outside)? as usize;
        let end = start.checked_add(bytes).filter(|&end| end <= self.map.len()).ok_or_else(outside)?;
        Ok(start..end)
    }

    fn names(&self) -> &'static Names {
        &ARCHITECTURES[self.architecture].1
    }
    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }
    /// The metadata of a key.
    pub(super) fn meta(&self, key: &str) -> Option<&Meta> {
        self.content.metadata.get(key)
    }
    /// A number or text of the metadata as JSON.
    pub(super) fn value(&self, key: &str) -> Value {
        match self.meta(key) {
            Some(Meta::String(text)) => json!(text),
            Some(Meta::Bool(flag)) => json!(flag),
            Some(Meta::F32(x)) => json!(x),
            Some(Meta::F64(x)) => json!(x),
            Some(other) => other.to_u64().map_or(Value::Null, |n| json!(n)),
            None => Value::Null,
        }
    }
    /// The number of bytes per type of numbers.
    pub fn dtypes(&self) -> BTreeMap<String, u64> {
        let mut types = BTreeMap::new();
        for (name, info) in &self.content.tensor_infos {
            let bytes = self.range(name).map_or(0, |range| range.len() as u64);
            *types.entry(format!("{:?}", info.ggml_dtype)).or_default() += bytes;
        }
        types
    }

    /// The description of the model, from the metadata.
    ///
    /// # Errors
    /// Metadata that are missing, wrong or not supported.
    pub fn describe(&self) -> Result<Description> {
        let name = ARCHITECTURES[self.architecture].0;
        let own = |key: &str| self.value(&format!("{name}.{key}"));
        let scaling = match own("rope.scaling.type").as_str() {
            None | Some("none") => Value::Null,
            Some(kind @ ("linear" | "yarn")) => json!({"rope_type": kind, "factor": own("rope.scaling.factor"),
                "original_max_position_embeddings": own("rope.scaling.original_context_length")}),
            Some(kind) => {
                return Err(Error::unsupported(format!("rope scaling {kind:?} of GGUF files is not supported"))
                    .help("known kinds: none, linear, yarn"));
            }
        };
        let rows = self.content.tensor_infos.get("token_embd.weight").and_then(|info| info.shape.dims().first());
        let rows = rows.ok_or_else(|| Error::model("tensor \"token_embd.weight\" is missing").help(AGAIN))?;
        let tied = !self.has("output.weight");
        let token = |key: &str| self.value(&format!("tokenizer.ggml.{key}_token_id"));
        let tokens = json!({"mask_token_id": token("mask"), "eos_token_id": token("eos"),
                            "pad_token_id": token("padding"), "bos_token_id": token("bos")});
        let mut config = match name {
            "llada" => json!({
                "model_type": "llada", "d_model": own("embedding_length"), "n_layers": own("block_count"),
                "n_heads": own("attention.head_count"), "n_kv_heads": own("attention.head_count_kv"),
                "mlp_hidden_size": own("feed_forward_length"), "vocab_size": rows, "weight_tying": tied,
                "rope_theta": own("rope.freq_base"), "layer_norm_type": "rms",
                "rms_norm_eps": own("attention.layer_norm_rms_epsilon"), "max_sequence_length": own("context_length")}),
            _ => json!({
                "model_type": if name == "dream" { "Dream" } else { "llada_moe" },
                "hidden_size": own("embedding_length"), "num_hidden_layers": own("block_count"),
                "num_attention_heads": own("attention.head_count"), "head_dim": own("attention.key_length"),
                "num_key_value_heads": own("attention.head_count_kv"), "intermediate_size": own("feed_forward_length"),
                "vocab_size": rows, "tie_word_embeddings": tied, "rope_theta": own("rope.freq_base"),
                "rms_norm_eps": own("attention.layer_norm_rms_epsilon"),
                "max_position_embeddings": own("context_length"), "num_experts": own("expert_count"),
                "num_experts_per_tok": own("expert_used_count"), "norm_topk_prob": own("expert_weights_norm"),
                "expert_intermediate_size": own("expert_feed_forward_length"),
                "qk_layernorm": self.has("blk.0.attn_q_norm.weight")}),
        };
        if let (Some(config), Value::Object(tokens)) = (config.as_object_mut(), tokens) {
            config.extend(tokens);
            config.insert("rope_scaling".into(), scaling);
        }
        describe(&config)
    }

    /// The name of a tensor in the file, and the index of the expert in a stack.
    fn place(&self, name: &str) -> Option<(String, Option<usize>)> {
        let names = self.names();
        let (stem, end) = name.rsplit_once('.')?;
        let find = |stem: &str, parts: &[(_, &'static str)]| {
            parts.iter().find(|(known, _)| *known == stem).map(|(_, own)| *own)
        };
        let Some((layer, rest)) = stem.strip_prefix(names.layers).and_then(|rest| rest.split_once('.')) else {
            return Some((format!("{}.{end}", find(stem, names.parts)?), None));
        };
        match rest.strip_prefix("mlp.experts.").and_then(|rest| rest.split_once('.')) {
            Some((expert, part)) => {
                Some((format!("blk.{layer}.{}.{end}", find(part, EXPERTS)?), Some(expert.parse().ok()?)))
            }
            None => Some((format!("blk.{layer}.{}.{end}", find(rest, names.parts)?), None)),
        }
    }

    fn find(&self, plan: &TensorPlan) -> Result<Found<'_>> {
        let missing = || Error::model(format!("tensor {:?} is missing", plan.name)).help(AGAIN);
        let (name, expert) = self.place(&plan.name).ok_or_else(missing)?;
        let info = self.content.tensor_infos.get(&name).ok_or_else(missing)?;
        let shape = info.shape.dims();
        let (range, shape) = (self.range(&name)?, if expert.is_some() { shape.get(1..).unwrap_or(&[]) } else { shape });
        if shape != plan.shape {
            return Err(Error::model(format!("tensor {name:?} has shape {shape:?}, expected {:?}", plan.shape)));
        }
        let kind = info.ggml_dtype;
        let size = plan.elements() as usize / kind.block_size() * kind.type_size();
        let start = range.start + expert.unwrap_or(0) * size;
        let range = start..start + size;
        let bytes = self.map.get(range.clone()).ok_or_else(missing)?;
        Ok(Found { kind, bytes, range })
    }

    /// Checks the plan against the file.
    ///
    /// # Errors
    /// The first tensor that is missing or has another shape.
    pub fn check(&self, plan: &TransformerPlan) -> Result<()> {
        plan.tensors().into_iter().try_for_each(|tensor| self.find(tensor).map(|_| ()))
    }

    /// The memory of the weights in bytes: matrices as stored, tables in 16 bits, vectors in 32 bits.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn needed(&self, plan: &TransformerPlan) -> Result<u64> {
        let table = plan.embedding.elements().saturating_mul(2);
        let sizes = plan.tensors().into_iter().map(|tensor| Ok(self.find(tensor)?.bytes.len() as u64));
        Ok(sizes.collect::<Result<Vec<u64>>>()?.into_iter().fold(table, u64::saturating_add))
    }

    /// Reorders the rows of queries and keys for half-split rotary positions: row (head, half, i) of the checkpoint is
    /// row (head, i, half) of the file.
    fn ordered<'a>(&self, plan: &TensorPlan, bytes: &'a [u8], heads: usize) -> Cow<'a, [u8]> {
        let turned = [".q_proj.", ".k_proj."].iter().any(|part| plan.name.contains(part));
        if !self.names().interleaved || !turned {
            return Cow::Borrowed(bytes);
        }
        let rows = plan.shape[0];
        let (width, head) = (bytes.len() / rows.max(1), rows / heads.max(1));
        let source = |row: usize| {
            let (head_start, inside) = (row / head * head, row % head);
            head_start + inside % (head / 2) * 2 + inside / (head / 2)
        };
        Cow::Owned((0..rows).flat_map(|row| bytes[source(row) * width..][..width].iter().copied()).collect())
    }

    /// A reader of the tensors, in the precision in which they are stored.
    pub fn reader<'a>(&'a self, plan: &TransformerPlan) -> GgufReader<'a> {
        let attention = plan.layers.first().map(|layer| (layer.attention.heads, layer.attention.kv_heads));
        GgufReader { gguf: self, heads: attention.unwrap_or((1, 1)) }
    }
}

/// A reader of a GGUF file's tensors.
pub struct GgufReader<'a> {
    gguf: &'a Gguf,
    /// The numbers of query heads and key heads.
    heads: (usize, usize),
}

impl GgufReader<'_> {
    fn with<R>(&self, plan: &TensorPlan, read: impl FnOnce(GgmlDType, &[u8]) -> Result<R>) -> Result<R> {
        let Found { kind, bytes, range } = self.gguf.find(plan)?;
        let heads = if plan.name.contains(".q_proj.") { self.heads.0 } else { self.heads.1 };
        let done = read(kind, &self.gguf.ordered(plan, bytes, heads))?;
        forget(&self.gguf.map, &range);
        Ok(done)
    }
}

/// The type of plain numbers; `None` for quantised blocks.
fn plain(kind: GgmlDType) -> Option<DType> {
    match kind {
        GgmlDType::F32 => Some(DType::F32),
        GgmlDType::F16 => Some(DType::F16),
        GgmlDType::BF16 => Some(DType::BF16),
        _ => None,
    }
}

impl Tensors for GgufReader<'_> {
    fn tensor(&mut self, plan: &TensorPlan) -> Result<Tensor> {
        self.table(plan)?.to_dtype(DType::F32).or_model()
    }

    fn table(&mut self, plan: &TensorPlan) -> Result<Tensor> {
        self.with(plan, |kind, bytes| match plain(kind) {
            Some(dtype) => Ok(Tensor::from_raw_buffer(bytes, dtype, &plan.shape, &device()).or_model()?),
            None => {
                let columns = plan.shape.last().copied().unwrap_or(1);
                let rows = plan.shape.iter().product::<usize>() / columns.max(1);
                let packed = QuantisedMatrix::from_bytes(kind, bytes, (rows, columns)).or_model()?;
                let mut all = Vec::with_capacity(rows * columns);
                for row in 0..rows as u32 {
                    all.extend(packed.lookup(&[row]).or_model()?.into_iter().map(half::bf16::from_f32));
                }
                Ok(Tensor::from_vec(all, plan.shape.as_slice(), &device()).or_model()?)
            }
        })
    }

    fn matrices(&mut self, plan: &TensorPlan) -> Result<Vec<Matrix>> {
        let &[rows, columns] = &plan.shape[..] else {
            return Err(Error::model(format!("tensor {:?} is no matrix", plan.name)));
        };
        self.with(plan, |kind, bytes| {
            Ok(vec![match plain(kind) {
                Some(dtype) => {
                    Matrix::Dense(Tensor::from_raw_buffer(bytes, dtype, &[rows, columns], &device()).or_model()?)
                }
                None => {
                    Matrix::Quantised(Arc::new(QuantisedMatrix::from_bytes(kind, bytes, (rows, columns)).or_model()?))
                }
            }])
        })
    }
}
