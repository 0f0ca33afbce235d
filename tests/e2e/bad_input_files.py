"""Cases of bad_input_test.py: which command reads which files, and what can be wrong with each file."""

import dataclasses
import json
import os
import re
import shutil
from typing import Callable

import damages
import tiny_inputs

SIZES = [
    "--epochs",
    "1",
    "--num-layers",
    "1",
    "--total-seq-len",
    "64",
    "--num-threads",
    "1",
    "--max-anchors",
    "8",
    "--block-size",
    "4",
]
LAYERS = ["--target-layer-ids", "1", "2", "3"]


def with_flags(arguments, *more):
    """`arguments` with the flags of `more` (a flag and one value each), which take the place of earlier ones."""
    result = list(arguments)
    for flag, value in zip(more[::2], more[1::2]):
        if flag in result:
            result[result.index(flag) + 1] = value
        else:
            result += [flag, value]
    return result


def without_flag(arguments, flag):
    at = arguments.index(flag)
    return arguments[:at] + arguments[at + 2 :]


def train(save_path, kind="eagle3", *more):
    return with_flags(
        [
            "train",
            "--speculator-type",
            kind,
            "--verifier-name-or-path",
            "verifier",
            "--data-path",
            "data",
            "--save-path",
            save_path,
            "--draft-vocab-size",
            "128",
            *SIZES,
            *LAYERS,
        ],
        *more,
    )


PREPARE = ["prepare-data", "--model", "verifier", "--num-preprocessing-workers", "1"]
PIPELINE = [
    ["import-gguf", "model.gguf", "--output", "imported"],
    [
        "regenerate-responses",
        "--model",
        "verifier",
        "--dataset",
        "prompts.jsonl",
        "--outfile",
        "answers.jsonl",
        "--hidden-states",
        "states",
        "--max-tokens",
        "12",
        *LAYERS,
    ],
    [*PREPARE, "--data", "chats.jsonl", "--output", "data"],
    [*with_flags(PREPARE, "--model", "foreign"), "--data", "foreign.jsonl", "--output", "foreign_data"],
    ["generate-offline-data", "--model", "verifier", "--preprocessed-data", "data", *LAYERS],
    train("checkpoints"),
    train("checkpoints_dflash", "dflash"),
]


@dataclasses.dataclass
class Case:
    command: str
    label: str
    arguments: list
    inputs: list
    change: Callable = lambda folder: None
    must_fail: bool = True
    says: str = ""  # a pattern of the message
    limit: Callable = None
    release: Callable = lambda folder: None
    may_change: Callable = lambda change: False

    def names_place(self, line):
        names = {
            part
            for name in self.inputs + self.arguments
            for part in str(name).split("/")
            if len(part) > 2 and not part.isdigit()
        }
        return any(name in line for name in names) or re.search(r"--[a-z]", line)


@dataclasses.dataclass
class Command:
    """How a command is run, what it reads, and what it writes over when that is there already."""

    arguments: list
    inputs: list
    reads: dict  # file -> kind
    existing: dict = dataclasses.field(default_factory=dict)  # output -> the good one to put there
    overwrite: list = dataclasses.field(default_factory=list)
    flips: int = 24  # random damages of each file, and as many of each JSON value
    most: int = 10**9  # cases of each file: `train` takes half a second

    @property
    def name(self):
        return self.arguments[0]


VERIFIER = {
    "verifier/config.json": "json",
    "verifier/model.safetensors": "safetensors",
    "verifier/tokenizer.json": "json",
    "verifier/tokenizer_config.json": "json",
    "verifier/chat_template.jinja": "text",
}
DATA = {"data/data-00000-of-00001.arrow": "arrow", "data/state.json": "json", "data/dataset_info.json": "json"}
SPECULATOR = {"checkpoints/0/config.json": "json", "checkpoints/0/model.safetensors": "safetensors"}
OPTIONAL = {
    "verifier/tokenizer_config.json",
    "data/dataset_info.json",
    "data/hidden_states/hidden_states.json",
    "checkpoints/0/training_state.json",
    "checkpoints/0/val_metrics.json",
    "out.jsonl.partial",
    "data/token_freq.pt",
}
REGENERATE = [
    "regenerate-responses",
    "--model",
    "verifier",
    "--dataset",
    "prompts.jsonl",
    "--outfile",
    "out.jsonl",
    "--max-tokens",
    "6",
    "--hidden-states",
    "out_states",
    *LAYERS,
]
GENERATE = ["generate-offline-data", "--model", "verifier", "--preprocessed-data", "data", *LAYERS]
EVALUATE = [
    "evaluate",
    "--speculator",
    "checkpoints/0",
    "--verifier",
    "verifier",
    "--prompts",
    "prompts.jsonl",
    "--max-tokens",
    "6",
    "--json",
    "r.json",
    "--csv",
    "r.csv",
    "--answers",
    "r.jsonl",
]
OLD_REPORTS = {name: "options.yaml" for name in ("r.json", "r.csv", "r.jsonl")}

