"""Times one training step (forward and backward, fp32, CPU) of upstream speculators 0.9.0 and of ours, in turns, on rows of
the same make: SmolLM2-135M's shape, documents of 185, 160, 172 and 123 tokens over and over, 60 % supervised. Two shapes:
  short       rows of 640, draft vocabulary 8,192 of 49,152; blocks of 8, 128 anchors, 2 layers
  quickstart  what quickstart.sh trains: rows of 2,048, draft vocabulary 3,072; blocks of 5, 384 anchors, 1 layer
Blocks, anchors and layers are those of DFlash and its kin; EAGLE-3 and MTP take 3 steps, P-EAGLE 4 depths. DFlash2 and MTP have
the whole vocabulary.

    python tools/train_vs_upstream.py build/benchmarks/train_step_benchmark [--types eagle3,dflash] [--shape short] [--threads 1] [--steps 4]

Needs torch, transformers, speculators==0.9.0. Prints tokens a second of wall and of CPU time (the second is the one to trust
on a busy machine) and the ratio. Upstream runs as it must on a CPU: sdpa attention, eager losses.
"""
import argparse
import os
import re
import subprocess
import time
from dataclasses import dataclass

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
from transformers import LlamaConfig, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm
from speculators.config import SpeculatorsConfig, VerifierConfig
from speculators.losses import resolve_loss_config
from speculators.models.dflash.config import DFlashSpeculatorConfig
from speculators.models.dflash.core import DFlashDraftModel
from speculators.models.dflash2.config import DFlash2SpeculatorConfig
from speculators.models.dflash2.core import DFlash2DraftModel
from speculators.models.dspark.config import DSparkSpeculatorConfig
from speculators.models.dspark.core import DSparkDraftModel
from speculators.models import base_components
from speculators.models.eagle3 import Eagle3SpeculatorConfig
from speculators.models.eagle3.core import Eagle3DraftModel
from speculators.models.mtp import MTPDraftModel, MTPSpeculatorConfig, compute_step_weights
from speculators.models.mtp import model_definitions as mtp_definitions
from speculators.models.peagle.config import PEagleSpeculatorConfig
from speculators.models.peagle.core import PEagleDraftModel
from speculators.models.xpress.config import XPressSpeculatorConfig
from speculators.models.xpress.core import XPressDraftModel
from speculators.proposals.greedy import GreedyTokenProposalConfig

D, VERIFIER_VOCAB, AUX, LENGTHS = 576, 49152, 3, (185, 160, 172, 123)


@dataclass(frozen=True)
class Shape:
    row: int
    vocabulary: int
    layers: int  # these three: DFlash
    block: int
    anchors: int


SHAPES = {"short": Shape(640, 8192, 2, 8, 128), "quickstart": Shape(2048, 3072, 1, 5, 384)}


def layers(cls, count):
    config = cls(
        vocab_size=VERIFIER_VOCAB, hidden_size=D, intermediate_size=1536, num_hidden_layers=count, num_attention_heads=9,
        num_key_value_heads=3, head_dim=64, rms_norm_eps=1e-5, max_position_embeddings=8192, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5}, pad_token_id=None)
    config.layer_types = ["full_attention"] * count
    config._attn_implementation = "sdpa"
    return config


def losses(spec):
    return dict(loss_config=resolve_loss_config(spec, "eager"))


def speculator(algorithm, tokens):
    return SpeculatorsConfig(
        algorithm=algorithm, default_proposal_method="greedy",
        proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=tokens)],
        verifier=VerifierConfig(name_or_path=None, architectures=["LlamaForCausalLM"]))


def chain(shape, algorithm):
    fields = dict(draft_vocab_size=shape.vocabulary, eagle_aux_hidden_state_layer_ids=[2, 15, 27], norm_before_residual=True)
    if algorithm == "eagle3":
        config = Eagle3SpeculatorConfig(transformer_layer_config=layers(LlamaConfig, 1), norm_before_fc=True, norm_output=True,
                                        speculators_config=speculator("eagle3", 3), **fields)
        return Eagle3DraftModel(config), dict(ttt_steps=3, **losses("kl_div"))
    config = PEagleSpeculatorConfig(transformer_layer_config=layers(Qwen3Config, 1), mask_token_id=0, embed_requires_grad=False,
                                    speculators_config=speculator("peagle", 4), **fields)
    return PEagleDraftModel(config), dict(num_depths=4, down_sample_ratio=0.7, down_sample_ratio_min=0.2, max_anchors=shape.row,
                                          **losses("kl_div"))


