#!/usr/bin/env python3
"""Writes tiny checkpoints of every family in odd shapes, with the answers of reference implementations.

    scripts/reference_checkpoints.py tests/references      # installs what it needs below target/

The families' own code is not on PyPI, the networks they are made of are: each reference is a network of `transformers`
under the attention mask and the tensor names of the family (LLaDA: Llama; Dream: Qwen2; SDAR: Qwen3; LLaDA-MoE: Qwen3-MoE;
LLaDA2: GLM-4-MoE; DiffusionGemma: itself, with its own `generate`). MDLM's diffusion transformer is written out below.
With --check DIR the same networks are held against checkpoints that came from the families' own code.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

PACKAGES = ["torch", "numpy", "safetensors", "transformers==5.23.0"]


def ensure_packages():
    """Goes on if the packages are there; else runs the script again in an environment of its own, made from PyPI."""
    try:
        import safetensors, torch, transformers  # noqa: F401, E401
        return
    except ImportError:
        pass
    venv = pathlib.Path(__file__).resolve().parents[1] / "target" / "references-venv"
    if pathlib.Path(sys.prefix) == venv:
        sys.exit(f"{venv} lacks some of {PACKAGES}: remove it and run again")
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(venv / "bin" / "python", [venv / "bin" / "python", *sys.argv])


ensure_packages()
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
import transformers  # noqa: E402

torch.set_grad_enabled(False)
torch.set_num_threads(1)


# --- networks ---------------------------------------------------------------------------------------------------------


def blocks(length, size):
    """Additive mask: position i sees j iff j's block is not later; everything if there are no blocks."""
    block = torch.arange(length) // (size or length)
    return torch.where(block[:, None] >= block[None, :], 0.0, float("-inf"))[None, None]


class Stand:
    """A network of `transformers` that computes what a family's own code computes."""

    def __init__(self, network, bias=None):
        self.network, self.bias = network.eval(), bias

    def logits(self, ids, block=None, attention_mask=None):
        mask, positions = blocks(ids.shape[1], block).expand(len(ids), -1, -1, -1), None
        positions = torch.arange(ids.shape[1]).expand(len(ids), -1)
        if attention_mask is not None:
            seen = attention_mask[:, None, :, None] * attention_mask[:, None, None, :]
            mask = torch.where(seen.bool() | torch.eye(ids.shape[1]).bool(), mask, float("-inf"))
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        logits = self.network(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
        return logits if self.bias is None else logits + self.bias


def build(kind, config, tensors):
    """A network of a kind, filled with tensors under its own names."""
    settings = getattr(transformers, f"{kind}Config")(**config)
    settings._attn_implementation = settings._experts_implementation = "eager"
    network = getattr(transformers, f"{kind}ForCausalLM")(settings)
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    missing = [m for m in missing if not (m == "lm_head.weight" and config.get("tie_word_embeddings"))]
    assert not missing and not unexpected, (missing, unexpected)
    network.tie_weights()
    return network


def rope(config):
    share = config.get("partial_rotary_factor", 1.0)
    plain = {"rope_type": "default", "rope_theta": float(config["rope_theta"]), "partial_rotary_factor": share}
    return plain | (config.get("rope_scaling") or {})


def stack_experts(tensors, count):
    """Experts one by one, as checkpoints have them, into the stacks that `transformers` has."""
    out = {}
    for name, tensor in tensors.items():
        if ".experts." not in name or ".shared" in name:
            out[name] = tensor
    for prefix in sorted({n.split(".experts.")[0] for n in tensors if ".experts." in n}):
        part = lambda e, p: tensors[f"{prefix}.experts.{e}.{p}_proj.weight"]  # noqa: E731
        both = [torch.cat([part(e, "gate"), part(e, "up")]) for e in range(count)]
        out[f"{prefix}.experts.gate_up_proj"] = torch.stack(both)
        out[f"{prefix}.experts.down_proj"] = torch.stack([part(e, "down") for e in range(count)])
    return out


def llada(config, tensors):
    c, names = config, {"attn_norm": "input_layernorm", "ff_norm": "post_attention_layernorm", "attn_out": "self_attn.o_proj",
                        "q_proj": "self_attn.q_proj", "k_proj": "self_attn.k_proj", "v_proj": "self_attn.v_proj",
                        "ff_proj": "mlp.gate_proj", "up_proj": "mlp.up_proj", "ff_out": "mlp.down_proj"}
    top = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}
    out = {}
    for name, tensor in tensors.items():
        parts = name.removeprefix("model.transformer.").split(".")
        layer = parts[0] == "blocks"
        own = f"model.layers.{parts[1]}.{names[parts[2]]}" if layer else top[parts[0]]
        out[f"{own}.{parts[-1]}"] = tensor
    bias = out.pop("lm_head.bias", None)
    kv = c["n_kv_heads"] or (1 if c.get("multi_query_attention") else c["n_heads"])
    return Stand(build("Llama", dict(
        hidden_size=c["d_model"], num_hidden_layers=c["n_layers"], num_attention_heads=c["n_heads"], num_key_value_heads=kv,
        intermediate_size=c["mlp_hidden_size"], vocab_size=c["embedding_size"], rms_norm_eps=c["rms_norm_eps"],
        tie_word_embeddings=c["weight_tying"], attention_bias=c["include_bias"], mlp_bias=c["include_bias"],
        max_position_embeddings=c["max_sequence_length"], rope_parameters=rope(c)), out), bias)


