"""Writes tests/golden/training: what upstream speculators 0.9.0 computes in one training step of tiny drafts.

    python tools/make_goldens.py            (needs torch, transformers, speculators==0.9.0; about 30 s on a CPU)

goldens.json has, by case, the loss, all metrics, and the settings; <case>.safetensors has
    w.*  weights, verifier norm and head, t2d, d2t      b.*  the packed batch of one row
    r.*  the anchors (DFlash) or slots (P-EAGLE) drawn  g.*  the gradient of every trained parameter
All in fp32, attention by torch's sdpa, losses by plain torch. Weights are noise (norms around 1), so that no term of a
gradient hides behind a zero. Documents are packed by upstream's collate: three of them, the last cut by the row's end or
followed by padding, with a hole in a mask, so chains and blocks do cross document ends as they do upstream.
"""
import json
import math
import os
import pathlib

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm
from speculators.config import SpeculatorsConfig, VerifierConfig
from speculators.losses import resolve_loss_config
from speculators.models.dflash import core as dflash_core
from speculators.models.dflash.config import DFlashSpeculatorConfig
from speculators.models.dflash2.config import DFlash2SpeculatorConfig
from speculators.models.dflash2.core import DFlash2DraftModel
from speculators.models.dspark.config import DSparkSpeculatorConfig
from speculators.models.dspark.core import DSparkDraftModel
from speculators.models.eagle3 import Eagle3SpeculatorConfig
from speculators.models.eagle3.core import Eagle3DraftModel
from speculators.models.eagle3.data import shift_batch
from speculators.models import base_components
from speculators.models.mtp import MTPDraftModel, MTPSpeculatorConfig, compute_step_weights, shift_batch_mtp
from speculators.models.mtp import model_definitions as mtp_definitions
from speculators.models.peagle import core as peagle_core
from speculators.models.peagle.config import PEagleSpeculatorConfig
from speculators.models.xpress.config import XPressSpeculatorConfig
from speculators.models.xpress.core import XPressDraftModel
from speculators.proposals.greedy import GreedyTokenProposalConfig
from speculators.train.data import CollateFn

torch.set_num_threads(1)
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "training"
D, HEADS, KV_HEADS, HEAD_DIM, MLP, V, VV, EPS, THETA = 20, 4, 2, 6, 20, 16, 40, 1e-6, 5000.0
FULL, SLIDING = "full_attention", "sliding_attention"
CASES = {}


def layers(arch, types, window=None, rope=None, **more):
    cls = {"llama": LlamaConfig, "qwen3": Qwen3Config}[arch]
    config = cls(
        vocab_size=VV, hidden_size=D, intermediate_size=MLP, num_hidden_layers=len(types), num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, rms_norm_eps=EPS, max_position_embeddings=64,
        layer_types=types, sliding_window=window, use_sliding_window=SLIDING in types, tie_word_embeddings=False,
        rope_parameters=rope or {"rope_type": "default", "rope_theta": THETA}, pad_token_id=None, **more)
    config._attn_implementation = "sdpa"
    return config


def speculator(algorithm, tokens):
    return SpeculatorsConfig(
        algorithm=algorithm, default_proposal_method="greedy",
        proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=tokens)],
        verifier=VerifierConfig(name_or_path=None, architectures=["LlamaForCausalLM"]))


class Verifier:
    """Embedding, head, final norm and a draft vocabulary, the same in every case."""

    def __init__(self):
        g = torch.Generator().manual_seed(77)
        self.embedding = torch.randn(VV, D, generator=g) * 0.7
        self.head = torch.randn(VV, D, generator=g) * 0.4
        self.norm = 1 + 0.3 * torch.randn(D, generator=g)
        self.t2d = torch.zeros(VV, dtype=torch.bool)
        self.t2d[torch.randperm(VV, generator=g)[:V]] = True
        kept = torch.nonzero(self.t2d).squeeze(1)
        self.d2t = kept - torch.arange(V)


VERIFIER = Verifier()