def block(shape, algorithm):
    tv = resolve_loss_config("tv", "eager")["tv"][0]
    decay = dict(per_position_loss_weight="fixed-exp-decay", gamma=4.0)
    config_class, model_class, call = {
        "dflash": (DFlashSpeculatorConfig, DFlashDraftModel, dict(per_position_loss_weight="dpace", **losses("ce"))),
        "dflash2": (DFlash2SpeculatorConfig, DFlash2DraftModel, dict(tv_loss_fn=tv, selector_loss_alpha=1.0, **decay, **losses("kl_div"))),
        "dspark": (DSparkSpeculatorConfig, DSparkDraftModel, dict(tv_loss_fn=tv, confidence_head_alpha=1.0, **decay, **losses("kl_div"))),
        "xpress": (XPressSpeculatorConfig, XPressDraftModel,
                   dict(consistency_weight=0.3, consistency_passes=3, base_anchor_weight=0.6, **decay, **losses('{"ce": 0.1, "tv": 0.9}'))),
    }[algorithm]
    config = config_class(
        transformer_layer_config=layers(Qwen3Config, shape.layers), aux_hidden_state_layer_ids=[2, 15, 27], block_size=shape.block,
        mask_token_id=0, draft_vocab_size=VERIFIER_VOCAB if algorithm == "dflash2" else shape.vocabulary,
        speculators_config=speculator(algorithm, shape.block - 1))
    return model_class(config), dict(max_anchors=shape.anchors, **call)


def mtp(shape):
    """Upstream's own layers are those of the Qwen3 families; its layer factory makes llama's as well."""
    mtp_definitions.mtp_model_classes["llama"] = base_components.override_components(
        "llama", first_layer_class=mtp_definitions._create_mtp_layer_class("LlamaMTPLayer", LlamaDecoderLayer, LlamaRMSNorm))
    model = MTPDraftModel(MTPSpeculatorConfig(transformer_layer_config=layers(LlamaConfig, 1), speculators_config=speculator("mtp", 3)))
    del model.verifier_lm_head
    model.embed_tokens.weight.requires_grad_(False), model.lm_head.weight.requires_grad_(False)
    return model, dict(step_weights=compute_step_weights(0.6, 3))


def upstream_model(shape, algorithm):
    if algorithm == "mtp":
        model, call = mtp(shape)
    else:
        model, call = (chain if algorithm in ("eagle3", "peagle") else block)(shape, algorithm)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.isnan().any():
                parameter.normal_(0, 0.1)
            if name == "verifier_norm.weight":
                parameter.fill_(1.0)
    if algorithm in ("dflash2", "mtp"):
        return model.float().train(), call
    t2d = torch.zeros(VERIFIER_VOCAB, dtype=torch.bool)
    stride = VERIFIER_VOCAB // shape.vocabulary
    t2d[torch.arange(shape.vocabulary) * stride] = True
    model.load_vocab_mappings(t2d, torch.arange(shape.vocabulary) * (stride - 1))
    return model.float().train(), call


def random_batch(shape, algorithm):
    mask, positions, documents = [], [], []
    for i in range(shape.row):
        length = min(LENGTHS[i % len(LENGTHS)], shape.row - len(mask))
        if length == 0:
            break
        prompt = length * 2 // 5
        mask += [0] * prompt + [1] * (length - prompt)
        positions += range(length)
        documents += [i] * length
    row = lambda values: torch.tensor(values)[None]
    return dict(input_ids=torch.randint(VERIFIER_VOCAB, (1, shape.row)), hidden_states=torch.randn(1, shape.row, D if algorithm == "mtp" else AUX * D),
                verifier_last_hidden_states=torch.randn(1, shape.row, D), loss_mask=row(mask), position_ids=row(positions),
                document_ids=row(documents))


def upstream_step(model, call, batch):
    model.zero_grad(set_to_none=True)
    wall, cpu = time.perf_counter(), time.process_time()
    _, loss, _ = model(**batch, **call)
    loss.backward()
    return time.perf_counter() - wall, time.process_time() - cpu


def our_best(shape, program, algorithm, steps, threads):
    text = subprocess.run([program, algorithm, str(steps), str(threads), f"--row={shape.row}", f"--vocabulary={shape.vocabulary}",
                           f"--layers={shape.layers}", f"--block={shape.block}", f"--anchors={shape.anchors}"], check=True, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads)}).stdout
    found = re.search(r"best: (\d+) ms .*cpu (\d+)\)", text)
    return int(found[1]) / 1e3, int(found[2]) / 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--types", default="eagle3,peagle,dflash,dflash2,dspark,xpress,mtp")
    parser.add_argument("--shape", choices=SHAPES, default="short")
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    for algorithm in arguments.types.split(","):
        model, call = upstream_model(shape, algorithm)
        batch = random_batch(shape, algorithm)
        if algorithm == "mtp":
            del batch["verifier_last_hidden_states"]
        upstream_step(model, call, batch)
        theirs, ours = [], []
        for _ in range(2):  # in turns, so that both see the same machine
            theirs += [upstream_step(model, call, batch) for _ in range(arguments.steps)]
            ours.append(our_best(shape, arguments.program, algorithm, arguments.steps, arguments.threads))
        wall, cpu = (min(t[i] for t in theirs) for i in (0, 1))
        our_wall, our_cpu = (min(t[i] for t in ours) for i in (0, 1))
        print(f"{algorithm}: upstream {shape.row / wall:.0f} tokens/s ({shape.row / cpu:.0f} a CPU-second), "
              f"ours {shape.row / our_wall:.0f} ({shape.row / our_cpu:.0f}); ratio {wall / our_wall:.2f} (CPU {cpu / our_cpu:.2f})", flush=True)


if __name__ == "__main__":
    main()