def qwen(kind, config, tensors, **more):
    plain = ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
             "vocab_size", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "head_dim", "attention_bias"]
    known = {k: config[k] for k in plain if k in config}
    known["rope_parameters"] = rope(config)
    return Stand(build(kind, known | more, tensors))


def dream(config, tensors):
    return qwen("Qwen2", config, tensors)


def sdar(config, tensors):
    return qwen("Qwen3", config, tensors)


def llada_moe(config, tensors):
    c, dense = config, [i for i, moe in enumerate(config["moe_layer_freq"]) if not moe]
    return qwen("Qwen3Moe", c, stack_experts(tensors, c["num_experts"]), intermediate_size=c["dense_intermediate_size"],
                moe_intermediate_size=c["expert_intermediate_size"], num_experts=c["num_experts"], mlp_only_layers=dense,
                num_experts_per_tok=c["num_experts_per_tok"], norm_topk_prob=c["norm_topk_prob"],
                head_dim=c["hidden_size"] // c["num_attention_heads"])


def llada2(config, tensors):
    c, out = config, {}
    rows = [c["num_attention_heads"] * c["head_dim"]] + 2 * [c["num_key_value_heads"] * c["head_dim"]]
    names = {"attention.dense": "self_attn.o_proj", "attention.query_layernorm": "self_attn.q_norm",
             "attention.key_layernorm": "self_attn.k_norm", "mlp.gate.expert_bias": "mlp.gate.e_score_correction_bias",
             "model.word_embeddings": "model.embed_tokens"}
    for name, tensor in tensors.items():
        if "query_key_value" in name:
            for part, rows_of in zip("qkv", tensor.split(rows)):
                out[name.replace("attention.query_key_value", f"self_attn.{part}_proj")] = rows_of
            continue
        for old, new in names.items():
            name = name.replace(old, new)
        out[name] = tensor
    return qwen("Glm4Moe", c, stack_experts(out, c["num_experts"]), use_qk_norm=True, n_group=c["n_group"],
                topk_group=c["topk_group"], norm_topk_prob=True, routed_scaling_factor=c["routed_scaling_factor"],
                n_routed_experts=c["num_experts"], num_local_experts=c["num_experts"],
                num_experts_per_tok=c["num_experts_per_tok"], n_shared_experts=c["num_shared_experts"],
                first_k_dense_replace=c["first_k_dense_replace"], moe_intermediate_size=c["moe_intermediate_size"])


class Mdlm:
    """A diffusion transformer with adaptive norms, written out: MDLM's own code needs kernels for GPUs."""

    def __init__(self, config, tensors):
        self.c, self.t = config, {k.removeprefix("backbone."): v for k, v in tensors.items()}

    def linear(self, name, x):
        return F.linear(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.t[f"{name}.weight"], None, 1e-5)

    def logits(self, ids, sigma=0.0):
        heads, (count, length) = self.c["n_heads"], ids.shape
        head = self.c["hidden_dim"] // heads
        waves = torch.exp(-math.log(10000) * torch.arange(128) / 128) * sigma
        condition = self.linear("sigma_map.mlp.0", torch.cat([waves.cos(), waves.sin()]))
        condition = F.silu(self.linear("sigma_map.mlp.2", F.silu(condition)))
        angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, head, 2) / head)
        cos, sin = (torch.cat([f(angles)] * 2, -1) for f in (torch.cos, torch.sin))
        turn = lambda x: x * cos + torch.cat([-x[..., head // 2 :], x[..., : head // 2]], -1) * sin  # noqa: E731
        x = self.t["vocab_embed.embedding"][ids]
        for i in range(self.c["n_blocks"]):
            shift1, scale1, gate1, shift2, scale2, gate2 = self.linear(f"blocks.{i}.adaLN_modulation", condition).chunk(6)
            y = self.norm(f"blocks.{i}.norm1", x) * (1 + scale1) + shift1
            q, k, v = self.linear(f"blocks.{i}.attn_qkv", y).view(count, length, 3, heads, head).permute(2, 0, 3, 1, 4)
            seen = (turn(q) @ turn(k).transpose(-1, -2) / math.sqrt(head)).softmax(-1) @ v
            x = x + gate1 * self.linear(f"blocks.{i}.attn_out", seen.transpose(1, 2).reshape(count, length, -1))
            y = self.norm(f"blocks.{i}.norm2", x) * (1 + scale2) + shift2
            y = F.gelu(self.linear(f"blocks.{i}.mlp.0", y), approximate="tanh")
            x = x + gate2 * self.linear(f"blocks.{i}.mlp.2", y)
        shift, scale = self.linear("output_layer.adaLN_modulation", condition).chunk(2)
        return self.linear("output_layer.linear", self.norm("output_layer.norm_final", x) * (1 + scale) + shift)


# --- weights ----------------------------------------------------------------------------------------------------------


def draw(shapes, seed, spread=0.25):
    """Random weights: norms around 1, embeddings wide, so that the largest logits stand apart."""
    generator, out = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if any(part in name for part in ("norm", "ln_f")):
            values = 1 + 0.1 * values
        elif not any(part in name for part in ("wte", "embed")):
            values = spread * values
        out[name] = values
    return out


def linear(shapes, name, rows, columns, bias=False):
    shapes[f"{name}.weight"] = (rows, columns)
    if bias:
        shapes[f"{name}.bias"] = (rows,)


def mlp(shapes, name, width, hidden):
    for part, (rows, columns) in {"gate": (width, hidden), "up": (width, hidden), "down": (hidden, width)}.items():
        linear(shapes, f"{name}.{part}_proj", rows, columns)


def llada_shapes(c):
    kv = c["n_kv_heads"] or (1 if c.get("multi_query_attention") else c["n_heads"])
    hidden, width, bias = c["d_model"], c["mlp_hidden_size"], c["include_bias"]
    shapes, root = {}, "model.transformer"
    shapes[f"{root}.wte.weight"], shapes[f"{root}.ln_f.weight"] = (c["embedding_size"], hidden), (hidden,)
    if not c["weight_tying"]:
        linear(shapes, f"{root}.ff_out", c["embedding_size"], hidden, bias)
    for i in range(c["n_layers"]):
        block = f"{root}.blocks.{i}"
        shapes[f"{block}.attn_norm.weight"] = shapes[f"{block}.ff_norm.weight"] = (hidden,)
        rows = kv * hidden // c["n_heads"]
        for part, (out, inputs) in {"q_proj": (hidden, hidden), "k_proj": (rows, hidden), "v_proj": (rows, hidden),
                                    "attn_out": (hidden, hidden), "ff_proj": (width, hidden), "up_proj": (width, hidden),
                                    "ff_out": (hidden, width)}.items():
            linear(shapes, f"{block}.{part}", out, inputs, bias)
    return shapes


def qwen_shapes(c, qkv_bias=False, out_bias=False, qk_norm=False, feed_forward=None):
    hidden = c["hidden_size"]
    head = c.get("head_dim") or hidden // c["num_attention_heads"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not c["tie_word_embeddings"]:
        linear(shapes, "lm_head", c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}.{norm}.weight"] = (hidden,)
        q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
        for part, rows in {"q": q, "k": kv, "v": kv}.items():
            linear(shapes, f"{layer}.self_attn.{part}_proj", rows, hidden, qkv_bias)
        linear(shapes, f"{layer}.self_attn.o_proj", hidden, q, out_bias)
        if qk_norm:
            shapes[f"{layer}.self_attn.q_norm.weight"] = shapes[f"{layer}.self_attn.k_norm.weight"] = (head,)
        if feed_forward:
            feed_forward(shapes, i, f"{layer}.mlp")
        else:
            mlp(shapes, f"{layer}.mlp", c["intermediate_size"], hidden)
    return shapes


def llada_moe_shapes(c):
    def feed_forward(shapes, i, name):
        if not c["moe_layer_freq"][i]:
            return mlp(shapes, name, c["dense_intermediate_size"], c["hidden_size"])
        linear(shapes, f"{name}.gate", c["num_experts"], c["hidden_size"])
        for e in range(c["num_experts"]):
            mlp(shapes, f"{name}.experts.{e}", c["expert_intermediate_size"], c["hidden_size"])

    return qwen_shapes(c, qk_norm=True, feed_forward=feed_forward)


def llada2_shapes(c):
    def feed_forward(shapes, i, name):
        if i < c["first_k_dense_replace"]:
            return mlp(shapes, name, c["intermediate_size"], c["hidden_size"])
        linear(shapes, f"{name}.gate", c["num_experts"], c["hidden_size"])
        shapes[f"{name}.gate.expert_bias"] = (c["num_experts"],)
        for e in range(c["num_experts"]):
            mlp(shapes, f"{name}.experts.{e}", c["moe_intermediate_size"], c["hidden_size"])
        mlp(shapes, f"{name}.shared_experts", c["moe_intermediate_size"] * c["num_shared_experts"], c["hidden_size"])

    shapes = {}
    for name, shape in qwen_shapes(c, qk_norm=True, feed_forward=feed_forward).items():
        if any(f"self_attn.{part}_proj" in name for part in "kv"):
            continue
        rows = (c["num_attention_heads"] + 2 * c["num_key_value_heads"]) * c["head_dim"]
        shape = (rows, shape[1]) if "q_proj" in name else shape
        for old, new in {"self_attn.q_proj": "attention.query_key_value", "self_attn.o_proj": "attention.dense",
                         "self_attn.q_norm": "attention.query_layernorm", "self_attn.k_norm": "attention.key_layernorm",
                         "embed_tokens": "word_embeddings"}.items():
            name = name.replace(old, new)
        shapes[name] = shape
    return shapes


def mdlm_shapes(c):
    hidden, condition, shapes = c["hidden_dim"], c["cond_dim"], {}
    shapes["backbone.vocab_embed.embedding"] = (c["vocab_size"], hidden)
    for part, inputs in {"0": 256, "2": condition}.items():
        linear(shapes, f"backbone.sigma_map.mlp.{part}", condition, inputs, True)
    for i in range(c["n_blocks"]):
        block = f"backbone.blocks.{i}"
        shapes[f"{block}.norm1.weight"] = shapes[f"{block}.norm2.weight"] = (hidden,)
        linear(shapes, f"{block}.attn_qkv", 3 * hidden, hidden)
        linear(shapes, f"{block}.attn_out", hidden, hidden)
        linear(shapes, f"{block}.mlp.0", 4 * hidden, hidden, True)
        linear(shapes, f"{block}.mlp.2", hidden, 4 * hidden, True)
        linear(shapes, f"{block}.adaLN_modulation", 6 * hidden, condition, True)
    shapes["backbone.output_layer.norm_final.weight"] = (hidden,)
    linear(shapes, "backbone.output_layer.linear", c["vocab_size"], hidden, True)
    linear(shapes, "backbone.output_layer.adaLN_modulation", 2 * hidden, condition, True)
    return shapes


# --- samplers, greedy -------------------------------------------------------------------------------------------------


def shares(total, steps):
    return [total // steps + (i < total % steps) for i in range(steps)]


def llada_generate(logits, prompt, mask, gen_length, block_length, steps):
    """LLaDA's `generate` at temperature 0: the most probable positions of a block, in equal shares."""
    start = prompt.shape[1]
    x = torch.cat([prompt, torch.full((1, gen_length), mask)], 1)
    per_block = steps * block_length // gen_length
    for first in range(start, start + gen_length, block_length):
        for share in shares(block_length, per_block):
            open_ = x == mask
            open_[:, first + block_length :] = False
            p, best = logits(x).softmax(-1).max(-1)
            chosen = torch.where(open_, p, -torch.inf)[0].topk(share).indices
            x[0, chosen] = best[0, chosen]
    return x


def sdar_generate(logits, prompt, mask, gen_length, block_length, denoising_steps, remasking_strategy,
                  confidence_threshold=None):
    """SDAR's `generate` at temperature 0, with its share of a whole block in a block that the prompt reaches into."""
    start, size = prompt.shape[1], block_length
    count = math.ceil((start + gen_length) / size)
    x = torch.full((1, count * size), mask)
    x[:, :start] = prompt
    for block in range(start // size, count):
        part = slice(block * size, (block + 1) * size)
        for share in shares(size, denoising_steps):
            open_ = x[0, part] == mask
            if not open_.any():
                break
            p, best = (t[0] for t in logits(x[:, : part.stop], size)[:, part].softmax(-1).max(-1))
            confidence = torch.where(open_, p, -torch.inf)
            sure = (confidence > (confidence_threshold or 2)).nonzero()[:, 0]
            if remasking_strategy == "sequential":
                first = open_.nonzero()[0, 0]
                chosen = torch.arange(first, min(first + share, size))
            elif remasking_strategy == "low_confidence_dynamic" and len(sure) >= share:
                chosen = sure
            else:
                chosen = confidence.topk(share).indices
            x[0, part.start + chosen] = best[chosen]
    return x


def dream_generate(logits, prompt, mask, max_new_tokens, steps, alg, eps=1e-3):
    """Dream's `diffusion_generate` at temperature 0, with the `top_k` of 50 that its configuration inherits."""
    x = torch.cat([prompt, torch.full((1, max_new_tokens), mask)], 1)
    times = torch.linspace(1, eps, steps + 1)
    for i in range(steps):
        open_ = (x == mask)[0].nonzero()[:, 0]
        raw = logits(x)
        rows = torch.cat([raw[:, :1], raw[:, :-1]], 1)[0, open_]
        rows[rows < rows.topk(min(50, rows.shape[-1])).values[:, -1:]] = torch.finfo(torch.float32).min
        p = rows.softmax(-1)
        confidence, best = p.max(-1)
        if alg == "topk_margin":
            two = p.topk(2).values
            confidence = two[:, 0] - two[:, 1]
        elif alg == "entropy":
            confidence = (p * (p + 1e-10).log()).sum(-1)
        last = i == steps - 1
        count = len(open_) if last else int(len(open_) * (1 - times[i + 1] / times[i]))
        if count:
            chosen = confidence.topk(count).indices
            x[0, open_[chosen]] = best[chosen]
    return x


# --- DiffusionGemma ---------------------------------------------------------------------------------------------------


def gemma(config):
    kind = transformers.DiffusionGemmaForBlockDiffusion
    settings = transformers.DiffusionGemmaConfig(**config)
    settings._attn_implementation = settings._experts_implementation = "eager"
    return kind(settings).eval()


def gemma_forward(network, prompt, canvas, belief=None):
    return network(input_ids=prompt, decoder_input_ids=canvas, self_conditioning_logits=belief).logits


def gemma_generate(network, prompt, canvases, seed, **settings):
    """The model's own `generate`, whose chance is scripted: noise from `seed`, the likeliest token where it draws one.

    Returns the text, the noise shown at each step, and which positions were accepted at each step.
    """
    from transformers.models.diffusion_gemma import generation_diffusion_gemma as own

    generator, size = torch.Generator().manual_seed(seed), network.config.canvas_length
    noise, accepted = [], []

    def initialize(self, batch_size, device):
        noise.append(torch.randint(0, self.vocab_size, (batch_size, size), generator=generator))
        return noise[-1]

    renoise, multinomial = own.EntropyBoundSampler.renoise_canvas, torch.multinomial

    def watched(self, canvas, step):
        accepted.append(self.accepted_token_mask.clone())
        return renoise(self, canvas, step)

    own.EntropyBoundSampler.initialize_canvas, own.EntropyBoundSampler.renoise_canvas = initialize, watched
    torch.multinomial = lambda p, num_samples: p.argmax(-1, keepdim=True)
    try:
        config = own.DiffusionGemmaGenerationConfig(
            sampler_config=own.EntropyBoundSamplerConfig(settings.pop("entropy_bound")), disable_compile=True,
            max_new_tokens=canvases * size, **settings)
        text = network.generate(prompt, generation_config=config).sequences
    finally:
        torch.multinomial, own.EntropyBoundSampler.renoise_canvas = multinomial, renoise
    return text, torch.cat(noise), torch.cat(accepted).long()


# --- writing ----------------------------------------------------------------------------------------------------------


def tokenizer(size, specials):
    """Bytes as ByteLevel spells them, and the special tokens at the ids that the configuration gives them."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    texts = iter([chr(b) for b in range(ord("!"), ord("~") + 1)] + ["\u0120", "\u010a"])
    vocab = {}
    for token in range(size):
        text = specials.get(token) or next(texts, None)
        if text:
            vocab[text] = token
    added = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i, t in sorted(specials.items())]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": []}}


# Written down by hand, in the style of LLaDA2's own.
CHAT = ("{% for message in messages %}<role>{{ message['role'] | upper }}</role>{{ message['content'] }}<|role_end|>"
        "{% endfor %}{% if add_generation_prompt %}<role>ASSISTANT</role>{% endif %}")


def write(folder, config, tensors, answers, about, specials, shards=1, chat=False):
    folder.mkdir(parents=True, exist_ok=True)
    dump = lambda name, value: (folder / name).write_text(json.dumps(value, indent=1) + "\n")  # noqa: E731
    dump("config.json", config)
    size = config.get("vocab_size") or config["text_config"]["vocab_size"]
    dump("tokenizer.json", tokenizer(size, specials))
    ends = {"eos_token": text for text in specials.values() if text in ("<|endoftext|>", "<|eos|>", "<eos>")}
    ends |= {"chat_template": CHAT} if chat else {}
    dump("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | ends)
    dump("fixtures.json", about | {"torch": torch.__version__, "transformers": transformers.__version__})
    keep = lambda tensors: {k: v.contiguous() for k, v in tensors.items()}  # noqa: E731
    names = sorted(tensors)
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        save_file(keep({n: tensors[n] for n in names[shard::shards]}), folder / file)
    if shards > 1:
        places = {n: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, n in enumerate(names)}
        total = sum(t.numel() * t.element_size() for t in tensors.values())
        dump("model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})
    answers = {k: v.to(torch.int32) if v.dtype == torch.int64 else v for k, v in answers.items()}
    save_file(keep(answers), folder / "fixtures.safetensors")
    print(f"{folder.name}: {sum(t.numel() for t in tensors.values())} weights, {len(answers)} answers")


def ids(size, *shape, seed):
    return torch.randint(0, size, shape, generator=torch.Generator().manual_seed(seed))


def masked(folder, network, shapes, config, runs=None, block=None, pad=False, shards=1, seed=1, sigmas=None,
           chat=False, dtype=torch.float32):
    """A checkpoint of a masked family: texts of several lengths, a batch, and what the family's sampler makes of a prompt."""
    tensors, size = draw(shapes(config), seed), config["vocab_size"]
    mask = config.get("mask_token_id", size - 1)
    for name in tensors:
        if name.endswith(("wte.weight", "embed_tokens.weight", "word_embeddings.weight")):
            # With tied embeddings a network of random weights would predict what it is shown: masks.
            tensors[name][mask] *= 0.1
    tensors = {name: t.to(dtype).float() for name, t in tensors.items()}
    stand, answers = network(config, tensors), {}
    for i, length in enumerate((5, 18, 31)):
        text = ids(size, 1, length, seed=seed + i)
        text[torch.rand(text.shape, generator=torch.Generator().manual_seed(seed + i)) < 0.4] = mask
        answers[f"in{i}.ids"] = text
        if sigmas:
            answers[f"in{i}.sigma"], answers[f"in{i}.raw"] = torch.tensor([sigmas[i]]), stand.logits(text, sigmas[i])
        else:
            answers[f"in{i}.logits"] = stand.logits(text, block)
        if block:
            answers[f"in{i}.block"] = torch.tensor([block])
    if not sigmas:
        answers["batch.ids"] = ids(size, 2, 9, seed=seed + 7)
        answers["batch.logits"] = stand.logits(answers["batch.ids"], block)
        if block:
            answers["batch.block"] = torch.tensor([block])
    if pad:
        text, seen = ids(size, 2, 13, seed=seed + 8), torch.ones(2, 13, dtype=torch.int64)
        seen[1, :4] = 0
        answers |= {"pad.ids": text, "pad.attention_mask": seen, "pad.logits": stand.logits(text, None, seen)}
    prompt = ids(size - 8, 1, 7, seed=seed + 9)
    samplers = {}
    for name, (generate, run) in (runs or {}).items():
        answers["gen.prompt"], samplers[name] = prompt, run
        answers[f"{name}.out"] = generate(stand.logits, prompt, mask, **run)
        assert not (answers[f"{name}.out"] == mask).any(), f"{name}: the reference writes masks"
    specials = {mask: "<|mask|>"} | {config[k]: f"<|{k[:3]}|>" for k in ("bos_token_id", "eos_token_id") if k in config}
    if "eos_token_id" not in config:
        specials[size - 2] = "<|endoftext|>"  # as of GPT-2, named by the tokenizer alone
    if chat:
        specials[config["bos_token_id"] - 1] = "<|role_end|>"
    about = {"family": config["model_type"], "seed": seed, "mask_token_id": mask, "samplers": samplers}
    write(folder, config, tensors, answers, about, specials, shards, chat)


def llada_config(**more):
    return dict(model_type="llada", architectures=["LLaDAModelLM"], block_type="llama", activation_type="silu", rope=True,
                layer_norm_type="rms", bias_for_layer_norm=False, attention_layer_norm=False, max_sequence_length=128) | more


def qwen_config(model_type, architecture, **more):
    return dict(model_type=model_type, architectures=[architecture], hidden_act="silu", max_position_embeddings=128,
                rope_scaling=None, sliding_window=None, use_sliding_window=False) | more


def all_of_them(root):
    masked(root / "llada-grouped-tied", llada, llada_shapes, llada_config(
        d_model=24, n_heads=6, n_kv_heads=2, n_layers=3, mlp_hidden_size=40, vocab_size=131, embedding_size=131,
        weight_tying=True, include_bias=False, include_qkv_bias=False, rms_norm_eps=1e-6, rope_theta=7000.0,
        mask_token_id=130, eos_token_id=128, bos_token_id=127), shards=3, seed=101, runs={
            "gsai.b8s8": (llada_generate, dict(gen_length=24, block_length=8, steps=12)),
            "gsai.b5s25": (llada_generate, dict(gen_length=25, block_length=5, steps=25))})
    masked(root / "llada-biased-one-key", llada, llada_shapes, llada_config(
        d_model=30, n_heads=5, n_kv_heads=None, multi_query_attention=True, n_layers=2, mlp_hidden_size=33, vocab_size=117,
        embedding_size=128, weight_tying=False, include_bias=True, include_qkv_bias=True, rms_norm_eps=1e-5,
        rope_theta=500000.0, mask_token_id=3, eos_token_id=2, bos_token_id=1), seed=102)
    masked(root / "dream-tied", dream, qwen_shapes_with(qkv_bias=True), qwen_config(
        "Dream", "DreamModel", hidden_size=20, num_hidden_layers=2, num_attention_heads=10, num_key_value_heads=5,
        intermediate_size=37, vocab_size=143, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_theta=123456.0,
        mask_token_id=141, eos_token_id=139, pad_token_id=139, bos_token_id=140), pad=True, seed=103, runs={
            f"{alg}.s{steps}": (dream_generate, dict(max_new_tokens=19, alg=alg, steps=steps))
            for alg, steps in (("maskgit_plus", 7), ("topk_margin", 11), ("entropy", 30))})
    masked(root / "sdar-biased-b6", sdar, qwen_shapes_with(qkv_bias=True, out_bias=True, qk_norm=True), qwen_config(
        "sdar", "SDARForCausalLM", hidden_size=22, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3,
        head_dim=10, intermediate_size=29, vocab_size=149, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_theta=90000.0,
        attention_bias=True, block_size=6, mask_token_id=5, eos_token_id=6, bos_token_id=6), block=6, shards=2, seed=104,
        runs={"static.b6s4": (sdar_generate, sdar_run(18, 6, 4)), "static.b5s2": (sdar_generate, sdar_run(18, 5, 2)),
              "static.b9s4": (sdar_generate, sdar_run(20, 9, 4)),
              "dynamic.b6s3.t0.1": (sdar_generate, sdar_run(18, 6, 3, "low_confidence_dynamic", 0.1)),
              "sequential.b7s7": (sdar_generate, sdar_run(14, 7, 7, "sequential"))})
    masked(root / "llada-moe-mixed", llada_moe, llada_moe_shapes, qwen_config(
        "llada", "LLaDAMoEModelLM", hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        num_experts=7, num_experts_per_tok=3, expert_intermediate_size=14, dense_intermediate_size=31, vocab_size=151,
        rms_norm_eps=1e-5, tie_word_embeddings=False, rope_theta=50000.0, moe_layer_freq=[0, 1, 1], norm_topk_prob=False,
        qk_layernorm=True, attention_bias=False, mask_token_id=150, eos_token_id=148, bos_token_id=147), seed=105, chat=True, runs={
            "gsai.b12s12": (llada_generate, dict(gen_length=24, block_length=12, steps=12))})
    masked(root / "llada2-moe-b5", llada2, llada2_shapes, qwen_config(
        "llada2_moe", "LLaDA2MoeModelLM", hidden_size=24, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        head_dim=12, intermediate_size=35, moe_intermediate_size=11, num_experts=12, num_experts_per_tok=5, n_group=3,
        topk_group=2, num_shared_experts=2, first_k_dense_replace=2, routed_scaling_factor=1.7, score_function="sigmoid",
        norm_topk_prob=True, partial_rotary_factor=0.5, use_qk_norm=True, use_bias=False, use_qkv_bias=False,
        rms_norm_eps=1e-6, tie_word_embeddings=True, rope_theta=20000.0, vocab_size=139, block_size=5, mask_token_id=138,
        eos_token_id=136, pad_token_id=136), block=5, seed=106)
    masked(root / "mdlm-timed", Mdlm, mdlm_shapes, dict(
        model_type="mdlm", architectures=["MDLM"], hidden_dim=30, n_heads=3, n_blocks=2, cond_dim=11, vocab_size=137,
        model_length=48, time_conditioning=True), sigmas=[0.0, 0.7, 3.2], seed=107)
    gemmas(root)


def qwen_shapes_with(**parts):
    return lambda config: qwen_shapes(config, **parts)


def sdar_run(length, block, steps, rule="low_confidence_static", threshold=None):
    run = dict(gen_length=length, block_length=block, denoising_steps=steps, remasking_strategy=rule)
    return run | ({"confidence_threshold": threshold} if threshold else {})


def gemmas(root):
    wide = {"head_dim": 12, "num_key_value_heads": 2}
    text = dict(hidden_size=24, intermediate_size=28, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3,
                head_dim=8, moe_intermediate_size=10, num_experts=5, top_k_experts=3, sliding_window=7,
                layer_types=["full_attention", "sliding_attention", "full_attention"], per_layer_config={"0": wide, "2": wide})
    runs = {
        "own": dict(max_denoising_steps=16, entropy_bound=0.1, t_min=0.4, t_max=0.8, confidence_threshold=0.005),
        "wide": dict(max_denoising_steps=9, entropy_bound=1.5, t_min=0.2, t_max=1.1, confidence_threshold=1.0),
        "stops": dict(max_denoising_steps=24, entropy_bound=4.0, t_min=0.05, t_max=0.3, confidence_threshold=2.0),
    }
    gemma_checkpoint(root / "diffusion_gemma-c12", text, 12, runs, seed=108)


def gemma_checkpoint(folder, text, size, runs, seed):
    """A checkpoint of DiffusionGemma with a canvas of `size` tokens; `text` has the sizes of its network."""
    text = dict(model_type="diffusion_gemma_text", vocab_size=113, max_position_embeddings=256, pad_token_id=0,
                eos_token_id=1, bos_token_id=2, tie_word_embeddings=True, rms_norm_eps=1e-6, attention_bias=False) | text
    vision = dict(model_type="gemma4_vision", hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                  num_attention_heads=2, num_key_value_heads=2, head_dim=8, patch_size=4, position_embedding_size=16)
    config = dict(model_type="diffusion_gemma", architectures=["DiffusionGemmaForBlockDiffusion"], canvas_length=size,
                  image_token_id=110, boi_token_id=111, eoi_token_id=112, tie_word_embeddings=True, text_config=text,
                  vision_config=vision)
    network = gemma(json.loads(json.dumps(config)))
    tensors = {k: v for k, v in network.state_dict().items() if "vision" not in k}
    shapes = {k: tuple(v.shape) for k, v in tensors.items()}
    values = draw(shapes, seed, 0.14)
    for name in values:
        if name.endswith("layer_scalar"):
            values[name] = 1 + 0.2 * values[name]
        if "scale" in name or name.endswith("layer_scalar"):
            values[name] = values[name].abs() + 0.5
    # Encoder and decoder share everything but the factors of their layers.
    for name in values:
        twin = name.replace("encoder.language_model", "decoder")
        if not name.endswith("layer_scalar") and twin in values:
            values[name] = values[twin]
    # Sharp beliefs: some positions are sure from the start, some never.
    values["model.decoder.norm.weight"] = values["model.decoder.norm.weight"] * 2.5
    values["model.encoder.language_model.norm.weight"] = values["model.decoder.norm.weight"]
    values["lm_head.weight"] = values["model.decoder.embed_tokens.weight"]
    network.load_state_dict(values, strict=False)
    answers, samplers = {}, {}
    for i, length in enumerate((3, 16)):
        prompt, canvas = ids(110, 1, length, seed=i), ids(110, 1, size, seed=10 + i)
        first = gemma_forward(network, prompt, canvas)
        answers |= {f"in{i}.prompt": prompt, f"in{i}.canvas": canvas, f"in{i}.logits": first,
                    f"in{i}.logits_selfcond": gemma_forward(network, prompt, canvas, first)}
    prompt = ids(110, 1, 6, seed=20).clamp(min=3)
    for name, run in runs.items():
        answers["gen.prompt"] = prompt
        text_ids, noise, accepted = gemma_generate(network, prompt, 2, 30, stability_threshold=1, **run)
        exact = gemma_generate(network.double(), prompt, 2, 30, stability_threshold=1, **run)
        network.float()
        assert text_ids.equal(exact[0]) and accepted.equal(exact[2]), f"{name}: rounding decides"
        answers |= {f"{name}.out": text_ids, f"{name}.noise": noise, f"{name}.accepted": accepted}
        samplers[name] = run | {"gen_length": 2 * size}
        print(f"  {name}: {len(accepted)} steps, accepted {accepted.sum(-1).tolist()}")
    decoder = {k: v for k, v in values.items() if not k.startswith("model.encoder.") or k.endswith("layer_scalar")}
    decoder.pop("lm_head.weight")
    about = {"family": "diffusion_gemma", "seed": seed, "samplers": samplers}
    write(folder, config, decoder, answers, about, {0: "<pad>", 1: "<eos>", 2: "<bos>"})


# --- against checkpoints of the families' own code ---------------------------------------------------------------------

STANDS = {"llada": llada, "Dream": dream, "sdar": sdar, "llada2_moe": llada2, "mdlm": Mdlm}


def check(root):
    for folder in sorted(p.parent for p in root.glob("*/fixtures.safetensors")):
        config = json.loads((folder / "config.json").read_text())
        stand = STANDS.get(config["model_type"])
        if not stand:
            continue
        stand, given = stand(config, load_file(folder / "model.safetensors")), load_file(folder / "fixtures.safetensors")
        for name in sorted(n.removesuffix(".ids") for n in given if n.endswith(".ids")):
            text = given[f"{name}.ids"].long()
            if f"{name}.raw" in given:
                ours, theirs = stand.logits(text, float(given[f"{name}.sigma"])), given[f"{name}.raw"]
            elif f"{name}.logits" in given:
                block, seen = given.get(f"{name}.block"), given.get(f"{name}.attention_mask")
                ours, theirs = stand.logits(text, block and int(block), seen), given[f"{name}.logits"]
                if seen is not None:
                    ours, theirs = ours[seen.bool()], theirs[seen.bool()]
            else:
                continue
            print(f"{folder.name} {name}: {(ours - theirs).abs().max():.1e}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=pathlib.Path, nargs="?", help="folder to write the checkpoints into")
    options.add_argument("--check", type=pathlib.Path, metavar="DIR", help="compare with the reference checkpoints there")
    chosen = options.parse_args()
    if chosen.check:
        check(chosen.check)
    if chosen.out:
        all_of_them(chosen.out)


if __name__ == "__main__":
    main()
