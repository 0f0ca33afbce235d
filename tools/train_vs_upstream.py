"""Times one training step (forward and backward, fp32, CPU) of upstream speculators 0.9.0 and of ours, in turns, on rows of
the same make: SmolLM2-135M's shape, documents of 185, 160, 172 and 123 tokens over and over, 60 % supervised. Two shapes:
  short       rows of 640, draft vocabulary 8,192 of 49,152; EAGLE-3 with 3 TTT steps, DFlash with 2 full layers, blocks of 8
              and 128 anchors
  quickstart  what quickstart.sh trains: rows of 2,048, draft vocabulary 3,072; EAGLE-3 with 3 TTT steps, DFlash with 1 full
              layer, blocks of 5 and 384 anchors

    python tools/train_vs_upstream.py build/benchmarks/train_step_benchmark [--shape short] [--threads 1] [--steps 4]

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
from speculators.config import SpeculatorsConfig, VerifierConfig
from speculators.losses import resolve_loss_config
from speculators.models.dflash.config import DFlashSpeculatorConfig
from speculators.models.dflash.core import DFlashDraftModel
from speculators.models.eagle3 import Eagle3SpeculatorConfig
from speculators.models.eagle3.core import Eagle3DraftModel
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


def common(shape, algorithm, tokens):
    return dict(draft_vocab_size=shape.vocabulary, speculators_config=SpeculatorsConfig(
        algorithm=algorithm, default_proposal_method="greedy",
        proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=tokens)],
        verifier=VerifierConfig(name_or_path=None, architectures=["LlamaForCausalLM"])))


def upstream_model(shape, algorithm):
    if algorithm == "eagle3":
        config = Eagle3SpeculatorConfig(
            transformer_layer_config=layers(LlamaConfig, 1), eagle_aux_hidden_state_layer_ids=[2, 15, 27],
            norm_before_residual=True, norm_before_fc=True, norm_output=True, **common(shape, "eagle3", 3))
        model, call = Eagle3DraftModel(config), dict(ttt_steps=3, loss_config=resolve_loss_config("kl_div", "eager"))
    else:
        config = DFlashSpeculatorConfig(
            transformer_layer_config=layers(Qwen3Config, shape.layers), aux_hidden_state_layer_ids=[2, 15, 27],
            block_size=shape.block, mask_token_id=0, **common(shape, "dflash", shape.block - 1))
        model = DFlashDraftModel(config)
        call = dict(max_anchors=shape.anchors, per_position_loss_weight="dpace", loss_config=resolve_loss_config("ce", "eager"))
    t2d = torch.zeros(VERIFIER_VOCAB, dtype=torch.bool)
    stride = VERIFIER_VOCAB // shape.vocabulary
    t2d[torch.arange(shape.vocabulary) * stride] = True
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.isnan().any():
                parameter.normal_(0, 0.1)
            if name == "verifier_norm.weight":
                parameter.fill_(1.0)
    model.load_vocab_mappings(t2d, torch.arange(shape.vocabulary) * (stride - 1))
    return model.float().train(), call


def random_batch(shape):
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
    return dict(input_ids=torch.randint(VERIFIER_VOCAB, (1, shape.row)), hidden_states=torch.randn(1, shape.row, AUX * D),
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
    parser.add_argument("--shape", choices=SHAPES, default="short")
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    for algorithm in ("eagle3", "dflash"):
        model, call = upstream_model(shape, algorithm)
        batch = random_batch(shape)
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
