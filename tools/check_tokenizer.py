#!/usr/bin/env python3
"""Compares our tokenizer with the `tokenizers` package: ids, round trips, decoded text, streams, speed on one core.

Both read the same tokenizer.json files: GPT-2, Llama 2, Llama 3, Qwen 3 and o200k from ASSETS/tok-* (built into WORK
where the asset is only a vocabulary), arrangements of the same vocabularies that other models use, any folders given.
Texts: every text file under ASSETS, whole; every token of three vocabularies; pieces of these; random Unicode; escaped
lone surrogates. Round trip: our decode(encode(x)) = x, where the tokenizer keeps texts and knows all of x's bytes.

Usage: python tools/check_tokenizer.py --program build/tools/tokenize --work /tmp/tok [--time 2] [FOLDER ...]
Only GPT-2 and a folder, about two minutes of one core each: ... --only gpt2 -- FOLDER
Only speed:                                                  ... --scale 0 --time 2 --only gpt2 -- FOLDER
"""

import argparse
import base64
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models  # noqa: E402
from tokenizers import normalizers, pre_tokenizers, processors  # noqa: E402

LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_PATTERN = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


# ---- vocabularies ----------------------------------------------------------------------------------------------------
def byte_alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in own]
    return {**{b: chr(b) for b in own}, **{b: chr(256 + i) for i, b in enumerate(others)}}


ALPHABET = byte_alphabet()


def read_ranks(path):
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, path.read_bytes().splitlines())}


def split_token(ranks, token):
    """The two tokens whose merge made `token`."""
    parts = [bytes([b]) for b in token]
    limit = ranks[token]
    while len(parts) > 2:
        candidates = [(ranks.get(parts[i] + parts[i + 1], limit), i) for i in range(len(parts) - 1)]
        rank, i = min(candidates)
        if rank >= limit:
            return None
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


def model_from_ranks(path, **options):
    ranks = read_ranks(path)
    spell = lambda token: "".join(ALPHABET[b] for b in token)  # noqa: E731
    merges = []
    for token in sorted(ranks, key=ranks.get):
        parts = split_token(ranks, token) if len(token) > 1 else None
        if parts:
            merges.append((spell(parts[0]), spell(parts[1])))
    return models.BPE({spell(t): r for t, r in ranks.items()}, merges, **options)


