"""Compiling patterns for a real tokenizer: Stencil beside outlines-core, llguidance and xgrammar, in one run.

    python3 benches/peers/compile.py tokenizer.json [--rounds 5] [--out docs/peers.md]

Makes its own virtual environment under target/peers. Every round runs all engines one after the other; the table has the
medians of CPU time, which other work on the machine hardly lengthens.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = ["outlines-core==0.2.14", "llguidance==1.9.1", "xgrammar==0.2.8"]
ITEMS = ["iso_date", "email", "bounded_email", "capitalised_words", "record", "template8", "choice5000", "dot2000", "uuid20"]
# Indices that take minutes, or more memory than there is.
OUT_OF_REACH = {("outlines-core, index", item) for item in ["template8", "choice5000", "dot2000"]}


def in_environment(python):
    """Runs this script again in the environment that has the peers."""
    if python is None:
        folder = ROOT / "target" / "peers"
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PINNED], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


def tokens(path):
    """The bytes of every token of a byte-level tokenizer, and its special tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(rest)}
    data = json.loads(Path(path).read_text())
    special = {token["id"] for token in data["added_tokens"]}
    written = {i: bytes(byte_of[c] for c in text) for text, i in data["model"]["vocab"].items() if i not in special}
    return written, special


def outlines(path):
    from outlines_core import Index, Vocabulary

    written, special = tokens(path)
    ids = {}
    for token, content in written.items():
        ids.setdefault(content, []).append(token)
    vocabulary = Vocabulary(min(special), ids)
    return lambda pattern: Index(pattern, vocabulary)


def llguidance(path):
    import llguidance

    tokenizer = llguidance.LLTokenizer(Path(path).read_text())

    def run(pattern):
        matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_regex(pattern))
        assert not matcher.get_error(), matcher.get_error()
        matcher.compute_bitmask()

    return run


def xgrammar(path):
    import xgrammar

    written, special = tokens(path)
    size = max([*written, *special]) + 1
    texts = [written.get(i, b"") for i in range(size)]
    info = xgrammar.TokenizerInfo(texts, xgrammar.VocabType.RAW, vocab_size=size, stop_token_ids=[min(special)])
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    mask = xgrammar.allocate_token_bitmask(1, size)

    def run(pattern):
        matcher = xgrammar.GrammarMatcher(compiler.compile_regex(pattern))
        matcher.fill_next_token_bitmask(mask)

    return run


def milliseconds(run, pattern):
    try:
        started = time.process_time()
        run(pattern)
        return (time.process_time() - started) * 1e3
    except Exception as error:  # A refusal belongs in the table.
        print(f"{pattern[:100]}: {error}", file=sys.stderr)
        return None


def shown(values):
    known = [value for value in values if value is not None]
    if not known:
        return "refused"
    value = statistics.median(known)
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default=str(ROOT / "docs" / "peers.md"))
    parser.add_argument("--python", help="an interpreter that has the peers, instead of an environment of its own")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        in_environment(arguments.python)
    arguments.tokenizer = str(Path(arguments.tokenizer).resolve())
    arguments.out = str(Path(arguments.out).resolve())
    os.chdir(ROOT)
    peers = {
        "outlines-core, index": outlines(arguments.tokenizer),
        "llguidance, first mask": llguidance(arguments.tokenizer),
        "xgrammar, compile and first mask": xgrammar(arguments.tokenizer),
    }
    bench = ["cargo", "run", "-q", "--release", "--", "bench", "engine", "--json", "--positions", "256", "--rounds", "5"]
    bench += ["--tokenizer", arguments.tokenizer, *(word for item in ITEMS for word in ("--item", item))]
    times = {}
    ours = {}
    for _ in range(arguments.rounds):
        lines = subprocess.run(bench, check=True, capture_output=True, text=True).stdout
        for line in filter(None, lines.splitlines()):
            item = json.loads(line)
            ours[item["item"]] = item
            times.setdefault((item["item"], "stencil"), []).append(item["compile_ms"])
            for name, run in peers.items():
                tried = (name, item["item"]) not in OUT_OF_REACH
                time_taken = milliseconds(run, item["pattern"]) if tried else None
                times.setdefault((item["item"], name), []).append(time_taken)
    size = next(iter(ours.values()))["vocab"]
    rows = [
        "# Compiling beside peers",
        "",
        f"The table has milliseconds of processor time to compile a pattern for {size:,} tokens: medians of {arguments.rounds}",
        "interleaved rounds, one thread, tokenizers prepared beforehand. Stencil and outlines-core cover every state.",
        "llguidance and xgrammar continue while they decode, so theirs is the time to the first mask. A dash means that the",
        "index was not finished: two had not ended after half a minute of processor time, and that of dot2000 would name",
        "billions of tokens.",
        "",
        f"`python3 benches/peers/compile.py tokenizer.json` ({', '.join(PINNED)})",
        "",
        f"| item | states | Stencil, all states | {' | '.join(peers)} | outlines-core / Stencil |",
        "|" + "---|" * (len(peers) + 4),
    ]
    for name, item in ours.items():
        cell = lambda engine: "—" if (engine, name) in OUT_OF_REACH else shown(times[name, engine])
        cells = [cell(engine) for engine in ["stencil", *peers]]
        index = [value for value in times[name, "outlines-core, index"] if value is not None]
        factor = f"{statistics.median(index) / statistics.median(times[name, 'stencil']):,.0f} ×" if index else "—"
        rows.append(f"| {name} | {item['states']} | {' | '.join(cells)} | {factor} |")
    Path(arguments.out).write_text("\n".join(rows) + "\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
