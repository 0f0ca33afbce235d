"""Trains every draft from the quickstart's data for the same number of tokens, measures each, and prints one table.

    python tools/compare_drafts.py build/speculators SMOLLM2_FOLDER QUICKSTART_FOLDER WORK [--types eagle3,dflash] [--epochs 4]

QUICKSTART_FOLDER is what ./quickstart.sh left (data with hidden states, held-out prompts). Each draft takes the recipe
examples/quickstart_<type>.yaml with `--epochs` replaced, so all see the same tokens. A draft that is trained already is not trained again.
Prints a Markdown table: acceptance length and speed-up by kind of prompt, training tokens/s (median of the updates), peak memory; the same
figures go to WORK/drafts.json.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run_measured(command, log):
    """Seconds and peak megabytes of a child."""
    start = time.monotonic()
    with open(log, "w") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[1]} failed; see {log}:\n" + "".join(pathlib.Path(log).read_text().splitlines(True)[-5:]))
    return time.monotonic() - start, usage.ru_maxrss / 1024


def train(arguments, kind):
    folder, note = arguments.work / kind, arguments.work / f"{kind}_training.json"
    if note.exists():
        return json.loads(note.read_text())
    seconds, megabytes = run_measured(
        [arguments.program, "train", "--config", ROOT / "examples" / f"quickstart_{kind}.yaml", "--verifier-name-or-path",
         arguments.verifier, "--data-path", arguments.quickstart / "data", "--save-path", folder, "--epochs", arguments.epochs],
        arguments.work / f"{kind}_training.log")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rates = [line["profile/tokens_per_s"] for line in lines if "profile/tokens_per_s" in line]
    result = {"seconds": seconds, "peak_mb": megabytes, "tokens_per_s": statistics.median(rates), "steps": lines[-1]["step"]}
    note.write_text(json.dumps(result) + "\n")
    return result


def evaluate(arguments, kind):
    report = arguments.work / f"{kind}_report.json"
    run_measured([arguments.program, "evaluate", "--speculator", arguments.work / kind / "checkpoint_best", "--prompts",
                  arguments.quickstart / "held_out.jsonl", "--max-tokens", arguments.max_tokens, "--json", report],
                 arguments.work / f"{kind}_evaluation.log")
    return json.loads(report.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("verifier", type=pathlib.Path)
    parser.add_argument("quickstart", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    recipes = sorted(path.stem.removeprefix("quickstart_") for path in (ROOT / "examples").glob("quickstart_*.yaml"))
    parser.add_argument("--types", default=",".join(recipes))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=160)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    results = {}
    for kind in arguments.types.split(","):
        training = train(arguments, kind)
        report = evaluate(arguments, kind)
        results[kind] = {"training": training, "report": report}
        print(f"{kind}: trained in {training['seconds']:.0f} s, acceptance length {report['acceptance_length']:.2f}", flush=True)
    (arguments.work / "drafts.json").write_text(json.dumps(results, indent=2) + "\n")
    kinds = list(next(iter(results.values()))["report"]["kinds"])
    print("\n| draft | " + " | ".join(kinds) + " | all | speed-up | identical | training tokens/s | peak MB |")
    print("|---" * (len(kinds) + 6) + "|")
    for name, result in results.items():
        report, training = result["report"], result["training"]
        cells = [f"{report['kinds'][kind]['acceptance_length']:.2f}" for kind in kinds]
        print(f"| {name} | " + " | ".join(cells) + f" | {report['acceptance_length']:.2f} | {report['speed_up']:.2f} | "
              f"{report['greedy_identical']} of {report['greedy_prompts']} | {training['tokens_per_s']:.0f} | {training['peak_mb']:.0f} |")


if __name__ == "__main__":
    main()
