"""What can be wrong with the content of a file."""

import copy
import json
import math

import tiny_inputs


def whole_file_damages(kind, content):
    """(label, new content, whether it must be noticed)."""
    yield "empty", b"", kind != "text"
    yield "zeros", bytes(len(content)), kind != "text"
    size = len(content)
    for at in sorted({1, 2, 7, 8, 12, size // 4, size // 2, size * 3 // 4, size - 9, size - 2, size - 1}):
        if not 0 < at < size:
            continue
        rest, strict = content[at:], kind in ("gguf", "safetensors", "arrow", "npy", "pickle", "json")
        line_ends = kind == "jsonl" and content[at - 1 : at + 1].find(b"\n") >= 0
        noticed = strict and rest.strip() != b"" or kind == "jsonl" and not line_ends
        yield f"cut to {at} of {size} bytes", content[:at], noticed
    yield "twice", content + content, kind in ("json", "safetensors")
    yield "other bytes", bytes((byte * 7 + 13) % 256 for byte in content), kind != "text"


def flip_bits(generator, content):
    flipped = bytearray(content)
    span = len(flipped) if generator.random() < 0.5 else min(len(flipped), 1200)
    for _ in range(generator.choice([1, 1, 2, 5])):
        flipped[generator.randrange(span)] ^= 1 << generator.randrange(8)
    return bytes(flipped)


WRONG_VALUES = [None, "x", "", -1, 0, 1.5, 2**31, 2**62, 1e300, True, [], {}, [None], ["x"], [-1], {"x": 1}]


def json_places(value, path=()):
    """Every place of a JSON value, of long lists and objects only the ends."""
    yield path
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys if len(keys) <= 40 else keys[:2] + keys[-1:]:
        yield from json_places(value[key], (*path, key))


def change_json(generator, value):
    """The value with one place taken out or replaced."""
    place = generator.choice(list(json_places(value)))
    new = generator.choice(WRONG_VALUES + ["(removed)"] * 3)
    if not place:
        return f"everything is {new!r}", new
    changed = copy.deepcopy(value)
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    if new == "(removed)":
        del parent[place[-1]]
    else:
        parent[place[-1]] = new
    return f"{'.'.join(map(str, place))} is {new!r}", changed


def json_damages(generator, kind, content, count):
    for _ in range(count):
        if kind == "json":
            label, changed = change_json(generator, json.loads(content))
            yield label, json.dumps(changed).encode()
        else:
            lines = content.decode().splitlines()
            label, changed = change_json(generator, json.loads(lines[1]))
            lines[1] = json.dumps(changed)
            yield f"line 2: {label}", ("\n".join(lines) + "\n").encode()


def tensor_damages(generator, content, count, names):
    """Tensors of another shape or dtype, or not there."""
    tensors = tiny_inputs.read_safetensors(content)
    names = sorted(name for name in tensors if names(name))
    for name in generator.sample(names, min(count, len(names))):
        dtype, shape, data = tensors[name]
        per_row = len(data) // max(shape[0], 1)
        yield f"{name} has one row less", {**tensors, name: (dtype, [shape[0] - 1, *shape[1:]], data[per_row:])}
        if len(shape) > 1:
            yield f"{name} has one column more", {
                **tensors,
                name: (dtype, [shape[0], shape[1] + 1, *shape[2:]], data + bytes(len(data) // shape[1])),
            }
        yield f"{name} has one dimension more", {**tensors, name: (dtype, [1, *shape], data)}
        yield f"{name} is empty", {**tensors, name: (dtype, [0, *shape[1:]], b"")}
        yield f"{name} is missing", {key: value for key, value in tensors.items() if key != name}
        yield f"{name} holds truth values", {**tensors, name: ("BOOL", shape, bytes(math.prod(shape)))}
