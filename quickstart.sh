#!/usr/bin/env bash
# From prompts to a measured speculator on a real chat model, in one sitting on a laptop without a GPU:
# import SmolLM2-135M-Instruct, let it answer our prompts, keep its hidden states, train a draft on the spot, and measure
# plain against speculative decoding on held-out prompts. Safe to run again: finished stages are kept; offline once the
# packages are there.
#   ./quickstart.sh [--speculator-type TYPE]     any that has a recipe: examples/quickstart_TYPE.yaml; default dflash
# Sizes for trying things out: QUICKSTART_PROMPTS and QUICKSTART_HELD_OUT (of each kind), QUICKSTART_EPOCHS,
# QUICKSTART_TOKENS (longest answer), QUICKSTART_FOLDER.
set -euo pipefail
source "$(dirname "$0")/tools/setup.sh"

type=dflash
while [ $# -gt 0 ]; do
  case $1 in
    --speculator-type) type=${2:?--speculator-type needs a name}; shift 2 ;;
    --speculator-type=*) type=${1#*=}; shift ;;
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
done
if [ ! -f "$root/examples/quickstart_$type.yaml" ]; then
  known=$(cd "$root/examples" && ls quickstart_*.yaml | sed 's/^quickstart_//; s/\.yaml$//' | paste -sd' ')
  echo "quickstart.sh: --speculator-type: expected one of $known, found '$type'" >&2
  exit 2
fi

out=${QUICKSTART_FOLDER:-$root/quickstart}
prompts=${QUICKSTART_PROMPTS:-240}
held_out=${QUICKSTART_HELD_OUT:-16}
tokens=${QUICKSTART_TOKENS:-160}

install_packages
find_python
build_targets speculators
mkdir -p "$out"
speculators=$build/speculators
started=$(date +%s)
stage() { say "$(( $(date +%s) - started ))s  $*"; }

stage "the chat model: SmolLM2-135M-Instruct (Apache-2.0)"
smollm2=$(fetch_smollm2)

stage "writing prompts"
"$speculators" make-prompts --seed 1 --count "$prompts" --output "$out/prompts.jsonl"
"$speculators" make-prompts --seed 2 --count "$held_out" --exclude-seed 1 --exclude-count "$prompts" --output "$out/held_out.jsonl"

stage "the model answers them, and its hidden states are kept"
"$speculators" regenerate-responses --model "$smollm2" --dataset "$out/prompts.jsonl" --outfile "$out/answers.jsonl" \
  --hidden-states "$out/answer_states" --max-tokens "$tokens" --concurrency 16

stage "preparing the data set"
"$speculators" prepare-data --model "$smollm2" --data "$out/answers.jsonl" --output "$out/data" \
  --seq-length 512 --hidden-states-from "$out/answer_states"
"$speculators" generate-offline-data --model "$smollm2" --preprocessed-data "$out/data"

stage "training a $type draft"
"$speculators" train --config "$root/examples/quickstart_$type.yaml" --verifier-name-or-path "$smollm2" \
  --data-path "$out/data" --save-path "$out/$type" ${QUICKSTART_EPOCHS:+--epochs "$QUICKSTART_EPOCHS"}

stage "measuring on held-out prompts, plain and speculative in turn"
"$speculators" evaluate --speculator "$out/$type/checkpoint_best" --prompts "$out/held_out.jsonl" --max-tokens "$tokens" \
  --json "$out/report.json" --csv "$out/report.csv"
