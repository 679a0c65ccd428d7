#!/usr/bin/env python3
"""Training speed and loss of `stencil` beside PyTorch: same model, weights, batches, optimizer and threads, in turns.

    benches/pytorch/training.py                    # tokens per second, 1 and 2 threads
    benches/pytorch/training.py --curve 300        # loss curves on the same data

PyTorch runs eagerly with scaled_dot_product_attention, fused AdamW, and logits at the masked positions only.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import venv  # noqa: E402

venv.ensure()
import numpy as np  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MASK, EOS, NULL = 0, 1, 2


def make(folder, args):
    """Writes the model's sizes, its first weights, the optimizer's settings and batches of masked text."""
    rng = np.random.default_rng(args.seed)
    config = {
        "model_type": "stencil", "name": "bench", "vocab_size": args.vocab, "hidden_size": args.hidden,
        "layers": args.layers, "heads": args.heads, "ff_size": args.ff, "max_len": args.length,
        "rope_theta": 10000.0, "norm_eps": 1e-5, "mask_token": MASK, "eos_token": EOS, "null_token": NULL,
        "conditions": [],
    }
    optimizer = {
        "steps": 1000, "batch_tokens": args.batch * args.length, "lr": 1e-3, "muon_lr": 0.0, "warmup": 20,
        "beta1": 0.9, "beta2": 0.98, "weight_decay": 0.05, "clip": 1.0, "ema": 0.999,
    }
    d, ff = args.hidden, args.ff
    normal = lambda shape, std: (rng.standard_normal(shape) * std).astype(np.float32)
    tensors = {"embedding.weight": normal((args.vocab, d), 0.02), "norm.weight": np.ones(d, np.float32)}
    for i in range(args.layers):
        name = f"blocks.{i}."
        tensors[name + "attention_norm.weight"] = np.ones(d, np.float32)
        tensors[name + "ff_norm.weight"] = np.ones(d, np.float32)
        tensors[name + "attention.qkv.weight"] = normal((d, 3 * d), d**-0.5)
        tensors[name + "attention.out.weight"] = normal((d, d), (2 * args.layers * d) ** -0.5)
        tensors[name + "ff.gate_up.weight"] = normal((d, 2 * ff), d**-0.5)
        tensors[name + "ff.down.weight"] = normal((ff, d), (2 * args.layers * ff) ** -0.5)
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
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "optimizer.json").write_text(json.dumps(optimizer))


def serve(folder, threads, compiled):
    """Trains in PyTorch: a number of steps per line of input, a line of JSON per answer."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    config = json.loads((folder / "config.json").read_text())
    settings = json.loads((folder / "optimizer.json").read_text())
    data = {name: torch.from_numpy(array) for name, array in load_file(folder / "data.safetensors").items()}
    d, heads, length = config["hidden_size"], config["heads"], config["max_len"]
    size, eps = d // heads, config["norm_eps"]
    weights = {
        name: torch.nn.Parameter(tensor.t().contiguous() if tensor.dim() == 2 and name != "embedding.weight" else tensor)
        for name, tensor in data.items() if name.endswith(".weight")
    }
    angles = torch.outer(torch.arange(length), config["rope_theta"] ** (-torch.arange(0, size, 2) / size))
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

    def rope(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat((-b, a), -1) * sin

    def forward(tokens, rows, targets, scale):
        x = F.embedding(tokens.view(-1, length), weights["embedding.weight"])
        batch = x.shape[0]
        for i in range(config["layers"]):
            w = lambda name: weights[f"blocks.{i}.{name}.weight"]
            qkv = F.linear(F.rms_norm(x, (d,), w("attention_norm"), eps), w("attention.qkv"))
            q, k, v = qkv.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(rope(q), rope(k), v).transpose(1, 2).reshape(batch, length, d)
            x = x + F.linear(mixed, w("attention.out"))
            gate, up = F.linear(F.rms_norm(x, (d,), w("ff_norm"), eps), w("ff.gate_up")).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, w("ff.down"))
        x = F.rms_norm(x.view(-1, d)[rows], (d,), weights["norm.weight"], eps)
        return (F.cross_entropy(F.linear(x, weights["embedding.weight"]), targets, reduction="none") * scale).sum()

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


class Side:
    """A program that trains when told to."""

    def __init__(self, command, threads):
        variables = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended early")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def sides(folder, binary, threads, compiled):
    torch = [sys.executable, __file__, "--serve", str(folder), "--threads", str(threads)] + ["--compile"] * compiled
    return Side([binary, folder], threads), Side(torch, threads)


def build():
    command = ["cargo", "build", "--release", "--bench", "training", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    return next(m["executable"] for m in found if m.get("target", {}).get("name") == "training" and m.get("executable"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in [("vocab", 8192), ("hidden", 256), ("layers", 6), ("heads", 4), ("ff", 688), ("length", 64)]:
        parser.add_argument(f"--{name}", type=int, default=default)
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
    folder = ROOT / "target" / "bench-training"
    if args.curve:
        args.batches = args.curve
    make(folder, args)
    binary = build()
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
            f"ratio {ratio('seconds'):.2f} (of CPU time {ratio('cpu'):.2f}); "
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
