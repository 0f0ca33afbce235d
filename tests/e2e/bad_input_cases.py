"""Cases of bad_input_test.py that are not about one damaged file: flags, places that cannot be written, a full disk,
and files that do not belong together."""

import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess

import tiny_inputs
from bad_input_files import COMMANDS, Case, make_cases, put, with_flags, without_flag

NAMES = [
    "import-gguf",
    "make-prompts",
    "regenerate-responses",
    "prepare-data",
    "generate-offline-data",
    "train",
    "evaluate",
]
FIRST = {}  # command -> its first entry in COMMANDS
for entry in COMMANDS:
    FIRST.setdefault(entry.name, entry)
OUTPUTS = {
    "import-gguf": ["--output"],
    "make-prompts": ["--output"],
    "regenerate-responses": ["--outfile", "--hidden-states"],
    "prepare-data": ["--output", "--token-freq-path"],
    "generate-offline-data": ["--output"],
    "train": ["--save-path"],
    "evaluate": ["--json", "--csv", "--answers"],
}
EXAMPLE = {
    "INT": ["x", "1.5", "", "-1", "99999999999999999999", "9223372036854775807"],
    "FLOAT": ["x", "", "nan", "-1", "1e400"],
    "TEXT": [""],
}


def flag_cases(program, generator, rounds):
    """Flags that do not exist, values of another kind, values out of range."""
    for name in NAMES:
        command = FIRST[name]
        make = lambda label, arguments, must_fail=True, says="": Case(
            name, label, arguments, command.inputs, must_fail=must_fail, says=says
        )
        help_text = subprocess.run([program, name, "--help"], capture_output=True, text=True, check=True).stdout
        known = re.findall(r"^  --([\w-]+)(?:,\S+)? (INT|FLOAT|TEXT)?", help_text, re.MULTILINE)
        for flag, _ in known if name != "train" else known[:3]:
            yield make(
                f"--{flag}x", [*command.arguments, f"--{flag}x"], says=f"unknown argument '--{flag}x'; did you mean --"
            )
        yield make("a lone word", [*command.arguments[:1], "--", "word"])
        yield make("no arguments", [name])
        yield make(
            "a config that is not there",
            (
                [*command.arguments, "--config", "no.yaml"]
                if "--config" not in command.arguments
                else [name, "--config", "no.yaml"]
            ),
            says="no.yaml: cannot open",
        )
        values = [(flag, value) for flag, kind in known if kind for value in EXAMPLE[kind]]
        if name == "train":
            values = generator.sample(values, min(len(values), 10 * rounds))
        for flag, value in values:
            hopeless = value in ("x", "1e400", "99999999999999999999")
            yield make(f"--{flag} '{value}'", with_flags(command.arguments, f"--{flag}", value), must_fail=hopeless)
    for word, nearest in [("trian", "train"), ("prepare_data", "prepare-data"), ("import", "import-gguf"), ("", "")]:
        yield Case(
            "(none)", f"command '{word}'", [word], [], says=f"unknown command '{word}'(; did you mean {nearest})?"
        )


def place_cases():
    for name in NAMES:
        command = FIRST[name]
        source = command.inputs[0]
        below_a_file = "a_file/below"
        for flag in OUTPUTS[name]:
            for place in (below_a_file, "/proc/nothing/here", "x" * 300, "a_file/"):
                yield Case(
                    name,
                    f"{flag} {place[:20]}",
                    with_flags(command.arguments, flag, place),
                    command.inputs,
                    lambda folder: (folder / "a_file").write_text("text"),
                )
            if name in ("make-prompts", "evaluate") or flag in ("--outfile", "--token-freq-path"):
                yield Case(
                    name,
                    f"{flag} is a folder",
                    with_flags(command.arguments, flag, "a_folder")
                    + ["--overwrite"] * (name == "regenerate-responses"),
                    command.inputs,
                    lambda folder: (folder / "a_folder").mkdir(),
                )
            else:
                yield Case(
                    name,
                    f"{flag} is a file",
                    with_flags(command.arguments, flag, "a_file"),
                    command.inputs,
                    lambda folder: (folder / "a_file").write_text("text"),
                    must_fail=name != "import-gguf",
                )
            if os.geteuid() != 0:
                yield Case(
                    name,
                    f"{flag} in a folder without permission",
                    with_flags(command.arguments, flag, "closed/x"),
                    command.inputs,
                    lambda folder: (folder / "closed").mkdir(0o500),
                )
        for flag in [
            f
            for f in command.arguments
            if f
            in (
                "--model",
                "--dataset",
                "--data",
                "--preprocessed-data",
                "--data-path",
                "--verifier-name-or-path",
                "--speculator",
                "--prompts",
                "--verifier",
            )
        ]:
            for place in ("no/such/place", "a_file", "empty_folder", "x" * 300):

                def change(folder):
                    (folder / "a_file").write_text("text")
                    (folder / "empty_folder").mkdir()

                yield Case(
                    name, f"{flag} {place[:20]}", with_flags(command.arguments, flag, place), command.inputs, change
                )


