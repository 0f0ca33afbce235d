"""Kills each long stage with SIGKILL at random moments, runs it again, and compares with an undisturbed run.

Usage: kill_stages.py BUILD_FOLDER SMOLLM2_FOLDER WORK_FOLDER [--kills 20] [--type dflash] [--seed 0]
Stages: regenerate-responses, prepare-data, generate-offline-data, train. After the last kill the stage runs to its end;
its files must equal those of the undisturbed run byte for byte (train: the loss curve, line by line), and no temporary file
may be left. Prints one line per stage; exit code 1 when any differs.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--kills", type=int, default=20)
parser.add_argument("--type", default="dflash")
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
program = str(options.build / "speculators")
root = pathlib.Path(__file__).resolve().parents[1]
random.seed(options.seed)


def stages(folder):
    f = lambda name: str(folder / name)
    return {
        "regenerate-responses": [program, "regenerate-responses", "--model", str(options.model), "--dataset", str(options.work / "prompts.jsonl"),
                                 "--outfile", f("answers.jsonl"), "--hidden-states", f("states"), "--max-tokens", "32", "--concurrency", "4"],
        "prepare-data": [program, "prepare-data", "--model", str(options.model), "--data", f("answers.jsonl"), "--output", f("data"), "--seq-length", "256"],
        "generate-offline-data": [program, "generate-offline-data", "--model", str(options.model), "--preprocessed-data", f("data")],
        "train": [program, "train", "--config", str(root / f"examples/quickstart_{options.type}.yaml"), "--verifier-name-or-path", str(options.model),
                  "--data-path", f("data"), "--save-path", f("checkpoints"), "--epochs", "2", "--total-seq-len", "256", "--checkpoint-freq", "0.25",
                  "--draft-vocab-size", "1024"],
    }


def run_whole(command):
    start = time.monotonic()
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexited with {result.returncode}:\n{result.stdout[-3000:]}")
    return time.monotonic() - start


def run_killed(command, seconds):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
        return False  # it ended before its moment
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def loss_curve(folder):
    # A step that was run twice (before and after a kill) must give the same loss twice.
    losses = {}
    for line in (folder / "checkpoints" / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        loss = record.get("train", {}).get("loss", record.get("train/loss"))
        if loss is not None:
            losses.setdefault(record["global_step"], set()).add(loss)
    return losses


def files_of(folder, stage):
    kept = {"regenerate-responses": ["answers.jsonl", "states"], "prepare-data": ["data"], "generate-offline-data": ["data"], "train": []}[stage]
    found = {}
    for name in kept:
        path = folder / name
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def weights_of(folder):
    return {p.parent.name: p.read_bytes() for p in (folder / "checkpoints").glob("[0-9]*/model.safetensors")}


def main():
    shutil.rmtree(options.work, ignore_errors=True)
    whole, killed = options.work / "whole", options.work / "killed"
    whole.mkdir(parents=True)
    killed.mkdir()
    subprocess.run([program, "make-prompts", "--count", "10", "--output", str(options.work / "prompts.jsonl")], check=True, stdout=subprocess.DEVNULL)
    failed = False
    for stage in stages(whole):
        seconds = run_whole(stages(whole)[stage])
        kills = 0
        for attempt in range(50 * options.kills):
            if kills == options.kills:
                break
            if run_killed(stages(killed)[stage], random.uniform(0, seconds)):
                kills += 1
            else:  # finished: begin again, so that every kill meets unfinished work
                for name in {"regenerate-responses": ["answers.jsonl", "states"], "prepare-data": ["data"],
                             "generate-offline-data": ["data/hidden_states"], "train": ["checkpoints"]}[stage]:
                    path = killed / name
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        run_whole(stages(killed)[stage])
        same = files_of(whole, stage) == files_of(killed, stage)
        left = [str(p) for p in killed.rglob("*") if ".tmp-" in p.name or p.name.endswith(".partial")]
        if stage == "train":
            a, b = loss_curve(whole), loss_curve(killed)
            same = a == b and weights_of(whole) == weights_of(killed)
            print(f"train: {len(a)} steps")
        print(f"{stage}: {kills} kills, {'equal' if same else 'DIFFERENT'}, left over: {left or 'nothing'}", flush=True)
        failed |= not same or bool(left) or kills < options.kills
    sys.exit(1 if failed else 0)


main()
