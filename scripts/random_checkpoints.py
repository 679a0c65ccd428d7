#!/usr/bin/env python3
"""Writes tiny checkpoints of random shapes of every family, with the answers of reference implementations.

    scripts/random_checkpoints.py DIR --count 14 --seed 77 && STENCIL_FIXTURES=DIR cargo test --release parity

The references are those of `reference_checkpoints.py`, which lies beside this file. With --spellings, configurations and
files are spelt in the ways that real ones are, which must not change an answer: weights in 16 bits, keys that are null,
left out or in another place, tensors that nobody reads, names without their first part, tokenizers in parts.
"""

import argparse
import json
import pathlib
import random

import reference_checkpoints as reference
from safetensors.torch import load_file, save_file

NORMS, TIES = [1e-5, 1e-6], [False, True]


def keys_and_heads(chance):
    keys = chance.choice([1, 2, 3])
    return keys, keys * chance.choice([1, 2, 4])


def ends(size):
    return dict(vocab_size=size, mask_token_id=size - 1, eos_token_id=size - 2, bos_token_id=size - 3)


def llada(chance, size):
    (keys, heads), head = keys_and_heads(chance), chance.choice([2, 4, 6, 8, 16, 34])
    return reference.llada, reference.llada_shapes, {}, reference.llada_config(
        d_model=heads * head, n_heads=heads, n_kv_heads=keys, n_layers=chance.choice([1, 2, 5]), include_bias=False,
        mlp_hidden_size=chance.choice([chance.randint(17, 200), 2 * heads * head, 4 * heads * head]),
        embedding_size=size + chance.choice([0, 0, 5, 64]), include_qkv_bias=False,
        weight_tying=chance.choice(TIES), rms_norm_eps=chance.choice(NORMS), rope_theta=chance.choice([1e4, 5e5, 3e3]),
        **ends(size))


def scaling(chance):
    """A `rope_scaling` as transformers writes it, or none."""
    factor = chance.choice([2.0, 4, 1.5])
    return chance.choice([
        None, None, None, {"rope_type": "linear", "factor": factor}, {"rope_type": "dynamic", "factor": factor},
        {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": 64},
        {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": 32, "beta_fast": 16, "beta_slow": 2,
         "attention_factor": 1.2},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 32}])


