#!/usr/bin/env python3
"""Speed of one forward pass of `stencil` beside PyTorch: same model, weights, tokens and threads, in turns.

    benches/pytorch/forward.py                     # 12 layers × 768, vocabulary 32,000, 256 tokens, f32
    benches/pytorch/forward.py --wanted 256        # logits at every position
    benches/pytorch/forward.py --pretrained        # the network that runs checkpoints, on the same weights as a LLaDA
    benches/pytorch/forward.py --pretrained --texts 4 --length 32 --wanted 32      # four short texts at once

PyTorch runs eagerly in inference mode with scaled_dot_product_attention; both compute logits at the same positions.
Its products are MKL's, which uses AVX-512 on Intel's processors and AVX2 on others; --onednn gives them to oneDNN, which
uses AVX-512 wherever it is, with weights laid out for it beforehand.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import common

common.ensure_packages()
import numpy as np  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402


def serve(folder, threads, onednn):
    import gc

    import torch

    torch.set_num_threads(threads)
    config = json.loads((folder / "config.json").read_text())
    data = {name: torch.from_numpy(array) for name, array in load_file(folder / "data.safetensors").items()}
    network = common.Network(config, {name: w for name, w in data.items() if name.endswith(".weight")})
    if onednn:
        network.use_onednn(data["tokens.0"].numel(), data["rows.0"].numel())
    gc.disable()
    with torch.inference_mode():
        for line in sys.stdin:
            started, used = time.perf_counter(), time.process_time()
            for _ in range(int(line)):
                logits = network.logits(data["tokens.0"], data["rows.0"])
            answer = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
            print(json.dumps(answer | {"logits": logits[0, :64].tolist()}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_sizes(parser, vocab=32000, hidden=768, layers=12, heads=12, ff=2048, length=256)
    parser.add_argument("--texts", type=int, default=1, help="so many of that length, in one forward")
    parser.add_argument("--wanted", type=int, default=64, help="positions with logits, the last ones of each text")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--passes", type=int, default=3, help="per round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pretrained", action="store_true", help="the network that runs checkpoints")
    parser.add_argument("--onednn", action="store_true", help="PyTorch's products by oneDNN")
    parser.add_argument("--serve", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.threads[0], args.onednn)
    folder = common.ROOT / "target" / "bench-forward"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    tensors = common.random_weights(args, rng)
    tensors["tokens.0"] = rng.integers(3, args.vocab, args.texts * args.length)
    rows = np.arange(args.texts * args.length).reshape(args.texts, args.length)
    tensors["rows.0"] = rows[:, args.length - args.wanted :].flatten()
    save_file(tensors, folder / "data.safetensors")
    (folder / "config.json").write_text(json.dumps(common.config_of(args)))
    command = [common.build("forward"), folder]
    if args.pretrained:
        (folder / "llada").mkdir(exist_ok=True)
        config, checkpoint = common.as_llada(args, tensors)
        (folder / "llada" / "config.json").write_text(json.dumps(config))
        save_file(checkpoint, folder / "llada" / "model.safetensors")
        command.append("llada")
    for threads in args.threads:
        ours = common.Side(command, threads)
        torch = [sys.executable, __file__, "--serve", str(folder), "--threads", str(threads)]
        torch = common.Side(torch + ["--onednn"] * args.onednn, threads)
        first = [np.array(side.run(1)["logits"]) for side in (ours, torch)]
        rounds = [(ours.run(args.passes), torch.run(args.passes)) for _ in range(args.rounds)]
        time_of = lambda side: 1000 * statistics.median(r[side]["seconds"] for r in rounds) / args.passes
        ratio = lambda clock: statistics.median(t[clock] / o[clock] for o, t in rounds)
        print(
            f"{threads} thread(s): stencil {time_of(0):.0f} ms, PyTorch {time_of(1):.0f} ms, "
            f"PyTorch / stencil {ratio('seconds'):.2f} (of CPU time {ratio('cpu'):.2f}); "
            f"logits differ by at most {abs(first[0] - first[1]).max():.1e}", flush=True
        )
        ours.close(), torch.close()


if __name__ == "__main__":
    main()