COMMANDS = [
    Command(
        ["import-gguf", "model.gguf", "--output", "out"],
        ["model.gguf"],
        {"model.gguf": "gguf"},
        {"out": "imported"},
        flips=150,
    ),
    Command(
        ["make-prompts", "--config", "options.yaml", "--output", "out.jsonl"],
        ["options.yaml"],
        {"options.yaml": "text"},
        {"out.jsonl": "prompts.jsonl"},
    ),
    Command(
        REGENERATE,
        ["verifier", "prompts.jsonl"],
        {**VERIFIER, "prompts.jsonl": "jsonl"},
        {"out.jsonl": "answers.jsonl"},
        ["--overwrite"],
    ),
    Command(
        with_flags(REGENERATE, "--dataset", "prompts.json"),
        ["verifier", "prompts.json"],
        {"prompts.json": "json"},
        flips=12,
    ),
    Command(REGENERATE, ["verifier", "prompts.jsonl", "out.jsonl.partial"], {"out.jsonl.partial": "text"}, flips=2),
    Command(
        [*PREPARE, "--data", "chats.jsonl", "--output", "out"],
        ["verifier", "chats.jsonl"],
        {
            "verifier/tokenizer.json": "json",
            "verifier/tokenizer_config.json": "json",
            "verifier/chat_template.jinja": "text",
            "chats.jsonl": "jsonl",
        },
        {"out": "old_data"},
        ["--overwrite"],
    ),
    Command(
        [*PREPARE, "--data", "answers.jsonl", "--output", "out", "--hidden-states-from", "states"],
        ["verifier", "answers.jsonl", "states"],
        {"answers.jsonl": "jsonl"},
        {"out": "old_data"},
        ["--overwrite"],
    ),
    Command(
        GENERATE,
        ["verifier", "old_data", "data"],
        {
            "verifier/config.json": "json",
            "verifier/model.safetensors": "safetensors",
            **DATA,
            "data/hidden_states/hidden_states.json": "json",
        },
        flips=6,
    ),
    Command(
        [*GENERATE, "--output", "out"],
        ["verifier", "data"],
        {"verifier/config.json": "json", "verifier/model.safetensors": "safetensors", **DATA},
    ),
    Command(
        with_flags(GENERATE, "--model", "sharded"),
        ["sharded", "data"],
        {"sharded/model.safetensors.index.json": "json", "sharded/two.safetensors": "safetensors"},
        flips=12,
    ),
    Command(
        train("out", "eagle3", "--on-missing", "raise"),
        ["verifier", "data"],
        {
            "verifier/config.json": "json",
            "verifier/model.safetensors": "safetensors",
            **DATA,
            "data/hidden_states/hidden_states.json": "json",
            "data/hidden_states/hs_3.safetensors": "safetensors",
            "data/token_freq.pt": "pickle",
        },
        {"out": "checkpoints"},
        ["--epochs", "2"],
        flips=12,
        most=4,
    ),
    Command(
        train("out", "dflash", "--config", "train.yaml", "--on-missing", "raise"),
        ["verifier", "data", "train.yaml"],
        {"train.yaml": "text", "verifier/tokenizer_config.json": "json"},
        {"out": "checkpoints_dflash"},
        ["--epochs", "2"],
        flips=12,
        most=4,
    ),
    Command(
        train(
            "out", "eagle3", "--on-missing", "raise", "--d2t-path", "data/d2t-128.npy", "--t2d-path", "data/t2d-128.npy"
        ),
        ["verifier", "data"],
        {"data/d2t-128.npy": "npy", "data/t2d-128.npy": "npy"},
        flips=12,
        most=4,
    ),
    Command(
        without_flag(
            train("out", "eagle3", "--on-missing", "raise", "--from-pretrained", "checkpoints/0"), "--num-layers"
        ),
        ["verifier", "data", "checkpoints"],
        SPECULATOR,
        flips=12,
        most=4,
    ),
    Command(
        train("checkpoints", "eagle3", "--on-missing", "raise", "--epochs", "2"),
        ["verifier", "data", "checkpoints"],
        {
            "checkpoints/0/training_state.json": "json",
            "checkpoints/0/training_state.tensors": "safetensors",
            "checkpoints/0/val_metrics.json": "json",
        },
        flips=12,
        most=4,
    ),
    Command(
        EVALUATE,
        ["verifier", "checkpoints", "prompts.jsonl"],
        {**VERIFIER, **SPECULATOR, "prompts.jsonl": "jsonl"},
        OLD_REPORTS,
        flips=12,
    ),
]


