"""End-to-end test: damaged input at the command line. Usage: bad_input_test.py BUILD_FOLDER [--rounds N] [COMMAND...]

Runs the whole pipeline once on a tiny model, then every command on copies of its inputs in which one thing is wrong:
files that are empty, cut short, bit-flipped, missing or folders; JSON values of another kind; tensors of other shapes;
another vocabulary; flags that do not exist; paths that cannot be written; a full disk. Each run must end with exit code
1 or 2 and one line on stderr that names a place, or succeed where the damage left a valid file; and a run that failed
must leave the folder as it was. `--rounds N` multiplies the random cases.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves the source folder as it is
import bad_input_cases
import bad_input_files
import tiny_inputs

TIMEOUT_S = 60
SAYS_WHAT = re.compile(
    "expected|expects|cannot|unknown|no such|missing|need|required|not valid|must|outside|is not|are not|does not|"
    "do not|differ|no row has|has no|cut short|above the limit|belong|other settings|exceeds|lists no|line [0-9]+: "
)
PROGRESS = re.compile(r"^[\w-]+: \d+(/\d+)? \S+, \S+/s, took |^warning: |^saved |^validation at step ")


def fingerprint(path):
    if os.path.islink(path):
        return os.readlink(path)
    if not os.access(path, os.R_OK):
        return "unreadable"
    return hashlib.sha1(pathlib.Path(path).read_bytes()).hexdigest()


def snapshot(folder):
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders:
            path = os.path.join(root, name)
            found[os.path.relpath(path, folder)] = os.readlink(path) if os.path.islink(path) else "folder"
        for name in files:
            path = os.path.join(root, name)
            found[os.path.relpath(path, folder)] = fingerprint(path)
    return found


def differences(before, after):
    changed = [f"{name} is new" for name in after.keys() - before.keys()]
    changed += [f"{name} is gone" for name in before.keys() - after.keys()]
    return sorted(
        changed + [f"{name} was changed" for name in before.keys() & after.keys() if before[name] != after[name]]
    )


def copy_folder(source, target):
    shutil.copytree(source, target, symlinks=True)


class Bench:
    """A build of the program, a folder of good inputs and outputs, and a folder for the cases."""

    def __init__(self, build, folder):
        self.program = str(build / "speculators")
        self.folder, self.good = folder, folder / "good"
        self.environment = {**os.environ, "SPECULATORS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.numbers = itertools.count()
        self.messages = collections.Counter()

    def run(self, arguments, folder, limit=None):
        return subprocess.run(
            [self.program, *arguments],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            preexec_fn=limit,
        )

    def make_good(self):
        tiny_inputs.write_inputs(self.good)
        bad_input_files.write_more_inputs(self.good)
        for arguments in bad_input_files.PIPELINE:
            result = self.run(arguments, self.good)
            if result.returncode != 0:
                sys.exit(f"FAILED: {' '.join(arguments)}\n{result.stderr.decode()}")
        bad_input_files.finish_inputs(self.good)

    def check(self, case):
        """Runs one case in a folder of its own; returns what is wrong about it."""
        folder = self.folder / f"case{next(self.numbers)}"
        folder.mkdir()
        try:
            for name in case.inputs:
                source, target = self.good / name, folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (copy_folder if source.is_dir() else shutil.copyfile)(source, target)
            case.change(folder)
            before = snapshot(folder)
            try:
                result = self.run(case.arguments, folder, case.limit)
            except subprocess.TimeoutExpired:
                return [f"still running after {TIMEOUT_S} s"]
            return self.judge(case, result, differences(before, snapshot(folder)))
        finally:
            case.release(folder)
            shutil.rmtree(folder)

    def judge(self, case, result, changed):
        code, error = result.returncode, result.stderr.decode(errors="replace")
        if code == 0:
            return ["exit code 0, expected 1 or 2"] if case.must_fail else []
        if code not in (1, 2):
            return [f"exit code {code}: {error.strip()[-300:]}"]
        wrong = []
        lines = [line for line in error.splitlines() if not PROGRESS.match(line)]
        if len(lines) != 1 or not lines[0].startswith("speculators: "):
            wrong.append(f"expected one line on stderr, found: {error.strip()[:300]!r}")
        line = lines[-1] if lines else ""
        self.messages[f"{case.command}: {line}"] += 1
        if not case.names_place(line):
            wrong.append(f"names no place: {line}")
        if not SAYS_WHAT.search(line):
            wrong.append(f"says neither what was expected nor what cannot be done: {line}")
        if case.says and not re.search(case.says, line):
            wrong.append(f"expected {case.says!r} in: {line}")
        changed = [change for change in changed if not case.may_change(change)]
        if changed:
            wrong.append(f"exit code {code}, yet {'; '.join(changed[:6])}: {line}")
        return wrong


def report(command, results, seconds):
    codes = sum(1 for _, wrong in results if wrong)
    print(f"{command:24}{len(results):6} cases {codes:5} wrong  {seconds:6.1f} s of one processor", flush=True)


def start_up_ms(bench):
    """The best of ten, as others may be using the machine."""

    def once():
        start = time.perf_counter()
        bench.run(["--help"], bench.folder)
        return (time.perf_counter() - start) * 1e3

    return min(once() for _ in range(10))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("commands", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--messages", help="write every message that was seen into this file")
    options = parser.parse_args()

    violations, start = [], time.monotonic()
    shared_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # the program flushes what it writes
    with tempfile.TemporaryDirectory(prefix="speculators-bad-input-", dir=shared_memory) as folder:
        bench = Bench(options.build.resolve(), pathlib.Path(folder))
        bench.make_good()
        all_cases = bad_input_cases.all_cases(
            bench.good, bench.program, random.Random(20), options.rounds, bad_input_cases.can_mount(bench.folder)
        )
        wanted = [case for case in all_cases if not options.commands or case.command in options.commands]

        def timed(case):
            begin = time.monotonic()
            return case, bench.check(case), time.monotonic() - begin

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            results = list(pool.map(timed, wanted))
        for command in dict.fromkeys(case.command for case in wanted):
            mine = [(case, wrong, seconds) for case, wrong, seconds in results if case.command == command]
            report(command, [(case, wrong) for case, wrong, _ in mine], sum(seconds for *_, seconds in mine))
            violations += [f"{command}: {case.label}: {text}" for case, wrong, _ in mine for text in wrong]
        milliseconds = start_up_ms(bench)
    print(f"{len(wanted)} cases in {time.monotonic() - start:.1f} s; `speculators --help` in {milliseconds:.1f} ms")
    if options.messages:
        pathlib.Path(options.messages).write_text(
            "".join(f"{n:5} {text}\n" for text, n in sorted(bench.messages.items()))
        )
    for violation in violations:
        print("FAILED:", violation)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
