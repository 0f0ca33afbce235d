#!/usr/bin/env python3
"""Writes src/tokenizer/testdata/tokenizer_goldens.json: tiny tokenizers of every arrangement that models use, with
texts and what the `tokenizers` package makes of them. The C++ test reads it without Python.

Usage: python tools/make_tokenizer_goldens.py     (needs `tokenizers`; a few seconds)
"""

import json
import random
from pathlib import Path

from check_tokenizer import DEEPSEEK_PATTERN, LLAMA3_PATTERN, O200K_PATTERN, QWEN35_PATTERN, QWEN_PATTERN
from check_tokenizer import byte_level, random_texts, specials, split_then_bytes
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The small boat went down the river to the old town, and the river was slow and brown.",
    "She said that they'd better wait; it wasn't late, and there were 128 boats, 2048 birds and 3 dogs.",
    "def add(a, b):\n    return a + b  # adds\n\n\nif __name__ == '__main__':\n    print(add(1, 22))\n",
    "The children were walking home through the fields; the fields were green and the children sang.",
    "caf\u00e9 d\u00e9j\u00e0 vu, na\u00efve stra\u00dfe, "
    "\u4f60\u597d\u4e16\u754c\u3002\u4f60\u597d\uff01 "
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0928\u092e\u0938\u094d\u0924\u0947",
    "HTTPServer camelCase SNAKE_CASE x1y2z3 http://example.org/a/b?c=d&e=f \U0001f600\U0001f680",
] * 3
TEXTS = [
    "The river was slow.",
    "  two  spaces, a\ttab\nand lines\n\n\r\n  done  ",
    "I'm sure WE'LL see; they'Ve gone, it\u2019s 12345 or 3.14159.",
    "\u4f60\u597d\u4e16\u754c "
    "caf\u00e9 cafe\u0301 "
    "\u041f\u0440\u0438\u0432\u0435\u0442 "
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0928\u092e\u0938\u094d\u0924\u0947",
    "<s>system</s><|end|>  the AND The<a><b> AND  of it",
    "x = {'a': [1, 22, 333]}  // HTTPServer\n\n\n",
    "\u2581\u2581 already \u2581marked",
    "",
    " ",
    "a" * 70,
]


def train(tokenizer, vocab_size=360, **options):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, min_frequency=1, **options)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def train_bytes(pre_tokenizer, normalizer=None, **model_options):
    tokenizer = byte_level(models.BPE(**model_options), pre_tokenizer, normalizer)
    return train(tokenizer, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))


def gpt2():
    tokenizer = train_bytes(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens(specials(["<|end|>"]))
    return tokenizer


def smollm2():
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return train_bytes(pre_tokenizers.Sequence(parts))


def llama3():
    tokenizer = train_bytes(split_then_bytes(LLAMA3_PATTERN), ignore_merges=True)
    tokenizer.add_special_tokens(specials(["<s>", "<|end|>"]))
    template = processors.TemplateProcessing(
        single="<s> $A <|end|>",
        pair="<s> $A $B",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "<|end|>")],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return tokenizer


def qwen(pattern):
    tokenizer = train_bytes(split_then_bytes(pattern), normalizers.NFC())
    tokenizer.add_special_tokens(specials(["<|end|>"]))
    tokenizer.add_tokens([AddedToken("<a>", normalized=False), AddedToken("<a><b>", normalized=False)])
    return tokenizer


def sentence_piece(normalizer, pre_tokenizer, decoder, **model_options):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **model_options))
    tokenizer.normalizer, tokenizer.decoder = normalizer, decoder
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    byte_tokens = [f"<0x{b:02X}>" for b in range(256)] if model_options.get("byte_fallback") else []
    train(
        tokenizer, 620 if byte_tokens else 300, special_tokens=["<unk>", "<s>", "</s>", *byte_tokens], limit_alphabet=80
    )
    file = json.loads(tokenizer.to_str())  # byte tokens are part of the vocabulary, not found in the text
    file["added_tokens"] = [token for token in file["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(file))


def llama2():
    tokenizer = sentence_piece(
        normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
        None,
        decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        ),
        byte_fallback=True,
        fuse_unk=True,
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def gemma():
    return sentence_piece(
        normalizers.Replace(" ", "\u2581"),
        pre_tokenizers.Split(" ", "merged_with_previous"),
        decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]),
        byte_fallback=True,
        fuse_unk=True,
    )


def metaspace(fuse_unk):
    return sentence_piece(
        normalizers.NFKC(),
        pre_tokenizers.Metaspace(prepend_scheme="first"),
        decoders.Metaspace(prepend_scheme="first"),
        fuse_unk=fuse_unk,
    )


def falcon():
    parts = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return train_bytes(pre_tokenizers.Sequence(parts))


def odd():
    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer = train_bytes(pre_tokenizers.ByteLevel(add_prefix_space=True), normalizer)
    tokenizer.add_tokens(
        [
            AddedToken("The", single_word=True, normalized=False),
            AddedToken("AND", normalized=True, lstrip=True),
            AddedToken("<a>", normalized=False, rstrip=True),
        ]
    )
    tokenizer.add_special_tokens([AddedToken("of", normalized=False, lstrip=True, rstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("of", 360), ("<a>", 361))
    return tokenizer


def whitespace():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return train(tokenizer, 150, special_tokens=["<unk>"], limit_alphabet=60)


TOKENIZERS = {
    "gpt2": gpt2,
    "smollm2": smollm2,
    "llama3": llama3,
    "qwen2": lambda: qwen(QWEN_PATTERN),
    "qwen3.5": lambda: qwen(QWEN35_PATTERN),
    "o200k": lambda: train_bytes(split_then_bytes(O200K_PATTERN)),
    "deepseek": lambda: train_bytes(split_then_bytes(r"\p{N}{1,3}", "[\u4e00-\u9fa5]+", DEEPSEEK_PATTERN)),
    "llama2": llama2,
    "gemma": gemma,
    "metaspace": lambda: metaspace(fuse_unk=False),
    "metaspace fusing": lambda: metaspace(fuse_unk=True),
    "falcon": falcon,
    "odd": odd,
    "whitespace": whitespace,
}


def make_case(tokenizer, text):
    return {
        "text": text,
        "ids": tokenizer.encode(text, add_special_tokens=False).ids,
        "ids_with_specials": tokenizer.encode(text, add_special_tokens=True).ids,
    }


def make_decoding(tokenizer, ids):
    decode = lambda skip: tokenizer.decode(ids, skip_special_tokens=skip)  # noqa: E731
    return {"ids": ids, "text": decode(False), "text_without_specials": decode(True)}


def main():
    rng = random.Random(5)
    entries = []
    for name, make in TOKENIZERS.items():
        tokenizer = make()
        cases = [make_case(tokenizer, text) for text in [*TEXTS, *random_texts(rng, 8)]]
        size = tokenizer.get_vocab_size()
        sequences = [case["ids"] for case in cases] + [[rng.randrange(size) for _ in range(10)] for _ in range(8)]
        file = json.loads(tokenizer.to_str())
        entries.append(
            {
                "name": name,
                "tokenizer": file,
                "encodings": cases,
                "decodings": [make_decoding(tokenizer, s) for s in sequences],
            }
        )
    path = Path(__file__).parent.parent / "src/tokenizer/testdata/tokenizer_goldens.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "[\n" + ",\n".join(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) for entry in entries) + "\n]\n"
    )
    print(f"{path}: {path.stat().st_size} bytes, {len(entries)} tokenizers")


if __name__ == "__main__":
    main()
