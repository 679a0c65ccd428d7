#!/usr/bin/env python3
"""Training speed and loss of `stencil` beside PyTorch: same model, weights, batches, optimizer and threads, in turns.

    benches/pytorch/training.py                    # tokens per second, 1 and 2 threads
    benches/pytorch/training.py --curve 300        # loss curves on the same data

PyTorch runs eagerly with scaled_dot_product_attention, fused AdamW, and logits at the masked positions only.
"""

import argparse
import json
import pathlib
import resource
import statistics
import sys
import time

import common

common.ensure_packages()
import numpy as np  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

MASK = 0


def make(folder, args):
    """Writes the model's sizes, its first weights, the optimizer's settings and batches of masked text."""
    rng = np.random.default_rng(args.seed)
    optimizer = {
        "steps": 1000, "batch_tokens": args.batch * args.length, "lr": 1e-3, "muon_lr": 0.0, "warmup": 20,
        "beta1": 0.9, "beta2": 0.98, "weight_decay": 0.05, "clip": 1.0, "ema": 0.999,
    }
    tensors = common.random_weights(args, rng)
    # Text that can be learnt: each token has a few successors, the likeliest first.
    successors = rng.integers(3, args.vocab, (args.vocab, 4))
    for step in range(args.batches):
        text = np.empty((args.batch, args.length), np.int64)
        text[:, 0] = rng.integers(3, 64, args.batch)
        for i in range(1, args.length):
            choice = rng.choice(4, args.batch, p=[0.7, 0.15, 0.1, 0.05])
            text[:, i] = successors[text[:, i - 1], choice]
        t = np.maximum((rng.random() + np.arange(args.batch) / args.batch) % 1, 0.02)[:, None]
        masked = rng.random(text.shape) < t
        rows = np.flatnonzero(masked)
        tensors[f"tokens.{step}"] = np.where(masked, MASK, text).reshape(-1)
        tensors[f"rows.{step}"] = rows
        tensors[f"targets.{step}"] = text.reshape(-1)[rows]
        tensors[f"weights.{step}"] = (np.broadcast_to(1 / t, text.shape).reshape(-1)[rows] / text.size).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "data.safetensors")
    (folder / "config.json").write_text(json.dumps(common.config_of(args)))
    (folder / "optimizer.json").write_text(json.dumps(optimizer))


def serve(folder, threads, compiled):
    """Trains in PyTorch: a number of steps per line of input, a line of JSON per answer."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    config = json.loads((folder / "config.json").read_text())
    settings = json.loads((folder / "optimizer.json").read_text())
    data = {name: torch.from_numpy(array) for name, array in load_file(folder / "data.safetensors").items()}
    network = common.Network(config, {name: w for name, w in data.items() if name.endswith(".weight")})
    weights = network.weights

    def forward(tokens, rows, targets, scale):
        return (F.cross_entropy(network.logits(tokens, rows), targets, reduction="none") * scale).sum()

    if compiled:
        forward = torch.compile(forward, dynamic=True)
    groups = [
        {"params": [w for w in weights.values() if w.dim() > 1], "weight_decay": settings["weight_decay"]},
        {"params": [w for w in weights.values() if w.dim() == 1], "weight_decay": 0.0},
    ]
    betas = (settings["beta1"], settings["beta2"])
    optimizer = torch.optim.AdamW(groups, lr=settings["lr"], betas=betas, eps=1e-8, fused=True)
    step, batches = 0, sum(name.startswith("tokens.") for name in data)
    for line in sys.stdin:
        losses, tokens, started, used = [], 0, time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            for group in optimizer.param_groups:
                done = (step - settings["warmup"]) / (settings["steps"] - settings["warmup"])
                decay = 0.1 + 0.45 * (1 + np.cos(np.pi * min(done, 1)))
                group["lr"] = settings["lr"] * ((step + 1) / settings["warmup"] if done < 0 else decay)
            batch = [data[f"{name}.{step % batches}"] for name in ("tokens", "rows", "targets", "weights")]
            loss = forward(*batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), settings["clip"])
            optimizer.step()
            losses.append(loss.item())
            tokens += len(batch[0])
            step += 1
        answer(losses, tokens, time.perf_counter() - started, time.process_time() - used)


def answer(losses, tokens, seconds, cpu):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"losses": losses, "tokens": tokens, "seconds": seconds, "cpu": cpu, "peak_mib": peak}), flush=True)


def sides(folder, binary, threads, compiled):
    torch = [sys.executable, __file__, "--serve", str(folder), "--threads", str(threads)] + ["--compile"] * compiled
    return common.Side([binary, folder], threads), common.Side(torch, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_sizes(parser, vocab=8192, hidden=256, layers=6, heads=4, ff=688, length=64)
    parser.add_argument("--batch", type=int, default=32, help="sequences per batch")
    parser.add_argument("--batches", type=int, default=64, help="different batches")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="steps per round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--curve", type=int, metavar="STEPS", help="compare loss curves instead")
    parser.add_argument("--compile", action="store_true", help="torch.compile the forward pass")
    parser.add_argument("--serve", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.threads[0], args.compile)
    folder = common.ROOT / "target" / "bench-training"
    if args.curve:
        args.batches = args.curve
    make(folder, args)
    binary = common.build("training")
    if args.curve:
        return curve(folder, binary, args)
    for threads in args.threads:
        ours, torch = sides(folder, binary, threads, args.compile)
        for side in (ours, torch):
            side.run(2)
        rounds = [(ours.run(args.steps), torch.run(args.steps)) for _ in range(args.rounds)]
        rate = lambda side, clock: statistics.median(r[side]["tokens"] / r[side][clock] for r in rounds)
        ratio = lambda clock: statistics.median(t[clock] / o[clock] for o, t in rounds)
        print(
            f"{threads} thread(s): stencil {rate(0, 'seconds'):.0f} tokens/s, PyTorch {rate(1, 'seconds'):.0f} tokens/s, "
            f"ratio {ratio('seconds'):.2f}; per second of CPU {rate(0, 'cpu'):.0f} and {rate(1, 'cpu'):.0f}, "
            f"ratio {ratio('cpu'):.2f}; "
            f"peak memory {rounds[-1][0]['peak_mib']:.0f} and {rounds[-1][1]['peak_mib']:.0f} MiB", flush=True
        )
        ours.close(), torch.close()


def curve(folder, binary, args):
    ours, torch = sides(folder, binary, args.threads[-1], args.compile)
    a, b = np.array(ours.run(args.curve)["losses"]), np.array(torch.run(args.curve)["losses"])
    print("step  stencil  PyTorch")
    for i in sorted({0, 1, *range(0, args.curve, max(1, args.curve // 10)), args.curve - 1}):
        print(f"{i:4}  {a[i]:7.4f}  {b[i]:7.4f}")
    tail = slice(-min(50, args.curve), None)
    print(f"largest difference {abs(a - b).max():.4f}, of the last 50 means {abs(a[tail].mean() - b[tail].mean()):.4f} "
          f"(their noise from step to step {np.diff(b[tail]).std() / 2**0.5:.4f})")


if __name__ == "__main__":
    main()
