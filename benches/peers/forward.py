#!/usr/bin/env python3
"""Speed of one forward pass beside llama.cpp: the same LLaDA with random weights, tokens and threads, in turns.

    benches/peers/forward.py                       # 12 layers × 768, vocabulary 32,000, 256 tokens, f32, all logits

Both read the same f32 weights, stencil as safetensors, llama.cpp as a GGUF file that this script writes.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "pytorch"))
import common  # noqa: E402

common.PACKAGES[:] = ["numpy", "safetensors", "gguf", "llama_cpp"]


def ensure_packages():
    """As in the comparisons with PyTorch; the package of llama.cpp is called differently on PyPI."""
    import os
    import subprocess

    try:
        return [__import__(package) for package in common.PACKAGES]
    except ImportError:
        venv = common.ROOT / "target" / "llama-cpp-venv"
        python = venv / "bin" / "python"
        if pathlib.Path(sys.prefix) == venv:
            sys.exit(f"{venv} lacks some of {common.PACKAGES}: remove it and run again")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        names = [package.replace("llama_cpp", "llama-cpp-python") for package in common.PACKAGES]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *names], check=True)
        os.execv(python, [python, *sys.argv])


def write_gguf(path, config, tensors):
    """The checkpoint under llama.cpp's names, rows of queries and keys in its rotary order."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llada")
    writer.add_context_length(config["max_sequence_length"])
    writer.add_embedding_length(config["d_model"])
    writer.add_block_count(config["n_layers"])
    writer.add_feed_forward_length(config["mlp_hidden_size"])
    writer.add_head_count(config["n_heads"])
    writer.add_head_count_kv(config["n_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_causal_attention(False)
    writer.add_tokenizer_model("no_vocab")
    names = {"attn_norm": "attn_norm", "ff_norm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
             "attn_out": "attn_output", "ff_proj": "ffn_gate", "up_proj": "ffn_up", "ff_out": "ffn_down"}
    for name, tensor in tensors.items():
        part = name.split(".")[-2]
        if part in ("wte", "ln_f"):
            writer.add_tensor({"wte": "token_embd", "ln_f": "output_norm"}[part] + ".weight", tensor)
            if part == "wte":
                writer.add_tensor("output.weight", tensor)
            continue
        if part in ("q_proj", "k_proj"):
            heads = config["n_heads"]
            halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, -1)
            tensor = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))
        writer.add_tensor(f"blk.{name.split('.')[3]}.{names[part]}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(folder, threads):
    import llama_cpp
    import numpy as np
    from safetensors.numpy import load_file

    tokens = load_file(folder / "data.safetensors")["tokens.0"].tolist()
    size = len(tokens)
    model = llama_cpp.Llama(str(folder / "llada.gguf"), n_ctx=size, n_batch=size, n_ubatch=size, n_threads=threads,
                            n_threads_batch=threads, logits_all=True, verbose=False)
    # A diffusion model has no key-value cache there, which the package's own `eval` counts on.
    batch = llama_cpp._internals.LlamaBatch(n_tokens=size, embd=0, n_seq_max=1, verbose=False)
    batch.set_batch(batch=tokens, n_past=0, logits_all=True)
    for line in sys.stdin:
        started, used = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            model._ctx.decode(batch)
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(model._ctx.ctx), shape=(size, model.n_vocab()))
        answer = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
        print(json.dumps(answer | {"logits": logits[0, :64].tolist()}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_sizes(parser, vocab=32000, hidden=768, layers=12, heads=12, ff=2048, length=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--passes", type=int, default=3, help="per round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--serve", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    ensure_packages()
    import numpy as np
    from safetensors.numpy import save_file

    if args.serve:
        return serve(args.serve, args.threads[0])
    folder = common.ROOT / "target" / "bench-llama-cpp"
    (folder / "llada").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    tensors = common.random_weights(args, rng)
    config, checkpoint = common.as_llada(args, tensors)
    data = {"tokens.0": rng.integers(3, args.vocab, args.length), "rows.0": np.arange(args.length)}
    save_file(data, folder / "data.safetensors")
    (folder / "llada" / "config.json").write_text(json.dumps(config))
    save_file(checkpoint, folder / "llada" / "model.safetensors")
    write_gguf(folder / "llada.gguf", config, checkpoint)
    binary = common.build("forward")
    for threads in args.threads:
        ours = common.Side([binary, folder, "llada"], threads)
        other = common.Side([sys.executable, __file__, "--serve", str(folder), "--threads", str(threads)], threads)
        first = [np.array(side.run(1)["logits"]) for side in (ours, other)]
        rounds = [(ours.run(args.passes), other.run(args.passes)) for _ in range(args.rounds)]
        time_of = lambda side: 1000 * statistics.median(r[side]["seconds"] for r in rounds) / args.passes
        ratio = lambda clock: statistics.median(t[clock] / o[clock] for o, t in rounds)
        print(
            f"{threads} thread(s): stencil {time_of(0):.0f} ms, llama.cpp {time_of(1):.0f} ms, "
            f"llama.cpp / stencil {ratio('seconds'):.2f} (of CPU time {ratio('cpu'):.2f}); "
            f"logits differ by at most {abs(first[0] - first[1]).max():.1e}", flush=True
        )
        ours.close(), other.close()


if __name__ == "__main__":
    main()
