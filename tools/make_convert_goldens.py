"""Writes tests/golden/convert: tiny drafts as other projects publish them, and what upstream 0.9.0 converts them to.

    python tools/make_convert_goldens.py          (needs torch, transformers, speculators==0.9.0; some seconds on a CPU)

`verifier` is the folder they are bound to. Each case has `source`, the published form, and `expected`, the folder that upstream's
convert_model wrote from it.
"""
import json
import os
import pathlib
import shutil

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from speculators.convert import entrypoints

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "convert"
D, V, VV, I, HEADS, KV, HEAD_DIM = 16, 20, 40, 24, 4, 2, 8
GENERATOR = torch.Generator().manual_seed(31)


def draw(*shape):
    return (torch.randn(*shape, generator=GENERATOR) * 0.3).bfloat16()


def layer(prefix, inputs, qk_norms):
    tensors = {
        "input_layernorm.weight": draw(D), "post_attention_layernorm.weight": draw(D),
        "self_attn.q_proj.weight": draw(HEADS * HEAD_DIM, inputs), "self_attn.k_proj.weight": draw(KV * HEAD_DIM, inputs),
        "self_attn.v_proj.weight": draw(KV * HEAD_DIM, inputs), "self_attn.o_proj.weight": draw(D, HEADS * HEAD_DIM),
        "mlp.gate_proj.weight": draw(I, D), "mlp.up_proj.weight": draw(I, D), "mlp.down_proj.weight": draw(D, I),
    }
    if qk_norms:
        tensors |= {"self_attn.q_norm.weight": draw(HEAD_DIM), "self_attn.k_norm.weight": draw(HEAD_DIM)}
    return {prefix + name: tensor for name, tensor in tensors.items()}


def eagle3():
    t2d = torch.zeros(VV, dtype=torch.bool)
    t2d[torch.randperm(VV, generator=GENERATOR)[:V]] = True
    d2t = torch.nonzero(t2d).squeeze(1) - torch.arange(V)
    config = {"architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": D,
              "intermediate_size": I, "num_hidden_layers": 1, "num_attention_heads": HEADS, "num_key_value_heads": KV,
              "head_dim": HEAD_DIM, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "vocab_size": VV,
              "draft_vocab_size": V, "max_position_embeddings": 64, "tie_word_embeddings": False}
    tensors = layer("midlayer.", 2 * D, qk_norms=False) | {
        "midlayer.hidden_norm.weight": draw(D), "fc.weight": draw(D, 3 * D), "norm.weight": draw(D),
        "lm_head.weight": draw(V, D), "d2t": d2t, "t2d": t2d}
    return config, tensors


def dflash():
    config = {"architectures": ["DFlashDraftModel"], "model_type": "qwen3", "dtype": "bfloat16", "hidden_size": D,
              "intermediate_size": I, "num_hidden_layers": 2, "num_attention_heads": HEADS, "num_key_value_heads": KV,
              "head_dim": HEAD_DIM, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000, "vocab_size": VV,
              "max_position_embeddings": 128, "tie_word_embeddings": True, "num_target_layers": 6, "block_size": 4,
              "layer_types": ["full_attention", "full_attention"], "sliding_window": None, "use_sliding_window": False,
              "dflash_config": {"mask_token_id": 39, "target_layer_ids": [0, 2, 5]}}
    tensors = {"fc.weight": draw(D, 2 * D), "hidden_norm.weight": draw(D), "norm.weight": draw(D)}
    for i in range(2):
        tensors |= layer(f"layers.{i}.", D, qk_norms=True)
    return config, tensors


def laguna():
    config, tensors = dflash()
    tensors["fc.weight"] = draw(D, 3 * D)
    for i in range(2):
        prefix = f"layers.{i}.self_attn."
        parts = [tensors.pop(f"{prefix}{part}_proj.weight") for part in "qkv"]
        tensors[prefix + "qkv_proj.weight"] = torch.cat(parts)
        tensors[prefix + "g_proj.weight"] = draw(HEADS, D)
    tensors["aux_hidden_norms.0.weight"] = draw(D)
    return config, tensors


def write_case(name, algorithm, config, tensors, pickled=False, **kwargs):
    source = pathlib.Path(name) / "source"
    source.mkdir(parents=True)
    (source / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if pickled:
        torch.save(tensors, source / "pytorch_model.bin")
    else:
        save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    entrypoints.convert_model(str(source), "verifier", algorithm, str(source.parent / "expected"), **kwargs)
    for extra in (source.parent / "expected").iterdir():
        if extra.name not in ("config.json", "model.safetensors"):
            extra.unlink()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    os.chdir(OUT)  # the folders' names go into the configs
    torch.manual_seed(32)
    verifier = LlamaForCausalLM(LlamaConfig(vocab_size=VV, hidden_size=D, intermediate_size=I, num_hidden_layers=6,
                                            num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=HEAD_DIM,
                                            max_position_embeddings=256)).bfloat16()
    verifier.save_pretrained("verifier")
    config, tensors = eagle3()
    write_case("eagle3_pickled", "eagle3", config, tensors, pickled=True)
    config, tensors = eagle3()
    tensors["embed_tokens.weight"] = draw(VV, D)
    write_case("eagle3_own_embedding", "eagle3", config, tensors, norm_before_residual=True,
               eagle_aux_hidden_state_layer_ids=[1, 3, 4])
    write_case("dflash", "dflash", *dflash())
    write_case("dflash_fused", "dflash", *laguna())


if __name__ == "__main__":
    main()
