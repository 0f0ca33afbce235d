"""Loads a saved speculator folder in upstream speculators 0.9.0 and compares every tensor with the file, bit for bit.

    python tools/check_speculator.py FOLDER...     (needs torch, transformers, safetensors, speculators==0.9.0)

Checks what upstream's own loader makes of config.json (fields, layer config, proposal method) and of model.safetensors:
every tensor of the file is in the model with the same bits, and nothing that the model has is missing from the file
except what upstream itself leaves out. Also the few rules of vLLM that upstream does not check. Exit code 1 on a fault.
"""
import json
import os
import pathlib
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
from safetensors.torch import load_file
from speculators import SpeculatorModel, SpeculatorModelConfig

# Rebuilt from the verifier on load.
FROM_VERIFIER = {"verifier_lm_head.weight", "verifier_norm.weight"}
# vLLM's draft config has no class defaults: these must be written out.
VLLM_NEEDS = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps",
              "attention_bias", "rope_parameters", "model_type"]


def config_faults(config):
    faults = [f"transformer_layer_config.{key} is missing (vLLM needs it)"
              for key in VLLM_NEEDS if config["transformer_layer_config"].get(key) is None]
    if "model_type" in config:
        faults.append("top-level model_type is present (vLLM then ignores speculators_config)")
    keys = list(config)
    if keys != sorted(keys):
        faults.append("keys are not sorted")
    return faults


def same_bits(left, right):
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(
        left.contiguous().view(torch.uint8), right.contiguous().view(torch.uint8))


def tensor_faults(model, file_tensors, slim):
    """`slim`: the embedding and a full-vocabulary head come from the verifier."""
    state = model.state_dict()
    faults = [f"{name}: not in upstream's model" for name in file_tensors if name not in state]
    faults += [f"{name}: file and model differ" for name, tensor in file_tensors.items()
               if name in state and not same_bits(tensor, state[name])]
    optional = FROM_VERIFIER | ({"embed_tokens.weight", "lm_head.weight"} if slim else set())
    faults += [f"{name}: in upstream's model, not in the file" for name in state
               if name not in file_tensors and name not in optional]
    faults += [f"{name}: not finite" for name, tensor in state.items()
               if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    return faults


def check(folder):
    text = (folder / "config.json").read_text()
    config = json.loads(text)
    faults = config_faults(config)
    if text != json.dumps(config, indent=2, sort_keys=True) + "\n":
        faults.append("config.json is not formatted as json.dumps(sort_keys=True, indent=2)")
    others = [path.name for path in folder.glob("*.safetensors") if path.name != "model.safetensors"]
    if others:
        faults.append(f"vLLM would read these too: {others}")
    parsed = SpeculatorModelConfig.from_pretrained(str(folder))
    rewritten = json.loads(parsed.to_json_string())
    for key, value in config.items():
        if key != "transformer_layer_config" and rewritten.get(key, value) != value:
            faults.append(f"config.json: {key}: {value} became {rewritten[key]}")
    for key, value in config["transformer_layer_config"].items():
        found = rewritten["transformer_layer_config"].get(key, value)
        if found != value:
            faults.append(f"transformer_layer_config: {key}: {value} became {found}")
    model = SpeculatorModel.from_pretrained(str(folder), dtype=torch.bfloat16)
    slim = config["speculators_model_type"] not in ("eagle3", "peagle")
    faults += tensor_faults(model, load_file(folder / "model.safetensors"), slim)
    return faults


def main():
    status = 0
    for folder in [pathlib.Path(name).resolve() for name in sys.argv[1:]]:
        os.chdir(folder)  # a relative verifier path is meant from here
        faults = check(folder)
        print(f"{folder}: {'ok' if not faults else 'FAULTS'}")
        for fault in faults:
            print(f"  {fault}")
            status = 1
    sys.exit(status)


main()
