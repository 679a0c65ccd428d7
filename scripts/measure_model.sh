#!/usr/bin/env bash
# The figures in a model's card: held-out likelihood and hidden words part by part, readability of samples.
#
#   scripts/measure_model.sh MODEL CORPUS.jsonl OUT [TWIN]
#
# MODEL and TWIN (its causal twin) are directories. PYTHON is the interpreter of the venv that scripts/teacher_text.py
# describes; without it readability is left out. SAMPLER holds flags for the samples, e.g. "--policy random".
set -euo pipefail
cd "$(dirname "$0")/.."
model=$1 corpus=$2 out=$3 twin=${4:-}
stencil=${STENCIL:-target/release/stencil}
read -ra sampler <<<"${SAMPLER:-}"
mkdir -p "$out"
cargo run --release --quiet --example corpus -- check "$corpus" "$out/held-out"

for part in sentences definitions entries records values; do
    data=$out/held-out/$part.jsonl
    echo "== $part"
    "$stencil" eval -m "$model" --data "$data" --json
    [ -z "$twin" ] || "$stencil" eval -m "$twin" --data "$data" --json
    "$stencil" eval -m "$model" --baseline ngram --train "$out/held-out/training.jsonl" --data "$data" --json
done | tee "$out/eval.txt"

"$stencil" run -m "$model" --length 6-14w -n 200 --seed 1000 -q ${sampler[@]+"${sampler[@]}"} >"$out/free.txt"
templates=(
    'A {{thing:1-2}} is a {{kind:1-3}} that {{does:2-8}}.' 'The {{thing:1-2}} is {{what:2-8}}.'
    'The {{one:1-2}} in the {{place:1-2}} {{does:2-6}}.' 'You can {{do:3-8}}.'
    '{{who:1-3}} is {{what:2-8}} in the {{place:1-3}}.'
)
for template in "${templates[@]}"; do
    "$stencil" fill -m "$model" "$template" -n 40 --seed 2000 -q ${sampler[@]+"${sampler[@]}"}
done >"$out/templates.txt"
# Real text of the same kind: sentences of the corpus that fit, as many of each.
words() { echo "[A-Za-z'-]+( [A-Za-z'-]+){$(($1 - 1)),$(($2 - 1))}"; }
fitting=(
    "A $(words 1 2) is a $(words 1 3) that $(words 2 8)\." "The $(words 1 2) is $(words 2 8)\."
    "The $(words 1 2) in the $(words 1 2) $(words 2 6)\." "You can $(words 3 8)\."
    "$(words 1 3) is $(words 2 8) in the $(words 1 3)\."
)
for pattern in "${fitting[@]}"; do
    sed -E 's/.*"text":"([^"\\]*)".*/\1/; t; d' "$out"/held-out/training.jsonl | grep -xE "$pattern" |
        shuf -n 40 --random-source=<(yes)
done >"$out/real.txt"
[ -z "${PYTHON:-}" ] || "$PYTHON" scripts/readability.py ${TEACHER:+--model "$TEACHER"} \
    "$out"/free.txt "$out"/templates.txt "$out"/real.txt "$out"/held-out/{sentences,definitions}.jsonl | tee "$out/readability.txt"