def set_weights(model, seed, reduced):
    g = torch.Generator().manual_seed(seed)
    head = VERIFIER.head[VERIFIER.t2d] if reduced else VERIFIER.head
    given = {"embed_tokens.weight": VERIFIER.embedding, "lm_head.weight": head, "verifier_lm_head.weight": head,
             "verifier_norm.weight": VERIFIER.norm}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=g)
            if name in given:
                noise = given[name]
            elif parameter.ndim == 2:
                noise = noise / math.sqrt(parameter.shape[1])
            elif name.endswith("bias"):
                noise = noise * 0.2
            else:
                noise = 1 + 0.2 * noise
            parameter.copy_(noise)
    if reduced:
        model.load_vocab_mappings(VERIFIER.t2d, VERIFIER.d2t)
    return model.float().train()


def make_batch(seed, lengths, prompts, num_aux, row, transform):
    g = torch.Generator().manual_seed(seed)
    documents = []
    for length, prompt in zip(lengths, prompts):
        mask = torch.ones(length, dtype=torch.long)
        mask[:prompt] = 0
        if length > 8:
            mask[7] = 0
        documents.append({
            "hidden_states": torch.randn(length, num_aux * D, generator=g),
            "input_ids": torch.randint(3, VV, (length,), generator=g),
            "verifier_last_hidden_states": torch.randn(length, D, generator=g) * 1.5,
            "loss_mask": mask, "lengths": torch.tensor([length]), "position_ids": torch.arange(length)})
    collate = CollateFn(row, D, num_target_layers=num_aux, dtype=torch.float32, preprocess=transform)
    return {k: v for k, v in collate(documents).items() if isinstance(v, torch.Tensor)}


