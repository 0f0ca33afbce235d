#!/usr/bin/env python3
"""Compares our token ids with llama.cpp's on the texts of check_tokenizer.py, each reading its own file format.

Usage: python tools/check_tokenizer_vs_llama_cpp.py FOLDER MODEL.gguf --program build/tools/tokenize --work /tmp/tok

FOLDER is what `import-gguf` made of MODEL.gguf. GPT-2 is compared too: tokenizer.json and GGUF are written under WORK;
`--only gpt2 llama3` names those to write (`--only` alone: none). llama.cpp comes out of the package `xllamacpp`, whose
shared library exports the C API. Where ids differ, the `tokenizers` package is the judge: prints how often it gives our
ids, how often llama.cpp's; how many of these texts are whole files of ASSETS; and how many hold a byte that the
vocabulary lacks: all drop it, and llama.cpp alone never merges across the gap. Exit code 1 when the package gives other
ids than ours, or when a whole file differs.
"""

import argparse
import ctypes
import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy
from check_tokenizer import CUT, MAKERS, asset_texts, describe_texts, make_texts, pack_ids, read_list, show
from check_tokenizer import unknown_bytes, unpack_ids, write_list
from decode_vs_llama_cpp import Opaque
from tokenizers import Tokenizer

SIZE = 32
LAYER = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
PRE_TOKENIZERS = {"gpt2": "gpt-2", "llama3": "llama-bpe"}


def write_gguf(folder, pre_tokenizer, path):
    """The vocabulary with the smallest model that llama.cpp loads: one layer of zeros."""
    file = json.loads((folder / "tokenizer.json").read_text())
    added = {token["id"]: token for token in file["added_tokens"]}
    ids = {**{id: token for token, id in file["model"]["vocab"].items()}, **{i: t["content"] for i, t in added.items()}}
    types = [gguf.TokenType.CONTROL if id in added else gguf.TokenType.NORMAL for id in range(len(ids))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(SIZE)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list([ids[id] for id in range(len(ids))])
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in file["model"]["merges"]])
    shapes = {"token_embd": (len(ids), SIZE), "output_norm": SIZE}
    shapes |= {f"blk.0.{name}": SIZE if name.endswith("norm") else (SIZE, SIZE) for name in LAYER}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", numpy.zeros(shape, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaCpp:
    def __init__(self, model):
        import xllamacpp

        self.lib = lib = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
        lib.llama_model_default_params.restype = Opaque
        lib.llama_model_load_from_file.restype = ctypes.c_void_p
        lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Opaque]
        lib.llama_model_get_vocab.restype = ctypes.c_void_p
        lib.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
        ids = ctypes.POINTER(ctypes.c_int32)
        lib.llama_tokenize.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ids, ctypes.c_int32]
        lib.llama_tokenize.argtypes += [ctypes.c_bool, ctypes.c_bool]
        self.silence = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(self.silence, None)
        lib.llama_backend_init()
        loaded = lib.llama_model_load_from_file(str(model).encode(), lib.llama_model_default_params())
        if not loaded:
            sys.exit(f"llama.cpp could not load {model}")
        self.vocab = lib.llama_model_get_vocab(loaded)

    def encode(self, data):
        """Packed ids of `data`, special tokens in the text recognised, none added."""
        ids = (ctypes.c_int32 * (len(data) + 1))()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, True)
        if count < 0:
            sys.exit(f"llama_tokenize failed on {show(data)}")
        return bytes(ids)[: 4 * count]


def compare(arguments, folder, model, texts):
    """The number of texts where the package gives other ids than ours, and of whole files where llama.cpp does."""
    write_list(arguments.work / "input", [text.encode() for text in texts], 1)
    command = [arguments.program, folder, "encode", arguments.work / "input", arguments.work / "output"]
    subprocess.run(command, check=True)
    peer, judge = LlamaCpp(model), Tokenizer.from_file(str(folder / "tokenizer.json"))
    num_ids, different, agrees = 0, [], {"ours": 0, "llama.cpp's": 0, "neither": 0}
    for text, ours in zip(texts, read_list(arguments.work / "output", 4), strict=True):
        num_ids += len(ours) // 4
        theirs = peer.encode(text.encode())
        if theirs == ours:
            continue
        package = pack_ids(judge.encode(text, add_special_tokens=False).ids)
        who = "ours" if package == ours else "llama.cpp's" if package == theirs else "neither"
        agrees[who] += 1
        different.append((who, text, unpack_ids(ours), unpack_ids(theirs)))
    unknown = set(unknown_bytes(json.loads((folder / "tokenizer.json").read_text())))
    with_unknown = sum(not unknown.isdisjoint(text.encode()) for _, text, _, _ in different)
    files = {text[:CUT] for text in asset_texts(arguments.assets)}
    num_files = sum(text[:CUT] in files for _, text, _, _ in different)
    print(f"{folder.name}: {len(texts)} texts, {num_ids} ids, {len(different)} texts differ from llama.cpp")
    print("    `tokenizers` gives in these", ", ".join(f"{who} {count} times" for who, count in agrees.items()))
    print(f"    {num_files} of them are whole files ({len(files)} compared), {with_unknown} hold an unknown byte")
    for who, text, ours, theirs in sorted(different, key=lambda found: (found[0] == "ours", len(found[1])))[:3]:
        at = next((i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
        print("   ", show(text))
        print(f"        from id {at}: ours {ours[at:][:6]}, llama.cpp {theirs[at:][:6]}; right: {who}")
    return len(different) - agrees["ours"] + num_files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=["gpt2"], choices=PRE_TOKENIZERS)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: fewer texts, long ones cut")
    arguments = parser.parse_args()
    texts = make_texts(arguments.assets, arguments.scale)
    print(describe_texts(texts), flush=True)
    num_bad = compare(arguments, arguments.folder, arguments.gguf, texts)
    for name in arguments.only:
        folder = arguments.work / name
        folder.mkdir(parents=True, exist_ok=True)
        MAKERS[name](arguments.assets).save(str(folder / "tokenizer.json"))
        write_gguf(folder, PRE_TOKENIZERS[name], folder / "vocabulary.gguf")
        num_bad += compare(arguments, folder, folder / "vocabulary.gguf", texts)
    sys.exit(1 if num_bad else 0)


if __name__ == "__main__":
    main()
