"""Kills each long stage at random moments, runs it again, and compares with an undisturbed run.

Usage: kill_stages.py BUILD_FOLDER SMOLLM2_FOLDER WORK_FOLDER [--kills 20] [--write-kills 0] [--seed 0] [--type dflash]
                      [--prompts 4] [--max-tokens 16] [--epochs 2] [--stages regenerate-responses,prepare-data,...]

Stages: regenerate-responses, prepare-data, generate-offline-data, train. A round is one to three kills (SIGKILL) of the
same command, then an undisturbed rerun; rounds follow until --kills kills have hit a running command. A moment is drawn
uniformly from the undisturbed duration; a run that ended before its moment counts as the rerun. --write-kills adds
kills at file operations instead (rename, unlink, link, mkdir, fsync, truncate: every second one among the last twelve
of the run, where the final files appear), by strace. One more round stops the command with SIGINT, which must exit with
130. All runs have the run's folder as working folder and relative names, so that files that name paths are equal too.

After every kill: each file under a final name is byte for byte the undisturbed run's, except what a rerun goes on from:
`answers.jsonl.partial` and `metrics.jsonl` (their whole lines are a beginning of the undisturbed run's) and epoch
folders of `train` (all files there, and they parse). After every rerun: the same files and links, byte for byte, and no
other; in `metrics.jsonl` timings (profile/*) are left out, so that it is the loss curve that is compared, digit for
digit, and in `train_command.txt` the time stamp.

Prints the seed, and one line per stage; exit code 1 when any file differs, is half written or left over.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

STAGES = ["regenerate-responses", "prepare-data", "generate-offline-data", "train"]
FILE_CALLS = "rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,fsync,ftruncate"


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--write-kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--type", default="dflash")
    parser.add_argument("--prompts", type=int, default=4, help="of each kind")
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--stages", default=",".join(STAGES))
    return parser.parse_args()


options = read_arguments()
program = str(options.build.resolve() / "speculators")
model = str(options.model.resolve())
work = options.work.resolve()
root = pathlib.Path(__file__).resolve().parents[1]
draw = random.Random(options.seed)


def command_of(stage):
    return [program, stage] + {
        "regenerate-responses": ["--model", model, "--dataset", "../prompts.jsonl", "--outfile", "answers.jsonl",
                                 "--hidden-states", "states", "--max-tokens", str(options.max_tokens),
                                 "--concurrency", "4"],
        "prepare-data": ["--model", model, "--data", "answers.jsonl", "../conversations.jsonl", "--output", "data",
                         "--seq-length", "256", "--hidden-states-from", "states"],
        "generate-offline-data": ["--model", model, "--preprocessed-data", "data", "--batch-tokens", "128"],
        "train": ["--config", "../train.yaml", "--verifier-name-or-path", model, "--data-path", "data",
                  "--save-path", "checkpoints", "--epochs", str(options.epochs), "--total-seq-len", "128",
                  "--checkpoint-freq", "0.25", "--draft-vocab-size", "1024", "--train-data-ratio", "0.8",
                  "--max-anchors", "32"],
    }[stage]


# What a stage writes, as patterns of names in the run's folder.
OUTPUTS = {"regenerate-responses": ["answers.jsonl*", ".answers.jsonl*", "states"],
           "prepare-data": ["data", ".data.*"],
           "generate-offline-data": ["data/hidden_states"],
           "train": ["checkpoints", "data/[dt]2[dt]-*.npy", "data/.[dt]2[dt]-*"]}


# Three prompts cannot be answered, so that errors are compared too. The conversations keep prepare-data busy, and none
# becomes a row: their question alone is longer than --seq-length.
def write_inputs():
    shutil.copy(root / f"examples/quickstart_{options.type}.yaml", work / "train.yaml")
    prompts = work / "prompts.jsonl"
    subprocess.run([program, "make-prompts", "--count", str(options.prompts), "--output", str(prompts)], check=True,
                   stdout=subprocess.DEVNULL)
    lines = prompts.read_text().splitlines()
    for at in (1, len(lines) // 2, len(lines) - 1):
        lines.insert(at, json.dumps({"id": f"too-long-{at}", "prompt": "word " * 9000}))
    prompts.write_text("\n".join(lines) + "\n")
    with open(work / "conversations.jsonl", "w") as file:
        for number in range(40000):
            text = " ".join(f"{draw.randrange(10 ** 6)} is a number" for _ in range(60))
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": f"Yes, {number}: {text}"}]
            file.write(json.dumps({"id": f"c{number}", "conversations": turns}) + "\n")


def clear_outputs(folder, stage):
    for pattern in OUTPUTS[stage]:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


# --- runs -------------------------------------------------------------------------------------------------------------

def run_whole(stage, folder):
    start = time.monotonic()
    result = subprocess.run(command_of(stage), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        sys.exit(f"{command_of(stage)}\nin {folder} exited with {result.returncode}:\n{result.stdout[-3000:]}")
    return time.monotonic() - start


# The exit code: negative for a signal, as subprocess has it.
def run_stopped(stage, folder, seconds, number):
    process = subprocess.Popen(command_of(stage), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        process.wait()
    return process.returncode


def count_file_calls(stage, folder):
    log = work / "strace.txt"
    subprocess.run(["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={FILE_CALLS}"] + command_of(stage), cwd=folder,
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    calls = [re.match(r"\d+ +(\w+)\(", line) for line in log.read_text().splitlines()]
    return [call.group(1) for call in calls if call]


# Killed as the `count`-th call of that name begins; strace counts each name by itself and ends with the same signal.
def run_killed_at_call(stage, folder, name, count):
    inject = f"inject={name}:signal=KILL:when={count}"
    result = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", inject]
                            + command_of(stage), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return result.returncode


# --- comparisons ------------------------------------------------------------------------------------------------------

def is_temporary(name):
    return any(part.startswith(".") and ".tmp-" in part for part in pathlib.Path(name).parts)


# Loss curve and validation figures: everything but timings. A half-written last line is left out.
def curve_of(content):
    lines = []
    for line in content.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            lines.append({key: value for key, value in json.loads(line).items() if not key.startswith("profile/")})
    return lines


def tree_of(folder):
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = "link to " + os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def comparable(name, content):
    if name.endswith("metrics.jsonl") and isinstance(content, bytes):
        return curve_of(content)
    if name.endswith("train_command.txt") and isinstance(content, bytes):
        return re.sub(rb"^# Timestamp: .*\n", b"", content)
    return content


def differences(whole, found):
    names = sorted(whole.keys() | found.keys())
    return [f"{name}: " + ("missing" if name not in found else "left over" if name not in whole else "differs")
            for name in names if comparable(name, whole.get(name)) != comparable(name, found.get(name))]


def parse(name, content):
    if name.endswith((".safetensors", ".tensors")):
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:8 + size])
        header.pop("__metadata__", None)
        end = max(tensor["data_offsets"][1] for tensor in header.values())
        assert len(content) == 8 + size + end, "is cut off"
    elif name.endswith(".json"):
        json.loads(content)


# Whole lines of rows so far, and nothing of the final file yet needed.
def partial_problem(content, rows):
    lines = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    kept = [line for line in lines if not line.startswith(b"#")]
    return "" if kept == rows.splitlines(keepends=True)[:len(kept)] else "is no beginning of the final rows"


# An epoch folder may be one of the states saved inside its epoch; it has all files, and they parse.
def epoch_problem(name, found, whole):
    folder = name.rsplit("/", 1)[0]
    needed = {"config.json", "model.safetensors", "training_state.json", "training_state.tensors", "run.yaml"}
    missing = needed - {other.rsplit("/", 1)[1] for other in found if other.startswith(folder + "/")}
    if missing:
        return f"lacks {', '.join(sorted(missing))} beside it"
    try:
        parse(name, found[name])
    except Exception as error:  # whatever the damage
        return f"does not parse: {error}"
    return ""


# Problems of the files under final names of a run that was killed just now.
def problems_when_killed(whole, found):
    problems = []
    for name, content in found.items():
        if is_temporary(name) or comparable(name, content) == comparable(name, whole.get(name)):
            continue
        problem = "is not the undisturbed run's"
        if name.endswith(".partial"):
            problem = partial_problem(content, whole[name.removesuffix(".partial")])
        elif name.endswith("metrics.jsonl"):
            lines = curve_of(content)
            problem = "" if lines == curve_of(whole[name])[:len(lines)] else "is no beginning of the loss curve"
        elif re.match(r"checkpoints/(\d+|interrupted|last)/", name):
            problem = epoch_problem(name, found, whole)
        elif isinstance(content, str):  # links of an epoch in work: they lead somewhere
            target = str(pathlib.PurePath(name).parent / content.removeprefix("link to "))
            problem = "" if any(other.startswith(target + "/") for other in found) else "leads nowhere"
        if problem:
            problems.append(f"{name}: {problem}")
    if any(name.startswith("data/") for name in found):  # the prepared folder appears at once
        problems += [f"{name}: missing in data" for name in ("data/state.json", "data/token_freq.pt")
                     if name not in found]
    return problems


# --- rounds -----------------------------------------------------------------------------------------------------------

class StageCheck:
    def __init__(self, stage, whole, killed):
        self.stage, self.whole, self.killed = stage, whole, killed
        self.kills, self.reruns, self.compared, self.in_a_row = 0, 0, 0, 0
        self.calls_drawn, self.is_fresh = 0, True
        self.problems = []
        clear_outputs(whole, stage)
        clear_outputs(killed, stage)
        self.seconds = run_whole(stage, whole)
        self.reference = tree_of(whole)

    def note(self, what, problems):
        for problem in problems:
            self.problems.append(problem)
            print(f"  {self.stage}, {what}: {problem}", flush=True)

    def check_killed(self, what):
        found = tree_of(self.killed)
        self.compared += len(found)
        self.note(what, problems_when_killed(self.reference, found))

    def finish(self, what):
        run_whole(self.stage, self.killed)
        self.compare_finished(what)

    def compare_finished(self, what):
        self.reruns += 1
        found = tree_of(self.killed)
        self.compared += len(self.reference)
        self.note(what, differences(self.reference, found))
        clear_outputs(self.killed, self.stage)

    # `stop()` kills a run and says where, or nothing when the run ended before.
    def rounds(self, count, stop):
        done = 0
        while done < count:
            self.is_fresh = True  # nothing of an earlier run is there
            in_row = draw.choice([1, 1, 2, 3])
            places = []
            for _ in range(min(in_row, count - done)):
                place = stop()
                if not place:
                    break
                places.append(place)
                self.is_fresh = False
                self.check_killed("killed at " + place)
            done += len(places)
            self.in_a_row = max(self.in_a_row, len(places))
            what = f"rerun behind kills at {', '.join(places)}"
            self.finish(what) if len(places) == in_row or done == count else self.compare_finished(what)
        self.kills += done

    def kill_at_moment(self):
        moment = draw.uniform(0, self.seconds)
        start = time.monotonic()
        code = run_stopped(self.stage, self.killed, moment, signal.SIGKILL)
        if code == 0 and self.is_fresh:  # the machine is quicker now
            self.seconds = time.monotonic() - start
        return f"{moment:.2f} s" if code == -signal.SIGKILL else ""

    def kill_at_call(self, calls):
        last = len(calls) - 1
        self.calls_drawn += 1
        at = draw.randint(max(0, last - 11), last) if self.calls_drawn % 2 else draw.randint(0, last)
        count = calls[:at + 1].count(calls[at])
        code = run_killed_at_call(self.stage, self.killed, calls[at], count)
        return f"{calls[at]} {count} of {calls.count(calls[at])}" if code != 0 else ""

    def kill_at_calls(self, count):
        calls = count_file_calls(self.stage, self.killed)
        self.compare_finished("under strace")
        self.rounds(count, lambda: self.kill_at_call(calls))

    # Ctrl-C saves and exits with 130.
    def interrupt(self):
        code = 0
        while code == 0:  # ended before
            clear_outputs(self.killed, self.stage)
            code = run_stopped(self.stage, self.killed, draw.uniform(0.2, 0.8) * self.seconds, signal.SIGINT)
        if code != 130:
            self.note("SIGINT", [f"exit code {code}, expected 130"])
        self.check_killed("SIGINT")
        left = [name for name in tree_of(self.killed) if is_temporary(name)]
        self.note("SIGINT", [f"{name}: left over" for name in left])
        self.finish("rerun behind SIGINT")

    def line(self):
        text = (f"{self.stage}: {self.kills} kills (up to {self.in_a_row} in a row) and 1 SIGINT in runs of "
                f"{self.seconds:.1f} s, {self.reruns} reruns, {self.compared} files compared, ")
        if self.stage == "train":
            steps = [line for line in curve_of(self.reference["checkpoints/metrics.jsonl"]) if "train/loss" in line]
            text += f"loss curve of {len(steps)} steps, "
        return text + f"{len(self.problems)} differences"


def main():
    shutil.rmtree(work, ignore_errors=True)
    whole, killed = work / "whole", work / "killed"
    whole.mkdir(parents=True)
    killed.mkdir()
    print(f"seed {options.seed}", flush=True)
    write_inputs()
    failed = False
    wanted = [stage for stage in STAGES if stage in options.stages.split(",")]
    for stage in STAGES[:STAGES.index(wanted[-1]) + 1]:
        check = StageCheck(stage, whole, killed)
        if stage in wanted:
            check.rounds(options.kills, check.kill_at_moment)
            if options.write_kills:
                check.kill_at_calls(options.write_kills)
            check.interrupt()
            print(check.line(), flush=True)
            failed |= bool(check.problems)
        run_whole(stage, killed)
    sys.exit(1 if failed else 0)


main()