def write_more_inputs(folder):
    (folder / "options.yaml").write_text("make-prompts:\n  kinds: [arithmetic, code]\n  count: 3\n  seed: 5\n")
    (folder / "train.yaml").write_text(
        'train:\n  lr: 0.001\n  optimizer: "adamw"\n  epochs: 1\n  target-layer-ids: [1, 2, 3]\n'
    )
    # The same model in two files, and a model with one more token.
    shutil.copytree(folder / "verifier", folder / "sharded")
    tensors = tiny_inputs.read_safetensors((folder / "sharded/model.safetensors").read_bytes())
    (folder / "sharded/model.safetensors").unlink()
    names = list(tensors)
    parts = {"one.safetensors": names[:9], "two.safetensors": names[9:]}
    for file, part in parts.items():
        (folder / "sharded" / file).write_bytes(tiny_inputs.safetensors({name: tensors[name] for name in part}))
    index = {"metadata": {"total_size": 1}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "sharded/model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copytree(folder / "verifier", folder / "foreign")
    tokenizer = tiny_inputs.tokenizer_json()
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 260, "content": "<more>"})
    (folder / "foreign/tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "foreign.jsonl").write_text((folder / "chats.jsonl").read_text().replace("What is", "<more> is"))


def finish_inputs(folder):
    """What the pipeline's outputs are needed for besides being inputs."""
    old = folder / "old_data"
    shutil.copytree(folder / "data", old, ignore=shutil.ignore_patterns("hidden_states", "*.npy"))
    rows = (folder / "answers.jsonl").read_text().splitlines()
    settings = "#settings none\n"
    (folder / "out.jsonl.partial").write_text(settings + rows[0] + "\n#done 0\n" + rows[1] + "\n#done 1\n")


def put(path, content):
    def change(folder):
        (folder / path).unlink()
        (folder / path).write_bytes(content)

    return change


def replace_by_folder(path):
    def change(folder):
        (folder / path).unlink()
        (folder / path).mkdir()

    return change


def file_cases(good, generator, command, path, kind, rounds):
    content = (good / path).read_bytes()
    make = lambda label, change, must_fail, says="": Case(
        command.name, f"{path} {label}", command.arguments, command.inputs, change, must_fail, says
    )
    for label, new, noticed in damages.whole_file_damages(kind, content):
        if new != content:
            yield make(
                f"is {label}", put(path, new), noticed and path not in OPTIONAL - {"verifier/tokenizer_config.json"}
            )
    fresh = command.name == "train" and "checkpoints/0/model" in path  # a speculator without weights gives the shape
    yield make("is missing", lambda folder: (folder / path).unlink(), path not in OPTIONAL and not fresh)
    yield make("is a folder", replace_by_folder(path), path not in OPTIONAL)
    if os.geteuid() != 0:
        yield make("is unreadable", lambda folder: (folder / path).chmod(0), True)
    for number in range(command.flips * rounds):
        yield make(f"has flipped bits ({number})", put(path, damages.flip_bits(generator, content)), False)
    if kind in ("json", "jsonl"):
        for label, new in damages.json_damages(generator, kind, content, command.flips * rounds):
            yield make(f"{label}", put(path, new), False)
    if kind == "safetensors":
        read = lambda name: command.name != "train" or "verifier" not in path or "layers" not in name
        for label, tensors in damages.tensor_damages(generator, content, 1 + command.flips // 10, read):
            yield make(
                f"{label}",
                put(path, tiny_inputs.safetensors(tensors)),
                "training_state" not in path
                and not label.startswith(("t2d is missing", "embed_tokens.weight is missing")),
            )  # d2t and the verifier have them


def overwriting(arguments, flags):
    return with_flags(arguments, *flags) if len(flags) > 1 else arguments + flags


def with_existing(generator, command, case):
    """Half of the cases find older outputs in their way, which must stay as they are."""
    if not command.existing or generator.random() < 0.5:
        return case
    before = case.change

    def change(folder):
        before(folder)
        for name, source in command.existing.items():
            source = folder.parent / "good" / source
            (
                shutil.copytree(source, folder / name, symlinks=True)
                if source.is_dir()
                else shutil.copyfile(source, folder / name)
            )

    return dataclasses.replace(
        case,
        arguments=overwriting(case.arguments, command.overwrite),
        change=change,
        label=case.label + ", old outputs",
    )


def make_cases(good, generator, rounds):
    found = []
    for command in COMMANDS:
        for path, kind in command.reads.items():
            mine = list(file_cases(good, generator, command, path, kind, rounds))
            found += [
                with_existing(generator, command, case)
                for case in generator.sample(mine, min(len(mine), command.most * rounds))
            ]
    return found
