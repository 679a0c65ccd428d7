"""What the comparisons with PyTorch share: the environment, the model, and running two programs in turns."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["torch", "numpy", "safetensors"]


def ensure_packages():
    """Goes on if the packages are there; else runs the script again in an environment of its own, made from PyPI."""
    try:
        for package in PACKAGES:
            __import__(package)
        return
    except ImportError:
        pass
    venv = ROOT / "target" / "pytorch-venv"
    python = venv / "bin" / "python"
    if pathlib.Path(sys.prefix) == venv:
        sys.exit(f"{venv} lacks some of {PACKAGES}: remove it and run again")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [python, *sys.argv])


def add_sizes(parser, **sizes):
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)


def config_of(args):
    """config.json of the model that the arguments describe."""
    return {
        "model_type": "stencil", "name": "bench", "vocab_size": args.vocab, "hidden_size": args.hidden,
        "layers": args.layers, "heads": args.heads, "ff_size": args.ff, "max_len": args.length,
        "rope_theta": 10000.0, "norm_eps": 1e-5, "mask_token": 0, "eos_token": 1, "null_token": 2, "conditions": [],
    }


def random_weights(args, rng):
    """The weights of such a model by name, matrices (in, out)."""
    import numpy as np

    d, ff = args.hidden, args.ff
    normal = lambda shape, std: (rng.standard_normal(shape) * std).astype(np.float32)
    weights = {"embedding.weight": normal((args.vocab, d), 0.02), "norm.weight": np.ones(d, np.float32)}
    for i in range(args.layers):
        name = f"blocks.{i}."
        weights[name + "attention_norm.weight"] = np.ones(d, np.float32)
        weights[name + "ff_norm.weight"] = np.ones(d, np.float32)
        weights[name + "attention.qkv.weight"] = normal((d, 3 * d), d**-0.5)
        weights[name + "attention.out.weight"] = normal((d, d), (2 * args.layers * d) ** -0.5)
        weights[name + "ff.gate_up.weight"] = normal((d, 2 * ff), d**-0.5)
        weights[name + "ff.down.weight"] = normal((ff, d), (2 * args.layers * ff) ** -0.5)
    return weights


def as_llada(args, tensors):
    """The model as a checkpoint of LLaDA: config.json and tensors, matrices (out, in)."""
    import numpy as np

    config = {
        "model_type": "llada", "d_model": args.hidden, "n_layers": args.layers, "n_heads": args.heads,
        "mlp_hidden_size": args.ff, "vocab_size": args.vocab, "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
        "layer_norm_type": "rms", "weight_tying": True, "max_sequence_length": args.length, "mask_token_id": 0,
    }
    checkpoint = {"model.transformer.wte.weight": tensors["embedding.weight"]}
    checkpoint["model.transformer.ln_f.weight"] = tensors["norm.weight"]
    for i in range(args.layers):
        own = lambda name: tensors[f"blocks.{i}.{name}.weight"]
        q, k, v = np.split(own("attention.qkv").T, 3)
        gate, up = np.split(own("ff.gate_up").T, 2)
        parts = {
            "attn_norm": own("attention_norm"), "ff_norm": own("ff_norm"), "q_proj": q, "k_proj": k, "v_proj": v,
            "attn_out": own("attention.out").T, "ff_proj": gate, "up_proj": up, "ff_out": own("ff.down").T,
        }
        blocks = f"model.transformer.blocks.{i}."
        checkpoint |= {f"{blocks}{name}.weight": np.ascontiguousarray(part) for name, part in parts.items()}
    return config, checkpoint


class Network:
    """The model in PyTorch: sequences of one length, logits at the rows asked for."""

    def __init__(self, config, weights):
        import torch

        self.config = config
        self.length = config["max_len"]
        self.laid_out = None
        # As PyTorch likes them: (out, in).
        stored = lambda name, w: w.t().contiguous() if w.dim() == 2 and name != "embedding.weight" else w
        self.weights = {name: torch.nn.Parameter(stored(name, w)) for name, w in weights.items()}
        size = config["hidden_size"] // config["heads"]
        angles = torch.outer(torch.arange(self.length), config["rope_theta"] ** (-torch.arange(0, size, 2) / size))
        self.cos, self.sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

    def use_onednn(self, rows, last):
        """Lays the weights out for products by oneDNN with so many rows, and with so many for the logits."""
        import torch

        self.laid_out = {}
        for name, weight in self.weights.items():
            if weight.dim() == 2:
                count = last if name == "embedding.weight" else rows
                self.laid_out[id(weight)] = torch.ops.mkldnn._reorder_linear_weight(weight.data, count)

    def linear(self, x, weight):
        import torch

        if self.laid_out is None:
            return torch.nn.functional.linear(x, weight)
        return torch.ops.mkldnn._linear_pointwise(x, self.laid_out[id(weight)], None, "none", [], "")

    def rope(self, x):
        import torch

        a, b = x.chunk(2, -1)
        return x * self.cos + torch.cat((-b, a), -1) * self.sin

    def logits(self, tokens, rows):
        import torch.nn.functional as F

        d, heads, eps = self.config["hidden_size"], self.config["heads"], self.config["norm_eps"]
        embedding = self.weights["embedding.weight"]
        x = F.embedding(tokens.view(-1, self.length), embedding)
        batch = x.shape[0]
        for i in range(self.config["layers"]):
            w = lambda name: self.weights[f"blocks.{i}.{name}.weight"]
            qkv = self.linear(F.rms_norm(x, (d,), w("attention_norm"), eps), w("attention.qkv"))
            q, k, v = qkv.view(batch, self.length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(self.rope(q), self.rope(k), v)
            x = x + self.linear(mixed.transpose(1, 2).reshape(batch, self.length, d), w("attention.out"))
            gate, up = self.linear(F.rms_norm(x, (d,), w("ff_norm"), eps), w("ff.gate_up")).chunk(2, -1)
            x = x + self.linear(F.silu(gate) * up, w("ff.down"))
        x = F.rms_norm(x.view(-1, d)[rows], (d,), self.weights["norm.weight"], eps)
        return self.linear(x, embedding)


class Side:
    """A program that works when told to: a number per line of input, a line of JSON per answer."""

    def __init__(self, command, threads):
        # Waiting threads of OpenMP sleep instead of spinning, which would favour stencil where other programs run.
        variables = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended early")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def build(bench):
    """Path of a benchmark of this crate, compiled."""
    command = ["cargo", "build", "--release", "--bench", bench, "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    return next(m["executable"] for m in found if m.get("target", {}).get("name") == bench and m.get("executable"))