def qwen_like(chance, size, model_type, architecture, **more):
    keys, heads = keys_and_heads(chance)
    config = reference.qwen_config(model_type, architecture, **(dict(
        num_hidden_layers=chance.choice([1, 2, 4]), num_attention_heads=heads, num_key_value_heads=keys,
        hidden_size=heads * chance.choice([2, 4, 8, 18]), intermediate_size=chance.randint(9, 150), rms_norm_eps=1e-6,
        tie_word_embeddings=chance.choice(TIES), rope_theta=chance.choice([1e6, 1e4])) | ends(size) | more))
    turned = (config.get("head_dim") or config["hidden_size"] // heads) * config.get("partial_rotary_factor", 1)
    # The dynamic kind divides by the number of pairs beyond the first.
    config["rope_scaling"] = scaling(chance) if turned > 2 else None
    return config


def dream(chance, size):
    config = qwen_like(chance, size, "Dream", "DreamModel", pad_token_id=size - 2)
    return reference.dream, reference.qwen_shapes_with(qkv_bias=True), dict(pad=True), config


def sdar(chance, size):
    bias, block = chance.choice(TIES), chance.choice([1, 2, 3, 4, 7, 8, 16, 32])
    config = qwen_like(chance, size, "sdar", "SDARForCausalLM", hidden_size=chance.choice([16, 22, 40, 64, 130]),
                       head_dim=chance.choice([4, 8, 10, 32]), attention_bias=bias, block_size=block)
    shapes = reference.qwen_shapes_with(qkv_bias=bias, out_bias=bias, qk_norm=True)
    return reference.sdar, shapes, dict(block=block), config


def llada_moe(chance, size):
    layers, experts = chance.choice([1, 2, 3]), chance.choice([2, 4, 9, 16])
    config = qwen_like(
        chance, size, chance.choice(["llada", "llada_moe"]), "LLaDAMoEModelLM", num_hidden_layers=layers, num_experts=experts,
        num_experts_per_tok=chance.randint(1, min(experts, 8)), expert_intermediate_size=chance.randint(5, 80),
        dense_intermediate_size=chance.randint(9, 90), norm_topk_prob=chance.choice(TIES), qk_layernorm=True,
        moe_layer_freq=[chance.choice([0, 1, 1]) for _ in range(layers - 1)] + [1], attention_bias=False)
    return reference.llada_moe, reference.llada_moe_shapes, {}, config


def llada2(chance, size):
    groups, each, block = chance.choice([1, 2, 4]), chance.choice([2, 4]), chance.choice([1, 4, 8, 32])
    kept = chance.randint(1, groups)
    config = qwen_like(
        chance, size, "llada2_moe", "LLaDA2MoeModelLM", hidden_size=chance.choice([16, 24, 64]), num_hidden_layers=3,
        head_dim=chance.choice([4, 8, 16]), moe_intermediate_size=chance.randint(5, 60), num_experts=groups * each,
        # A single expert keeps its score in the family's own code, and gets 1 in the reference.
        num_experts_per_tok=chance.randint(2, min(each * kept, 8)), n_group=groups, topk_group=kept, block_size=block,
        num_shared_experts=chance.choice([1, 2, 3]), first_k_dense_replace=chance.choice([0, 1]), norm_topk_prob=True,
        routed_scaling_factor=chance.choice([1.0, 2.5]), partial_rotary_factor=chance.choice([0.5, 1.0]), use_bias=False,
        score_function="sigmoid", use_qk_norm=True, use_qkv_bias=False)
    return reference.llada2, reference.llada2_shapes, dict(block=block), config


def mdlm(chance, size):
    heads, timed = chance.choice([1, 2, 4]), chance.choice(TIES)
    config = dict(model_type="mdlm", architectures=["MDLM"], hidden_dim=heads * chance.choice([2, 8, 10, 32]), n_heads=heads,
                  n_blocks=chance.choice([1, 2, 4]), cond_dim=chance.choice([4, 11, 128]), vocab_size=size,
                  model_length=chance.choice([31, 64, 200]), time_conditioning=timed)
    return reference.Mdlm, reference.mdlm_shapes, dict(sigmas=[0.0, 0.7, 3.2] if timed else [0.0] * 3), config


def gemma(chance, folder, seed):
    layers, experts, full = chance.choice([1, 2, 4]), chance.choice([2, 5, 8]), chance.choice([4, 8, 12])
    kinds = [chance.choice(["sliding_attention", "full_attention"]) for _ in range(layers - 1)] + ["full_attention"]
    heads, size = chance.choice([(2, 1), (4, 2), (6, 3)]), chance.choice([1, 4, 16])
    text = dict(hidden_size=chance.choice([12, 24, 40]), intermediate_size=chance.randint(5, 60), num_hidden_layers=layers,
                num_attention_heads=heads[0], num_key_value_heads=heads[1], head_dim=chance.choice([2, 8, 10]),
                moe_intermediate_size=chance.randint(3, 30), num_experts=experts, top_k_experts=chance.randint(1, experts),
                sliding_window=chance.choice([2, 7, 64]), layer_types=kinds, final_logit_softcapping=chance.choice([30.0, 5.0]))
    if chance.random() < 0.5:
        text |= dict(global_head_dim=full, num_global_key_value_heads=chance.choice([heads[1], 1]))
    else:
        own = {"head_dim": full, "num_key_value_heads": heads[1]}
        text["per_layer_config"] = {str(i): own for i, kind in enumerate(kinds) if kind == "full_attention"}
    reference.gemma_checkpoint(folder, text, size, {}, seed)


class Spelling:
    """How the same checkpoint may be written down."""

    def __init__(self, chance, folder):
        self.chance, self.folder = chance, folder
        self.config = json.loads((folder / "config.json").read_text())

    def often(self):
        return self.chance.random() < 0.4

    def respell(self, dtype):
        config, family = self.config, self.config["model_type"]
        if self.often():
            config |= {"auto_map": {"AutoModel": "modeling_x.X"}, "transformers_version": "4.46.3", "torch_dtype": "bfloat16",
                       "use_cache": False, "attention_dropout": 0.0, "something_new": {"a": [1]}}
        # Either name of a family is enough, but for a mixture that is called `llada`.
        if self.often():
            config.pop("model_type" if self.often() or family == "llada" else "architectures")
        if isinstance(config.get("rope_theta"), float) and config["rope_theta"].is_integer() and self.often():
            config["rope_theta"] = int(config["rope_theta"])
        self.angles(config)
        for key, default in (("n_kv_heads", config.get("n_heads")), ("embedding_size", config.get("vocab_size")),
                             ("first_k_dense_replace", 0), ("norm_topk_prob", False), ("clip_qkv", None)):
            if key in config and config[key] == default and self.often():
                config[key] = None
        if config.get("mlp_hidden_size") in [r * config.get("d_model", 0) for r in (2, 4)] and self.often():
            config["mlp_ratio"] = config.pop("mlp_hidden_size") // config["d_model"]
        if "head_dim" in config and config["head_dim"] * config["num_attention_heads"] == config["hidden_size"] and family != "sdar":
            config["head_dim"] = None
        self.weights(dtype)
        (self.folder / "config.json").write_text(json.dumps(config))
        self.tokenizer()

    def angles(self, config):
        scaling = config.get("rope_scaling")
        if scaling and self.often():
            scaling["type"] = scaling["rope_type"]
        elif scaling and self.often():
            scaling["type"] = scaling.pop("rope_type")
        elif "rope_scaling" in config and self.often():
            config["rope_parameters"] = {"rope_type": "default"} | (config.pop("rope_scaling") or {})
            for key in ("rope_theta", "partial_rotary_factor"):
                if key in config:
                    config["rope_parameters"][key] = config.pop(key)

    def weights(self, dtype):
        tied = self.config.get("tie_word_embeddings") or self.config.get("weight_tying")
        # Names without their root are those of a network that has no head of its own.
        bare = self.often() and (tied or "d_model" in self.config or "hidden_dim" in self.config)
        before, renamed = self.chance.choice(["module.", "model.", "_orig_mod."]) if self.often() else "", {}
        files = sorted(self.folder.glob("model*.safetensors"))
        for file in files:
            tensors = {k: v.to(dtype) for k, v in load_file(file).items()}
            for name in ("model.embed_tokens.weight", "model.transformer.wte.weight", "model.decoder.embed_tokens.weight"):
                if tied and name in tensors and self.often():
                    tensors["model.transformer.ff_out.weight" if "wte" in name else "lm_head.weight"] = tensors[name].clone()
            if file == files[0] and self.often():
                tensors["model.rotary_emb.inv_freq"] = tensors[next(iter(tensors))].flatten()[:2].clone()
            root = lambda n: n.removeprefix("model.").removeprefix("backbone.")  # noqa: E731
            tensors = {root(k) if bare else before + k: v for k, v in tensors.items()}
            renamed |= {k: file.name for k in tensors}
            save_file(tensors, file, metadata={"format": "pt"})
        index = self.folder / "model.safetensors.index.json"
        if index.exists():
            index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": renamed}))

    def tokenizer(self):
        file, settings = self.folder / "tokenizer.json", self.folder / "tokenizer_config.json"
        whole, config = json.loads(file.read_text()), json.loads(settings.read_text())
        if self.often():
            template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
            config["chat_template"] = [{"name": "tool_use", "template": "{{ x"}, {"name": "default", "template": template}]
        if self.often():
            specials = {str(t["id"]): {"content": t["content"], "special": True} for t in whole["added_tokens"]}
            config |= {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": specials}
            names = {t["content"] for t in whole["added_tokens"]}
            vocab = {k: v for k, v in whole["model"]["vocab"].items() if k not in names}
            (self.folder / "vocab.json").write_text(json.dumps(vocab))
            (self.folder / "merges.txt").write_text("#version: 0.2\n")
            file.unlink()
        if self.often():
            (self.folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2], "do_sample": False}))
        settings.write_text(json.dumps(config))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=pathlib.Path, help="folder to write the checkpoints into")
    options.add_argument("--count", type=int, default=14, help="checkpoints of each family")
    options.add_argument("--seed", type=int, default=77)
    options.add_argument("--spellings", action="store_true", help="spell each of them in a way of its own")
    chosen = options.parse_args()
    chance, own, torch = random.Random(chosen.seed), reference.draw, reference.torch

    def draw(shapes, seed, spread=0.08):
        # Small weights: rounding stays below the tolerance. Where experts are chosen, a bias below 0 would let the
        # reference choose one of a group that is left out.
        tensors = own(shapes, seed, spread)
        return {name: t.abs() if "expert_bias" in name else t for name, t in tensors.items()}

    reference.draw = draw
    for i in range(chosen.count):
        for family in (llada, dream, sdar, llada_moe, llada2, mdlm, gemma):
            folder, seed = chosen.out / f"{family.__name__}-{i}", 1000 * chosen.seed + i
            dtype = torch.float32
            if family is gemma:
                gemma(chance, folder, seed)
            else:
                network, shapes, more, config = family(chance, chance.randint(110, 400))
                dtype = chance.choice([torch.float32, torch.bfloat16, torch.float16] if chosen.spellings else [dtype])
                shards = chance.choice([1, 1, 3])
                reference.masked(folder, network, shapes, config, seed=seed, shards=shards, dtype=dtype, **more)
            if chosen.spellings:
                Spelling(chance, folder).respell(dtype)


if __name__ == "__main__":
    main()
