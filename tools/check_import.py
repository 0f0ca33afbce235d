#!/usr/bin/env python3
"""Compares a folder written by `speculators import-gguf` with what transformers makes of the same GGUF.

    python tools/check_import.py MODEL.gguf FOLDER

Checks, and prints a figure for each:
  weights    every tensor of the folder is bit-equal to transformers' own GGUF loading, rounded to bf16
  config     the sizes, eps, RoPE theta and token ids agree
  tokenizer  AutoTokenizer gives the ids of the raw tokenizer.json, decodes what it encoded, splits single digits
  generation the folder loads in AutoModelForCausalLM and answers a short prompt greedily (printed, to be read)

A developer script: needs torch, transformers, accelerate, gguf, safetensors. Exit code 1 when a check fails.
"""
import argparse
import pathlib
import sys

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

TEXTS = [
    "Hello, world!", "  12", "He paid $1,234.50 for 3 books.", "def f(x):\n\treturn x ** 2\n", "naïve café — 東京 🙂",
    "", " ", "\n\n  two   spaces", "don't WON'T it's", "<|im_start|>user\nhi<|im_end|>\n", "a<|endoftext|>b", "x²+½=٣",
]
CONFIG_KEYS = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
               "num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id"]


def read_tensors(folder):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors.update({name: file.get_tensor(name) for name in file.keys()})
    return tensors


def bits_differ(ours, theirs):
    theirs = theirs.to(torch.bfloat16)
    if ours.dtype != torch.bfloat16 or ours.shape != theirs.shape:
        return f"{ours.dtype} {list(ours.shape)} against {list(theirs.shape)}"
    count = int((ours.view(torch.int16) != theirs.view(torch.int16)).sum())
    return f"{count} of {ours.numel()} values" if count else ""


def check_weights(folder, oracle):
    ours = read_tensors(folder)
    theirs = dict(oracle.state_dict())
    if oracle.config.tie_word_embeddings:
        theirs.pop("lm_head.weight", None)
    problems = [f"only in the folder: {name}" for name in ours.keys() - theirs.keys()]
    problems += [f"missing: {name}" for name in theirs.keys() - ours.keys()]
    for name in ours.keys() & theirs.keys():
        if difference := bits_differ(ours[name], theirs[name]):
            problems.append(f"{name}: {difference} differ")
    print(f"weights: {len(ours)} tensors, {len(problems)} problems")
    return problems


def check_config(model, oracle):
    problems = [f"config {key}: {getattr(model.config, key)} against {getattr(oracle.config, key)}"
                for key in CONFIG_KEYS if getattr(model.config, key) != getattr(oracle.config, key)]
    ours, theirs = model.config.rope_parameters, oracle.config.rope_parameters
    if abs(ours["rope_theta"] - theirs["rope_theta"]) > 1e-6 * ours["rope_theta"]:
        problems.append(f"rope_theta: {ours} against {theirs}")
    if abs(model.config.rms_norm_eps - oracle.config.rms_norm_eps) > 1e-9:  # GGUF holds it in fp32
        problems.append(f"eps: {model.config.rms_norm_eps} against {oracle.config.rms_norm_eps}")
    print(f"config: {len(CONFIG_KEYS) + 2} values, {len(problems)} problems; eps {model.config.rms_norm_eps}")
    return problems


def check_tokenizer(folder, tokenizer):
    raw = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    problems = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        if ids != raw(text)["input_ids"]:
            problems.append(f"AutoTokenizer differs from tokenizer.json: {text!r}")
        if tokenizer.decode(ids) != text:
            problems.append(f"does not decode to itself: {text!r}")
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("  12", add_special_tokens=False)["input_ids"])
    print(f"tokenizer: {len(TEXTS)} texts, {len(problems)} problems; '  12' -> {pieces}; "
          f"{len(tokenizer.all_special_ids)} named special ids, {len(tokenizer.added_tokens_decoder)} added tokens")
    return problems


def check_generation(model, tokenizer):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    out = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    answer = tokenizer.decode(out[0][inputs["input_ids"].shape[1]:])
    print(f"generation: {answer!r}")
    return [] if answer.strip() else ["the answer is empty"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    oracle = AutoModelForCausalLM.from_pretrained(arguments.gguf.parent, gguf_file=arguments.gguf.name, dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    problems = check_weights(arguments.folder, oracle)
    problems += check_config(model, oracle)
    problems += check_tokenizer(arguments.folder, tokenizer)
    problems += check_generation(model, tokenizer)
    for problem in problems[:20]:
        print("FAILED", problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