def record(name, model, batch, call, drawn):
    _, loss, metrics = model(**batch, **call)
    loss.backward()
    tensors = {"w." + n: t for n, t in {**dict(model.named_parameters()), **model.state_dict()}.items()}
    tensors |= {"b." + n: t for n, t in batch.items()} | drawn
    tensors |= {"g." + n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    tensors = {n: t.detach().contiguous().clone() for n, t in tensors.items()}
    save_file(tensors, OUT / f"{name}.safetensors")
    os.chmod(OUT / f"{name}.safetensors", 0o644)
    layer = model.config.transformer_layer_config
    fields = json.loads(model.config.to_json_string(use_diff=False))
    losses = call.pop("loss_config", {})
    call.pop("tv_loss_fn", None)
    CASES[name] = {
        "loss": loss.item(), "metrics": {k: float(torch.as_tensor(v).detach()) for k, v in metrics.items()},
        "call": {**call, "loss_config": {k: weight for k, (_, weight) in losses.items()}},
        "arch": layer.model_type, "layer_types": list(layer.layer_types or []), "sliding_window": layer.sliding_window,
        "head_dim": HEAD_DIM, "rms_norm_eps": EPS, "rope_parameters": dict(layer.rope_parameters),
        "hidden_act": layer.hidden_act, "attention_bias": bool(layer.attention_bias),
        "mlp_bias": bool(getattr(layer, "mlp_bias", False)),
        "algorithm_config": {k: v for k, v in fields.items() if (isinstance(v, (bool, int, list)) and k != "architectures") or k == "markov_head_type"}}
    print(f"{name}: loss {loss.item():.6f}, {sum(t.numel() * t.element_size() for t in tensors.values()) // 1024} KB")


def eagle3(name, seed, layer, loss, reduced, documents, call=None, **fields):
    num_aux = len(fields["eagle_aux_hidden_state_layer_ids"])
    config = Eagle3SpeculatorConfig(
        transformer_layer_config=layer, draft_vocab_size=V if reduced else VV, speculators_config=speculator("eagle3", 3), **fields)
    model = set_weights(Eagle3DraftModel(config), seed, reduced)
    batch = make_batch(seed + 1, *documents, num_aux=num_aux, row=26, transform=shift_batch)
    record(name, model, batch,
           {"ttt_steps": 3, "ttt_step_loss_decay": 1.0, **(call or {}), "loss_config": resolve_loss_config(loss, "eager")}, {})


def peagle(name, seed, layer, loss, reduced, documents, call, **fields):
    num_aux = len(fields["eagle_aux_hidden_state_layer_ids"])
    config = PEagleSpeculatorConfig(
        transformer_layer_config=layer, draft_vocab_size=V if reduced else VV,
        speculators_config=speculator("peagle", call["num_depths"]), **fields)
    model = set_weights(peagle_core.PEagleDraftModel(config), seed, reduced)
    batch = make_batch(seed + 1, *documents, num_aux=num_aux, row=26, transform=shift_batch)
    drawn, generate = {}, peagle_core.generate_cod_sample_indices

    def remember(*args, **kwargs):
        anchors, depths = generate(*args, **kwargs)
        drawn.update({"r.anchor_pos": anchors.clone(), "r.depth": depths.clone()})
        return anchors, depths

    peagle_core.generate_cod_sample_indices = remember
    torch.manual_seed(seed)
    record(name, model, batch, {**call, "loss_config": resolve_loss_config(loss, "eager")}, drawn)
    peagle_core.generate_cod_sample_indices = generate
    CASES[name]["torch_seed_before_forward"] = seed


def dflash(name, seed, layer, loss, reduced, documents, call, **fields):
    blocks("dflash", DFlashSpeculatorConfig, dflash_core.DFlashDraftModel, name, seed, layer, loss, reduced, documents, call, **fields)


def dspark(name, seed, layer, loss, reduced, documents, call, **fields):
    call["tv_loss_fn"] = resolve_loss_config("tv", "eager")["tv"][0]
    blocks("dspark", DSparkSpeculatorConfig, DSparkDraftModel, name, seed, layer, loss, reduced, documents, call, **fields)


def blocks(algorithm, config_class, model_class, name, seed, layer, loss, reduced, documents, call, **fields):
    num_aux = len(fields["aux_hidden_state_layer_ids"])
    config = config_class(
        transformer_layer_config=layer, draft_vocab_size=V if reduced else VV, speculators_config=speculator(algorithm, 3), **fields)
    model = set_weights(model_class(config), seed, reduced)
    batch = make_batch(seed + 1, *documents, num_aux=num_aux, row=30, transform=None)
    drawn, select = {}, dflash_core.select_anchors

    def remember(*args, **kwargs):
        anchors, valid = select(*args, **kwargs)
        drawn.update({"r.anchors": anchors.clone(), "r.anchor_valid": valid.clone()})
        return anchors, valid

    dflash_core.select_anchors = remember
    torch.manual_seed(seed)
    record(name, model, batch, {"gamma": 3.0, **call, "loss_config": resolve_loss_config(loss, "eager")}, drawn)
    dflash_core.select_anchors = select
    CASES[name]["torch_seed_before_forward"] = seed


def dspark_cases(cut, padded):
    dspark("dspark_vanilla_full_dpace", 91, layers("qwen3", [FULL, SLIDING], window=4), "ce", False, padded,
           {"max_anchors": 7, "per_position_loss_weight": "dpace", "dpace_alpha": 0.3, "confidence_head_alpha": 0.7},
           block_size=4, aux_hidden_state_layer_ids=[1, 4], mask_token_id=1, markov_rank=5)
    dspark("dspark_gated_no_confidence", 101, layers("qwen3", [FULL]), "jsd", True, padded,
           {"max_anchors": 30, "confidence_head_alpha": 1.0}, block_size=5, aux_hidden_state_layer_ids=[3], mask_token_id=2,
           markov_rank=3, markov_head_type="gated", enable_confidence_head=False)
    dspark("dspark_rnn_behind_anchor", 111, layers("qwen3", [SLIDING], window=5), '{"kl_div": 0.5, "nla": 0.5}', True, cut,
           {"max_anchors": 30, "confidence_head_alpha": 2.0}, block_size=4, aux_hidden_state_layer_ids=[2], mask_token_id=0,
           sample_from_anchor=False, markov_rank=6, markov_head_type="rnn", confidence_head_with_markov=False)


def dflash2(name, seed, layer, loss, documents, call, **fields):
    call["tv_loss_fn"] = resolve_loss_config("tv", "eager")["tv"][0]
    blocks("dflash2", DFlash2SpeculatorConfig, DFlash2DraftModel, name, seed, layer, loss, False, documents, call, **fields)


def dflash2_cases(cut, padded):
    dflash2("dflash2_three_layers", 207, layers("qwen3", [FULL, SLIDING, FULL], window=3), '{"ce": 0.4, "tv": 0.6}', cut,
            {"max_anchors": 30, "per_position_loss_weight": "fixed-exp-decay", "selector_loss_alpha": 0.7}, block_size=5,
            aux_hidden_state_layer_ids=[1, 4], mask_token_id=1, conv_kernel_size=3, conv_group_size=5, selector_rank=6,
            selector_top_k=7)
    dflash2("dflash2_anchor_causal_dpace", 339, layers("qwen3", [SLIDING], window=4, attention_bias=True), "ce", padded,
            {"max_anchors": 9, "per_position_loss_weight": "dpace", "dpace_alpha": 0.3, "selector_loss_alpha": 1.5},
            block_size=3, aux_hidden_state_layer_ids=[2], mask_token_id=2, sample_from_anchor=True,
            sliding_window_non_causal=False, conv_kernel_size=1, conv_group_size=20, selector_rank=1, selector_top_k=3)


def mtp(name, seed, layer, documents, num_steps, beta):
    """Upstream's own layers are those of the Qwen3 families; its layer factory makes llama's as well."""
    mtp_definitions.mtp_model_classes["llama"] = base_components.override_components(
        "llama", first_layer_class=mtp_definitions._create_mtp_layer_class("LlamaMTPLayer", LlamaDecoderLayer, LlamaRMSNorm))
    config = MTPSpeculatorConfig(transformer_layer_config=layer, speculators_config=speculator("mtp", num_steps))
    model = MTPDraftModel(config)
    del model.verifier_lm_head
    set_weights(model, seed, False)
    with torch.no_grad():
        model.embed_tokens.weight.requires_grad_(False), model.lm_head.weight.requires_grad_(False)
    batch = make_batch(seed + 1, *documents, num_aux=1, row=26, transform=shift_batch_mtp)
    record(name, model, batch, {"step_weights": compute_step_weights(beta, num_steps)}, {})
    CASES[name]["step_weight_beta"] = beta


def mtp_cases():
    # In the first case labels lie in the next document (a mask that begins with 1), in the second padding follows.
    mtp("mtp_qwen3_llama3_rope", 121, layers("qwen3", [FULL, SLIDING, FULL], window=3, rope={
        "rope_type": "llama3", "rope_theta": THETA, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0,
        "original_max_position_embeddings": 16}), ((9, 7, 14), (3, 0, 4)), 4, 0.8)
    mtp("mtp_llama_bias_gelu", 131,
        layers("llama", [FULL, FULL], attention_bias=True, mlp_bias=True, hidden_act="gelu_pytorch_tanh"),
        ((8, 5, 10), (2, 1, 5)), 3, 0.6)


def xpress(name, seed, layer, loss, reduced, documents, call, **fields):
    call = {"consistency_weight": 0.3, "consistency_passes": 3, "base_anchor_weight": 0.6, **call}
    blocks("xpress", XPressSpeculatorConfig, XPressDraftModel, name, seed, layer, loss, reduced, documents, call, **fields)


def xpress_cases(cut, padded):
    xpress("xpress_full_dpace_data", 121, layers("qwen3", [FULL, SLIDING], window=4), "ce", False, padded,
           {"max_anchors": 7, "per_position_loss_weight": "dpace", "dpace_alpha": 0.3, "ce_from_data": True,
            "consistency_passes": 2}, block_size=5, aux_hidden_state_layer_ids=[1, 4], mask_token_id=1, xpress_rank=5)
    xpress("xpress_from_anchor_no_base", 131, layers("qwen3", [FULL]), '{"jsd": 0.5, "ce": 0.5}', True, cut,
           {"max_anchors": 30, "base_anchor_weight": 0.0, "consistency_weight": 0.8}, block_size=4,
           aux_hidden_state_layer_ids=[3], mask_token_id=2, xpress_rank=7, xpress_mlp_ratio=1, sample_from_anchor=True)
    xpress("xpress_full_no_rounds", 141, layers("qwen3", [SLIDING], window=5), '{"kl_div": 0.4, "tv": 0.3, "ce": 0.3}',
           False, cut, {"max_anchors": 30, "consistency_weight": 0.0, "base_anchor_full_weight": True, "ce_from_data": True},
           block_size=3, aux_hidden_state_layer_ids=[2], mask_token_id=0, xpress_rank=4, xpress_mlp_ratio=3,
           sample_from_anchor=True)
    xpress("xpress_reduced_one_term", 151, layers("qwen3", [SLIDING, FULL], window=3), "nla", True, padded,
           {"max_anchors": 9, "consistency_passes": 4}, block_size=6, aux_hidden_state_layer_ids=[0, 2], mask_token_id=1,
           xpress_rank=6)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    cut = ((9, 7, 14), (3, 2, 4))     # the last document does not fit
    padded = ((8, 5, 10), (2, 1, 5))
    eagle3("eagle3_reduced_cut", 11, layers("llama", [FULL]), '{"kl_div": 0.6, "nla": 0.4}', True, cut,
           {"ttt_step_loss_decay": 0.7}, eagle_aux_hidden_state_layer_ids=[1, 4],
           norm_before_residual=True, norm_before_fc=True, norm_output=True)
    eagle3("eagle3_full_bias_gelu", 21,
           layers("llama", [SLIDING], window=4, attention_bias=True, mlp_bias=True, hidden_act="gelu_pytorch_tanh"), "jsd",
           False, padded, {"ttt_steps": 4}, eagle_aux_hidden_state_layer_ids=[0, 2, 5], fc_norm=True)
    eagle3("eagle3_qwen3_3l_llama3_rope", 31,
           layers("qwen3", [FULL, SLIDING, FULL], window=3, rope={
               "rope_type": "llama3", "rope_theta": THETA, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0,
               "original_max_position_embeddings": 16}), "lk_hybrid", True, cut, {},
           eagle_aux_hidden_state_layer_ids=[3], norm_before_residual=True, norm_output=True)
    dflash("dflash_full_dpace", 41, layers("qwen3", [FULL, FULL]), "ce", False, padded,
           {"max_anchors": 7, "per_position_loss_weight": "dpace", "dpace_alpha": 0.3},
           block_size=5, aux_hidden_state_layer_ids=[1, 4], mask_token_id=1)
    dflash("dflash_reduced_sliding", 51, layers("qwen3", [SLIDING, FULL, SLIDING], window=3), '{"rkl": 0.5, "tv": 0.5}', True, cut,
           {"max_anchors": 30}, block_size=3, aux_hidden_state_layer_ids=[0, 2, 5], mask_token_id=2)
    dflash("dflash_anchor_one_layer", 61, layers("qwen3", [SLIDING], window=5, attention_bias=True), "kl_div", True, cut,
           {"max_anchors": 5}, block_size=4, aux_hidden_state_layer_ids=[2], mask_token_id=0, sample_from_anchor=True,
           sliding_window_non_causal=True)
    # The first row is supervised: its chain has the anchor -1, which upstream looks up at the last row (a document's in
    # the first case, padding in the second).
    peagle("peagle_qwen3_3l_llama3_rope", 72,
           layers("qwen3", [SLIDING, FULL, SLIDING], window=3, rope={
               "rope_type": "llama3", "rope_theta": THETA, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0,
               "original_max_position_embeddings": 16}), '{"ce": 0.3, "tv": 0.7}', True, ((9, 7, 14), (0, 1, 4)),
           {"num_depths": 5, "down_sample_ratio": 0.9, "down_sample_ratio_min": 0.6, "max_anchors": 512},
           eagle_aux_hidden_state_layer_ids=[1, 4], mask_token_id=2, norm_before_residual=True, norm_before_fc=True)
    peagle("peagle_frozen_embedding", 81, layers("llama", [FULL], attention_bias=True), "kl_div", False,
           ((8, 5, 10), (0, 1, 5)),
           {"num_depths": 4, "down_sample_ratio": 0.95, "down_sample_ratio_min": 0.2, "max_anchors": 13},
           eagle_aux_hidden_state_layer_ids=[0, 2, 5], mask_token_id=1, fc_norm=True, embed_requires_grad=False)
    dspark_cases(cut, padded)
    xpress_cases(cut, padded)
    mtp_cases()
    dflash2_cases(cut, padded)
    (OUT / "goldens.json").write_text(json.dumps(CASES, indent=1) + "\n")


if __name__ == "__main__":
    main()
