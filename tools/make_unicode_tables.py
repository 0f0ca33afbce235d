#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.cpp: what the `tokenizers` package knows about every code point.

The package mixes Unicode versions: Oniguruma's categories, Rust's is_numeric, an old punctuation crate and an older
normalisation crate. Asking the package itself is the only way to agree with it on every character.
Usage: python tools/make_unicode_tables.py > src/tokenizer/unicode_tables.cpp     (needs `tokenizers`; about 30 s)
"""

import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
UPPER_AT_EVEN, UPPER_AT_ODD = 30, 31  # runs where upper and lower case alternate
WORD, NUMERIC, PUNCTUATION, NFC_INERT, OPAQUE, NEW = (1 << bit for bit in range(5, 11))
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def chunks(size=5000):
    for i in range(0, len(CODE_POINTS), size):
        yield CODE_POINTS[i : i + size]


def members(pattern):
    keep = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    found = set()
    for chunk in chunks():
        for piece, _ in keep.pre_tokenize_str("".join(map(chr, chunk))):
            found.update(map(ord, piece))
    return found


def isolated(pre_tokenizer):
    """Code points that the pre-tokenizer cuts off from the letters around them."""
    found = set()
    for chunk in chunks():
        text = "aa" + "aa".join(map(chr, chunk)) + "aa"
        found.update(ord(p) for p, _ in pre_tokenizer.pre_tokenize_str(text) if len(p) == 1 and p != "a")
    return found


def word_characters():
    """Members of \\w of Rust's regex crate: those that stay attached to a letter."""
    whitespace = pre_tokenizers.Whitespace()
    return {c for c in CODE_POINTS if [p for p, _ in whitespace.pre_tokenize_str("a" + chr(c))] == ["a" + chr(c)]}


def canonical_pairs():
    for c in CODE_POINTS:
        parts = unicodedata.decomposition(chr(c)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            yield chr(int(parts[0], 16)), chr(int(parts[1], 16))
    for trail in [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]:  # Hangul vowels and finals
        yield ("\u1100" if trail < 0x1176 else "\uac00"), chr(trail)


def normalization_flags():
    """NFC_INERT: NFC never changes a text made of these. OPAQUE: unknown to the package's normalisers."""
    nfc, nfd, nfkd = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()
    inert, opaque = set(), set()
    seconds = set()
    for first, second in canonical_pairs():
        composed = nfc.normalize_str(first + second)
        if composed != unicodedata.normalize("NFC", first + second):
            opaque.add(ord(second))
        elif composed != first + second:
            seconds.add(ord(second))
    for c in CODE_POINTS:
        char = chr(c)
        if unicodedata.category(char) == "Cn":
            opaque.add(c)
            continue
        probes = [char, "a\u0345" + char, "a" + char + "\u0334"]
        if any(nfd.normalize_str(p) != unicodedata.normalize("NFD", p) for p in probes):
            opaque.add(c)
        elif nfkd.normalize_str(char) != unicodedata.normalize("NFKD", char):
            opaque.add(c)
        elif not unicodedata.combining(char) and c not in seconds and unicodedata.normalize("NFC", char) == char:
            inert.add(c)
    return inert | opaque, opaque


def lower_case_exceptions():
    """Lower-case letters that are newer than the Unicode library this project may be built with."""
    lowercase = normalizers.Lowercase()
    for c in CODE_POINTS:
        lower = lowercase.normalize_str(chr(c))
        if lower != chr(c).lower():
            yield c, ord(lower)


def runs(value_of):
    """(first code point, value) of every run; alternating upper and lower case counts as one run."""
    result = []
    c = 0
    while c < 0x110000:
        category, flags = value_of[c] & 31, value_of[c] & ~31
        end = c + 1
        pair = {CATEGORIES.index("Lu"), CATEGORIES.index("Ll")}
        while end < 0x110000 and value_of[end] & ~31 == flags and {value_of[end] & 31, value_of[end - 1] & 31} == pair:
            end += 1
        if end - c >= 3:
            upper_at_even = (category == CATEGORIES.index("Lu")) == (c % 2 == 0)
            result.append((c, flags | (UPPER_AT_EVEN if upper_at_even else UPPER_AT_ODD)))
        else:
            end = c + 1
            while end < 0x110000 and value_of[end] == value_of[c]:
                end += 1
            result.append((c, value_of[c]))
        c = end
    return result


def print_numbers(numbers):
    line = " "
    for number in numbers:
        item = f" {number:#x},"
        if len(line) + len(item) > 120:
            print(line)
            line = " "
        line += item
    print(line)


def main():
    value_of = [CATEGORIES.index("Cn")] * 0x110000
    for index, category in enumerate(CATEGORIES):
        for c in members(r"\p{%s}" % category):
            value_of[c] = index
    inert, opaque = normalization_flags()
    new = {c for c in CODE_POINTS if unicodedata.category(chr(c)) == "Cn" and value_of[c] != CATEGORIES.index("Cn")}
    flags = [
        (WORD, word_characters()),
        (NUMERIC, isolated(pre_tokenizers.Digits(individual_digits=True))),
        (PUNCTUATION, isolated(pre_tokenizers.Punctuation())),
        (NFC_INERT, inert),
        (OPAQUE, opaque),
        (NEW, new),
    ]
    for flag, members_of_flag in flags:
        for c in members_of_flag:
            value_of[c] |= flag
    for c in range(0xD800, 0xE000):
        value_of[c] = value_of[0xE000]
    print(
        f"// Written by tools/make_unicode_tables.py from `tokenizers` {tokenizers.__version__}; do not edit by hand."
    )
    print('#include "tokenizer/unicode_tables.h"\n\nnamespace speculators::unicode {\n')
    print("// code point << 11 | flags << 5 | category, one entry where a run starts.")
    print("const uint32_t kRuns[] = {")
    table = runs(value_of)
    print_numbers([c << 11 | value for c, value in table])
    print("};\nconst size_t kNumRuns = sizeof(kRuns) / sizeof(kRuns[0]);\n")
    print("// Pairs of upper and lower case.")
    print("const uint32_t kNewLowerCase[] = {")
    lower = list(lower_case_exceptions())
    print_numbers([c for pair in lower for c in pair])
    print("};\nconst size_t kNumNewLowerCase = sizeof(kNewLowerCase) / sizeof(kNewLowerCase[0]) / 2;\n")
    print("}  // namespace speculators::unicode")
    print(f"{len(table)} runs, {len(lower)} lower-case exceptions", file=sys.stderr)


if __name__ == "__main__":
    main()
