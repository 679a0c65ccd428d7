#!/usr/bin/env python3
"""Writes tiny checkpoints of random shapes of the masked families, with the answers of reference implementations.

    scripts/random_checkpoints.py DIR --count 14 --seed 77 && STENCIL_FIXTURES=DIR cargo test --release --test parity

The references are those of `reference_checkpoints.py`, which lies beside this file.
"""

import argparse
import pathlib
import random

import reference_checkpoints as reference

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
        mlp_hidden_size=chance.randint(17, 200), embedding_size=size + chance.choice([0, 0, 5, 64]), include_qkv_bias=False,
        weight_tying=chance.choice(TIES), rms_norm_eps=chance.choice(NORMS), rope_theta=chance.choice([1e4, 5e5, 3e3]),
        **ends(size))


def qwen_like(chance, size, model_type, architecture, **more):
    keys, heads = keys_and_heads(chance)
    return reference.qwen_config(model_type, architecture, **(dict(
        num_hidden_layers=chance.choice([1, 2, 4]), num_attention_heads=heads, num_key_value_heads=keys,
        hidden_size=heads * chance.choice([2, 4, 8, 18]), intermediate_size=chance.randint(9, 150), rms_norm_eps=1e-6,
        tie_word_embeddings=chance.choice(TIES), rope_theta=chance.choice([1e6, 1e4])) | ends(size) | more))


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


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=pathlib.Path, help="folder to write the checkpoints into")
    options.add_argument("--count", type=int, default=14, help="checkpoints of each family")
    options.add_argument("--seed", type=int, default=77)
    chosen = options.parse_args()
    chance, own = random.Random(chosen.seed), reference.draw

    def draw(shapes, seed):
        # Small weights: rounding stays below the tolerance. Where experts are chosen, a bias below 0 would let the
        # reference choose one of a group that is left out.
        tensors = own(shapes, seed, 0.08)
        return {name: t.abs() if "expert_bias" in name else t for name, t in tensors.items()}

    reference.draw = draw
    for i in range(chosen.count):
        for family in (llada, dream, sdar, llada_moe, llada2, mdlm):
            network, shapes, more, config = family(chance, chance.randint(110, 400))
            folder = chosen.out / f"{family.__name__}-{i}"
            reference.masked(folder, network, shapes, config, seed=1000 * chosen.seed + i, shards=chance.choice([1, 1, 3]), **more)


if __name__ == "__main__":
    main()
