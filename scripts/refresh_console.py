#!/usr/bin/env python3
"""Runs the `stencil` commands in the ```console blocks of documents again and puts in what they print.

    python3 scripts/refresh_console.py README.md docs/guide.md

Run it after the bundled model has changed. Commands that are not `stencil`, and what they print, stay as they are.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.compile(r"^\$ (.*\| )?stencil ")


def printed(command):
    path = f"{ROOT / 'target/release'}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env={**os.environ, "PATH": path, "NO_COLOR": "1"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)  # fmt: skip
    return done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []


def refresh(lines):
    out, console, skipping = [], False, False
    for line in lines:
        if line.startswith("```"):
            console, skipping = line == "```console", False
        elif console and line.startswith("$ "):
            skipping = bool(SHOWN.match(line))
            if skipping:
                out += [line, *printed(line[2:])]
                continue
        if not skipping:
            out.append(line)
    return out


for name in sys.argv[1:]:
    page = Path(name)
    page.write_text("\n".join(refresh(page.read_text().split("\n"))))