def file_size_limit(size):
    """Writes behind `size` bytes of a file fail, as on a full disk."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def mount_tmpfs(folder, size):
    (folder / "disk").mkdir()
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder / "disk")], capture_output=True
        ).returncode
        == 0
    )


def can_mount(folder):
    if os.geteuid() != 0 or not mount_tmpfs(folder, "64k"):
        return False
    subprocess.run(["umount", "-l", str(folder / "disk")], check=True)
    return True


# Stages that go on where they stopped keep what is finished.
KEPT = {
    "regenerate-responses": re.compile(
        r"(out.jsonl.partial|disk/out.partial|(out_states|disk/out)(/p\d_gen0.safetensors)?) is new"
    ),
    "generate-offline-data": re.compile(
        r"(disk/)?(out|hidden_states.json|out/hidden_states.json|(out/)?hs_\d+.safetensors) is new"
    ),
    "train": re.compile(r"(disk/)?(out)?/?(run.yaml|train_command.txt|metrics.jsonl)? is new"),
}


def disk_cases(mounts):
    for name in NAMES:
        command = next(
            c for c in COMMANDS if c.name == name and (name != "generate-offline-data" or "out" in c.arguments)
        )
        kept = lambda change, name=name: bool(name in KEPT and KEPT[name].match(change))
        for size in (0, 1, 100, 1000) if name != "train" else (0, 1000, 20000):
            yield Case(
                name,
                f"no file may exceed {size} bytes",
                command.arguments,
                command.inputs,
                must_fail=size < 200 or name == "train",
                limit=file_size_limit(size),
                may_change=kept,
            )
        if not mounts:
            continue
        for flag in OUTPUTS[name][:1] + OUTPUTS[name][-1:]:
            for free in (0, 4096):

                def change(folder, free=free):
                    mount_tmpfs(folder, "64k")
                    disk = os.statvfs(folder / "disk")
                    (folder / "disk/ballast").write_bytes(bytes(disk.f_bavail * disk.f_bsize - free))

                arguments = with_flags(command.arguments, flag, "disk/out")
                yield Case(
                    name,
                    f"{flag} on a disk with {free} bytes",
                    arguments,
                    command.inputs,
                    change,
                    must_fail=free == 0,
                    release=lambda folder: subprocess.run(["umount", "-l", str(folder / "disk")], check=True),
                    may_change=kept,
                )


def other_verifier(vocab=None, hidden=None):
    """Changes verifier/ into one with other sizes."""

    def change(folder):
        old = tiny_inputs.VOCAB, tiny_inputs.HIDDEN
        shutil.rmtree(folder / "verifier")
        tiny_inputs.write_verifier(folder / "verifier", vocab or old[0], hidden or old[1])

    return change


def rewrite_npy(path, **changes):
    def change(folder):
        content = (folder / path).read_bytes()
        start = 10 + struct.unpack("<H", content[8:10])[0]
        header = eval(content[10:start])  # written by this program a moment ago
        dtype, shape, data = header["descr"], header["shape"], content[start:]
        put(
            path,
            tiny_inputs.npy(
                changes.get("dtype", dtype), changes.get("shape", shape), changes.get("data", lambda d: d)(data)
            ),
        )(folder)

    return change


def mismatch_cases():
    by_name = lambda name, index=0: [c for c in COMMANDS if c.name == name][index]
    generate, evaluate, regenerate = (
        by_name("generate-offline-data", 1),
        by_name("evaluate"),
        by_name("regenerate-responses"),
    )
    training, with_maps = by_name("train"), by_name("train", 2)
    of = lambda command, label, change, says="", inputs=(), arguments=None: Case(
        command.name, label, arguments or command.arguments, [*command.inputs, *inputs], change, says=says
    )
    yield of(
        generate,
        "data of another tokenizer",
        lambda folder: None,
        "row \\d+: expected token ids below 260, the verifier's vocabulary, found 260",
        ["foreign_data"],
        with_flags(generate.arguments, "--preprocessed-data", "foreign_data"),
    )
    yield of(
        training,
        "data of another tokenizer",
        lambda folder: shutil.copytree(folder / "data/hidden_states", folder / "foreign_data/hidden_states"),
        "",
        ["foreign_data"],
        without_flag(with_flags(training.arguments, "--data-path", "foreign_data"), "--draft-vocab-size"),
    )
    for vocab, hidden, label in [
        (300, None, "more tokens"),
        (200, None, "fewer tokens"),
        (None, 64, "wider hidden states"),
    ]:
        change = other_verifier(vocab, hidden)
        yield of(evaluate, f"a verifier with {label}", change)
        yield of(by_name("generate-offline-data", 0), f"a verifier with {label} than the files of before", change)
        yield of(with_maps, f"a verifier with {label}", change)
        if label != "more tokens":
            yield of(training, f"a verifier with {label}", change)
    yield of(regenerate, "a verifier with fewer tokens", other_verifier(200), "vocabulary")
    add = lambda path, text: lambda folder: (folder / path).write_text(text + "\n")
    prepare = by_name("prepare-data")
    for label, row in [
        ("too large", {"input_ids": [1, 5000], "loss_mask": [0, 1]}),
        ("negative", {"input_ids": [1, -2], "loss_mask": [0, 1]}),
        ("huge", {"input_ids": [1, 2**40], "loss_mask": [0, 1]}),
        ("without its mask", {"input_ids": [1, 2]}),
        ("longer than its mask", {"input_ids": [1, 2, 3], "loss_mask": [0, 1]}),
        ("with a mask of other values", {"input_ids": [1, 2], "loss_mask": [0, 7]}),
    ]:
        yield of(prepare, f"token ids {label}", add("chats.jsonl", json.dumps(row)))
    for name, path in [("d2t", "data/d2t-128.npy"), ("t2d", "data/t2d-128.npy")]:
        yield of(
            with_maps,
            f"{name} one entry short",
            rewrite_npy(path, shape=(127 if name == "d2t" else 259,), data=lambda d: d[: -8 if name == "d2t" else -1]),
        )
        yield of(
            with_maps, f"{name} of two dimensions", rewrite_npy(path, shape=(2, 64) if name == "d2t" else (2, 130))
        )
        yield of(
            with_maps,
            f"{name} of numbers with a point",
            rewrite_npy(
                path,
                dtype="<f8" if name == "d2t" else "<f2",
                data=lambda d: bytes(len(d) if name == "d2t" else 2 * len(d)),
            ),
        )
    yield of(
        regenerate,
        "an id with a path",
        add("prompts.jsonl", json.dumps({"id": "../evil", "prompt": "Hi"})),
        "without '/'",
    )
    yield of(
        with_maps,
        "d2t beyond the vocabulary",
        rewrite_npy("data/d2t-128.npy", data=lambda d: d[:-8] + struct.pack("<q", 5000)),
    )


def all_cases(good, program, generator, rounds, mounts):
    return [
        *make_cases(good, generator, rounds),
        *flag_cases(program, generator, rounds),
        *place_cases(),
        *disk_cases(mounts),
        *mismatch_cases(),
    ]
