"""Developer script: our verifier against transformers in fp32, teacher-forced.

    python tools/check_verifier.py --program build/tools/verifier_states --model FOLDER --text FILE [--text FILE ...]
    python tools/check_verifier.py --program build/tools/verifier_states --tiny

Runs both over --tokens tokens of text (split into sequences of --length) and compares the hidden states of --layers
(id L is the residual stream after L decoder layers; the last id is before the final norm) and the greedy tokens. With
--tiny it makes tiny random models of every supported kind instead and compares those. Exit code 1 when something is
outside of the tolerance: hidden states 1e-3 relative (norm of the difference over the norm, per row and layer), greedy
tokens equal but for ties below 1e-3. Needs torch, transformers, tokenizers, safetensors.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-3
TIE = 1e-3


def run_ours(program, folder, sequences, layers):
    with tempfile.TemporaryDirectory() as work:
        tokens, out = Path(work) / "tokens.txt", Path(work) / "out.safetensors"
        tokens.write_text("".join(" ".join(map(str, ids)) + "\n" for ids in sequences))
        subprocess.run([program, folder, tokens, out, *map(str, layers)], check=True)
        return load_file(out)


def run_transformers(model, sequences, layers):
    """Per sequence: states [T, len(layers), Dv] and logits [T, V]. hidden_states[-1] of transformers is behind the
    final norm, so the last id is taken by a hook in front of it."""
    before_norm = {}
    model.model.norm.register_forward_pre_hook(lambda module, inputs: before_norm.update(x=inputs[0]))
    count = model.config.num_hidden_layers
    for ids in sequences:
        with torch.no_grad():
            out = model(torch.tensor([ids]), output_hidden_states=True)
        states = [before_norm["x"][0] if layer == count else out.hidden_states[layer][0] for layer in layers]
        yield torch.stack(states, dim=1), out.logits[0]


def compare(name, program, folder, model, sequences, layers):
    ours = run_ours(program, folder, sequences, layers)
    row, worst, worst_logit, differing, ties, rows = 0, [0.0] * len(layers), 0.0, 0, 0, 0
    for index, (states, logits) in enumerate(run_transformers(model, sequences, layers)):
        count = len(sequences[index])
        got = ours["hidden_states"][row : row + count]
        error = (got - states).norm(dim=-1) / states.norm(dim=-1)
        worst = [max(old, new) for old, new in zip(worst, error.max(dim=0).values.tolist())]
        worst_logit = max(worst_logit, (ours["last_logits"][index] - logits[-1]).abs().max().item())
        greedy = ours["greedy"][row : row + count]
        for t in (greedy != logits.argmax(-1)).nonzero().flatten().tolist():
            gap = (logits[t].max() - logits[t][greedy[t]]).item()
            ties += gap < TIE
            differing += gap >= TIE
        row += count
        rows += count
    figures = ", ".join(f"{layer}: {error:.1e}" for layer, error in zip(layers, worst))
    print(f"{name}: {rows} tokens; largest relative difference of hidden states by layer id {figures}; of last logits "
          f"{worst_logit:.1e} absolute; greedy tokens differ {differing}, ties {ties}")
    return max(worst) < TOLERANCE and differing == 0


def text_sequences(folder, texts, num_tokens, length):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    ids = []
    for text in texts:  # the same share of every text
        content = Path(text).read_text(encoding="utf-8")[: 16 * num_tokens]
        ids += tokenizer.encode(content, add_special_tokens=False).ids[: num_tokens // len(texts)]
    return [ids[i : i + length] for i in range(0, len(ids), length)]


def tiny_models():
    from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

    sizes = dict(vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=6,
                 num_key_value_heads=2, head_dim=16, max_position_embeddings=512, tie_word_embeddings=False)
    llama3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=64)
    yarn = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=128)
    linear = dict(rope_type="linear", rope_theta=1e4, factor=4.0)
    default = dict(rope_type="default", rope_theta=1e4)
    yield "llama", LlamaConfig(**sizes, rope_parameters=default)
    yield "llama, llama3 rope", LlamaConfig(**sizes, rope_parameters=llama3)
    yield "llama, linear rope", LlamaConfig(**sizes, rope_parameters=linear)
    yield "llama, biases", LlamaConfig(**sizes, rope_parameters=default, attention_bias=True, mlp_bias=True)
    yield "mistral, window of 32", MistralConfig(**sizes, rope_parameters=default, sliding_window=32)
    yield "qwen2", Qwen2Config(**{k: v for k, v in sizes.items() if k != "head_dim"}, rope_parameters=default)
    yield "qwen3", Qwen3Config(**sizes, rope_parameters=default)
    yield "qwen3, yarn rope", Qwen3Config(**sizes, rope_parameters=yarn)
    sliding = ["full_attention", "sliding_attention"] * 2
    yield "qwen3, two windows of 32", Qwen3Config(**sizes, rope_parameters=default, use_sliding_window=True,
                                                  sliding_window=32, layer_types=sliding)


def check_tiny(program):
    from transformers import AutoModelForCausalLM

    good = True
    for name, config in tiny_models():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
        for parameter in model.parameters():  # large enough to matter, exact in bf16
            scale = 1.0 if parameter.dim() == 1 else 3.0 * parameter.shape[-1] ** -0.5
            parameter.data = (torch.randn_like(parameter) * scale).bfloat16().float()
        model.eval()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            sequences = [torch.randint(0, 96, (300,)).tolist(), torch.randint(0, 96, (7,)).tolist()]
            good &= compare(name, program, folder, model, sequences, list(range(config.num_hidden_layers + 1)))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--model")
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--tokens", type=int, default=5000)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 15, 27, 30])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        return 0 if check_tiny(options.program) else 1
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    sequences = text_sequences(options.model, options.text, options.tokens, options.length)
    return 0 if compare(options.model, options.program, options.model, model, sequences, options.layers) else 1


if __name__ == "__main__":
    sys.exit(main())