def byte_level(model, pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer


def split_then_bytes(*patterns):
    splits = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def specials(names):
    return [AddedToken(name, special=True, normalized=False) for name in names]


def gpt2_model(assets):
    return models.BPE.from_file(str(assets / "tok-gpt2/vocab.json"), str(assets / "tok-gpt2/merges.txt"))


def make_gpt2(assets):
    tokenizer = byte_level(gpt2_model(assets), pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens(specials(["<|endoftext|>"]))
    return tokenizer


def make_llama2(assets):
    """The asset has lost its no-break spaces (they became spaces, so the package refuses the file): put them back."""
    file = json.loads((assets / "tok-llama2/tokenizer.json").read_text())
    model = file["model"]
    model["vocab"] = {token.replace(" ", "\u00a0"): id for token, id in model["vocab"].items()}
    for i, merge in enumerate(model["merges"]):
        if merge.count(" ") != 1:
            middle = len(merge) // 2
            model["merges"][i] = " ".join(part.replace(" ", "\u00a0") for part in (merge[:middle], merge[middle + 1 :]))
    return Tokenizer.from_str(json.dumps(file))


def make_llama3(assets):
    model = model_from_ranks(assets / "tok-llama3/tokenizer.model", ignore_merges=True)
    tokenizer = byte_level(model, split_then_bytes(LLAMA3_PATTERN))
    names = [
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|eot_id|>",
        *[f"<|reserved_special_token_{i}|>" for i in range(253)],
    ]
    tokenizer.add_special_tokens(specials(names))
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        pair="<|begin_of_text|> $A <|begin_of_text|> $B",
        special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    return tokenizer


def make_qwen3(assets, pattern=QWEN_PATTERN):
    tokenizer = byte_level(
        model_from_ranks(assets / "tok-qwen/qwen.tiktoken"), split_then_bytes(pattern), normalizers.NFC()
    )
    config = json.loads((assets / "tok-qwen/qwen3.tokenizer_config.json").read_text())
    for _, token in sorted(config["added_tokens_decoder"].items(), key=lambda item: int(item[0])):
        added = AddedToken(**token)
        (tokenizer.add_special_tokens if token["special"] else tokenizer.add_tokens)([added])
    return tokenizer


def make_o200k(assets):
    tokenizer = byte_level(
        model_from_ranks(assets / "tok-tiktoken/o200k_base.tiktoken"), split_then_bytes(O200K_PATTERN)
    )
    tokenizer.add_special_tokens(specials(["<|startoftext|>", "<|endoftext|>", "<|start|>", "<|message|>", "<|end|>"]))
    return tokenizer


def make_gemma_like(assets):
    tokenizer = make_llama2(assets)
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def make_metaspace(assets):
    tokenizer = make_llama2(assets)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return tokenizer


def make_falcon_like(assets):
    parts = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return byte_level(gpt2_model(assets), pre_tokenizers.Sequence(parts))


def make_deepseek_like(assets):
    patterns = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK_PATTERN]
    return byte_level(gpt2_model(assets), split_then_bytes(*patterns), normalizers.NFD())


def make_odd(assets):
    """Added tokens of every kind, prefix space, lower case."""
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer = byte_level(gpt2_model(assets), pre_tokenizers.ByteLevel(add_prefix_space=True), normalizer)
    tokenizer.add_tokens(
        [
            AddedToken("The", single_word=True, normalized=False),
            AddedToken("AND", normalized=True, lstrip=True),
            AddedToken("<a>", normalized=False, rstrip=True),
            AddedToken("<a><b>", normalized=False),
            AddedToken("\u00e9t\u00e9", normalized=True, single_word=True),
        ]
    )
    tokenizer.add_special_tokens([AddedToken("of", normalized=False, lstrip=True, rstrip=True)])
    return tokenizer


MAKERS = {
    "gpt2": make_gpt2,
    "llama2": make_llama2,
    "llama3": make_llama3,
    "qwen3": make_qwen3,
    "qwen3.5-pattern": lambda assets: make_qwen3(assets, QWEN35_PATTERN),
    "o200k": make_o200k,
    "gemma-like": make_gemma_like,
    "metaspace": make_metaspace,
    "falcon-like": make_falcon_like,
    "deepseek-like": make_deepseek_like,
    "odd": make_odd,
}


# ---- texts -----------------------------------------------------------------------------------------------------------
SNIPPETS = """
's 'S 'll 'LL 're I'm don't WE'VE \u017f '\u017f \u212a <|endoftext|> <|im_end|> <s> </s> <a> <b>
The the AND and of \u00e9 e\u0301 \uac00\u11a8 \u1100\u1161 \u0958 \u2126 \ufb01 \u0130 \u00df
\u1e9e \u3042 \u4e2d\u6587 \u0928\u092e\u0938\u094d \u0e2a\u0e27 \U0001f600
\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \u0661\u0662\u0663 \u00bd \u2167 1
12 123 1234 3.14 // /* */ {} ... !? -- == != \u2014 \u201c \u2581 \u2581a
""".split()
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n "]
SPACES += ["\u00a0", "\u3000", "\u2028", "\u180e", "\u0085", "\u200b", "\0"]


def random_character(rng):
    while True:
        c = rng.randrange(rng.choice([0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000]))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def random_texts(rng, count):
    kinds = [
        lambda: rng.choice(SNIPPETS),
        lambda: rng.choice(SPACES),
        lambda: rng.choice("abcdeABCDE" + "0123456789" + ".,;:!?'\"/()-_"),
        lambda: random_character(rng),
    ]
    for _ in range(count):
        weights = [rng.random() for _ in kinds]
        yield "".join(rng.choices(kinds, weights)[0]() for _ in range(rng.randrange(1, 60)))


def asset_texts(assets):
    """Every file that is UTF-8 text, line ends as they are."""
    for path in sorted(p for p in assets.rglob("*") if p.is_file()):
        data = path.read_bytes()
        try:
            yield (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        except UnicodeDecodeError:
            pass


def vocabulary_texts(assets):
    """All tokens of a vocabulary in a row: words of every language, which the files hold in base64."""
    for name in ("tok-qwen/qwen.tiktoken", "tok-llama3/tokenizer.model", "tok-tiktoken/o200k_base.tiktoken"):
        yield b"".join(read_ranks(assets / name)).decode("utf-8", errors="ignore")


def escaped_surrogates(rng, count):
    """Lone surrogates as they get into UTF-8: as escapes. A cut through a pair's escapes leaves one half alone."""
    for text in random_texts(rng, count):
        lone = rng.randrange(0xD800, 0xE000)
        escaped = json.dumps(text + chr(lone) + random_character(rng) + "\U0001f600")
        yield escaped[: rng.randrange(1, len(escaped) + 1)]
        yield (text + chr(lone) + text).encode("utf-8", errors="backslashreplace").decode()


CUT = 200_000


def make_texts(assets, scale):
    rng = random.Random(1)
    whole = [*asset_texts(assets), *vocabulary_texts(assets)]
    texts = [text[:CUT] for text in whole] if scale < 1 else list(whole)
    for text in whole:
        for _ in range(20):
            start = rng.randrange(len(text) + 1)
            texts.append(text[start : start + rng.randrange(1, 400)])
    texts += random_texts(rng, int(30_000 * scale))
    texts += escaped_surrogates(rng, int(2_000 * scale))
    texts += ["", " ", "a" * 5000, " " * 5000, "ab" * 3000, "\n" * 300, "\u4e2d" * 1000, "\u2581" * 100]
    return texts


def describe_texts(texts):
    num_bytes = sum(len(text.encode()) for text in texts)
    return f"{len(texts)} texts, {num_bytes / 1e6:.1f} MB, the longest {max(map(len, texts))} characters"


# ---- comparison ------------------------------------------------------------------------------------------------------
def write_list(path, items, size):
    with open(path, "wb") as file:
        for data in items:
            file.write(struct.pack("<I", len(data) // size) + data)


def read_list(path, size):
    data = Path(path).read_bytes()
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + count * size]
        at += 4 + count * size


def batches(items, max_characters=1 << 20):
    """The package's Encoding objects are large: never hold those of all texts at once."""
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += len(item)
        if size >= max_characters:
            yield batch
            batch, size = [], 0
    yield batch


def pack_ids(ids):
    return struct.pack(f"<{len(ids)}i", *ids)


def unpack_ids(data):
    return list(struct.unpack(f"<{len(data) // 4}i", data))


def show(data):
    return repr(data[:200]) + ("..." if len(data) > 200 else "")


def unknown_bytes(file):
    """Bytes for which the vocabulary has no token: SmolLM2's lacks 21, six of them control characters."""
    return bytes(b for b in range(256) if ALPHABET[b] not in file["model"]["vocab"])


def keeps_texts(file):
    """Byte-level without normalizer or added spaces, and no added token swallows white space."""
    stages = json.dumps(file["pre_tokenizer"])
    swallows = any(token["lstrip"] or token["rstrip"] for token in file["added_tokens"])
    adds = file["normalizer"] or '"add_prefix_space": true' in stages
    return "ByteLevel" in stages and not adds and not swallows


class Checker:
    def __init__(self, program, work, texts):
        self.program, self.work, self.texts = program, work, texts
        self.input, self.output = work / "input", work / "output"
        self.num_bad = 0

    def run(self, folder, task):
        subprocess.run([self.program, folder, task, self.input, self.output], check=True)

    def compare(self, what, expected, size):
        bad = [
            i for i, (want, got) in enumerate(zip(expected, read_list(self.output, size), strict=True)) if want != got
        ]
        self.num_bad += len(bad)
        print(f"  {what:<16} {len(expected):>7} compared, {len(bad)} differ")
        return bad

    def check(self, folder):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        for task, special in (("encode", False), ("encode-special", True)):
            write_list(self.input, [text.encode() for text in self.texts], 1)
            packed = []  # ids as in the files: tens of times smaller than lists of Python numbers
            for batch in batches(self.texts):
                packed += [pack_ids(e.ids) for e in tokenizer.encode_batch(batch, add_special_tokens=special)]
            self.run(folder, task)
            for i in self.compare(task, packed, 4)[:3]:
                self.explain(
                    tokenizer, self.texts[i], unpack_ids(packed[i]), unpack_ids(list(read_list(self.output, 4))[i])
                )
        self.check_decoding(folder, tokenizer, packed)
        file = json.loads((folder / "tokenizer.json").read_text())
        if keeps_texts(file):
            self.check_round_trip(folder, unknown_bytes(file))

    def check_round_trip(self, folder, unknown):
        known = [data for data in map(str.encode, self.texts) if len(data) == len(data.translate(None, unknown))]
        write_list(self.input, known, 1)
        self.run(folder, "encode")
        os.replace(self.output, self.input)
        self.run(folder, "decode")
        for i in self.compare("round trip", known, 1)[:3]:
            print("   ", show(known[i]), "\n    got ", show(list(read_list(self.output, 1))[i]))
        if unknown:
            num_left_out = len(self.texts) - len(known)
            print(f"    {num_left_out} texts left out: the vocabulary lacks the bytes {unknown.hex(' ')}")

    def explain(self, tokenizer, text, want, got):
        first = next((k for k, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
        around = slice(max(0, first - 2), first + 4)
        print("   ", show(text), "\n    want", [tokenizer.id_to_token(t) for t in want[around]])
        print("    got ", [tokenizer.id_to_token(t) for t in got[around]])

    def check_decoding(self, folder, tokenizer, packed):
        rng = random.Random(2)
        size = tokenizer.get_vocab_size()
        sequences = [unpack_ids(ids) for ids in packed[:: max(1, len(packed) // 3000)]]
        sequences += [[rng.randrange(size + 5) for _ in range(rng.randrange(30))] for _ in range(4000)]
        sequences += [[rng.randrange(min(size, 400)) for _ in range(rng.randrange(12))] for _ in range(4000)]
        write_list(self.input, [pack_ids(x) for x in sequences], 4)
        for task, skip in (("decode", False), ("decode-skip", True), ("stream", False)):
            expected = tokenizer.decode_batch(sequences, skip_special_tokens=skip)
            self.run(folder, task)
            for i in self.compare(task, [text.encode() for text in expected], 1)[:3]:
                print("   ", sequences[i][:20], "\n    want", show(expected[i].encode()))
                print("    got ", show(list(read_list(self.output, 1))[i]))

    def time_all(self, folder, seconds, texts_of):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        for name, texts in texts_of.items():
            print(f"  {name + ':':<22}", end="", flush=True)
            self.time(folder, tokenizer, seconds, texts)

    def time(self, folder, tokenizer, seconds, texts):
        write_list(self.input, [text.encode() for text in texts], 1)
        num_bytes = sum(len(text.encode()) for text in texts)
        best = 0.0
        for _ in range(2 if num_bytes < 10e6 else 1):  # the first round warms its caches
            start = time.process_time()
            for batch in batches(texts):
                tokenizer.encode_batch_fast(batch, add_special_tokens=False)  # its quickest: no offsets
            best = max(best, num_bytes / (time.process_time() - start) / 1e6)
        command = [self.program, folder, "time", self.input, str(seconds)]
        ours = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(f"  tokenizers {best:.2f} MB/s; ours {ours}; ratio {float(ours.split('; ')[1].split()[0]) / best:.1f}")


def timing_texts(assets):
    def lines(*names):
        return [line for name in names for line in (assets / name).read_text().splitlines()]

    books = [(assets / f"corpus-chilit/ChiLit/{n}.txt").read_text() for n in ("alice", "jungle", "secret", "rose")]
    chinese = "".join(chr(c) for c in range(0x4E00, 0x5E00))
    rng = random.Random(3)
    return {
        "all text files": list(asset_texts(assets)),
        "books": books,
        "GSM8K, lines": lines("gsm8k/test.jsonl"),
        "code (MBPP)": [(assets / "eval-mbpp/mbpp.jsonl").read_text()],
        "random Chinese": ["".join(rng.choices(chinese, k=400)) + "\u3002" for _ in range(200)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--work", type=Path, required=True, help="where tokenizer.json files are built and kept")
    parser.add_argument("--only", nargs="*", help="names of built-in tokenizers")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: fewer texts, long ones cut; 0: none")
    parser.add_argument("--time", type=float, default=0, metavar="SECONDS", help="also measure speed, for so long each")
    parser.add_argument("folders", type=Path, nargs="*")
    arguments = parser.parse_args()
    folders = list(arguments.folders)
    for name in MAKERS if arguments.only is None else arguments.only:
        folder = arguments.work / name
        if not (folder / "tokenizer.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            MAKERS[name](arguments.assets).save(str(folder / "tokenizer.json"))
        folders.append(folder)
    checker = Checker(arguments.program, arguments.work, make_texts(arguments.assets, arguments.scale))
    if arguments.scale > 0:
        print(describe_texts(checker.texts))
    for folder in folders:
        print(folder.name, flush=True)
        if arguments.scale > 0:
            checker.check(folder)
        if arguments.time:
            checker.time_all(folder, arguments.time, timing_texts(arguments.assets))
    sys.exit(1 if checker.num_bad else 0)


if __name__ == "__main__":
    main()
