"""Writes tests/golden/draft: tiny speculators saved by upstream speculators 0.9.0 and what upstream computes with them.

    python tools/make_draft_goldens.py            (needs torch, transformers, speculators==0.9.0; about 20 s on a CPU)

Each case is a folder with the config.json and model.safetensors that upstream's save_pretrained wrote, and
expected.safetensors: `tokens` [T], `aux` [T, A*D] of one document, and for each n `logits.<n>` [K, V] and
`draft.<n>` [K], for DSpark also `chances.<n>` [K]: the proposal when rows 0 ... n-1 are verified and x_n is the newest token. EAGLE-3's chain feeds the draft's own argmax.
`verifier` holds the embedding, head and final norm that the DFlash cases leave out. All arithmetic is fp32 over the
bf16 weights on disk, so a product with fp32 sums reproduces it to about 1e-6.
"""
import json
import math
import os
import pathlib
import shutil

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
from speculators.models.dspark import core as dspark_core
from speculators.models.dspark.config import DSparkSpeculatorConfig
from speculators.models.eagle3 import Eagle3SpeculatorConfig
from speculators.models.eagle3.core import Eagle3DraftModel
from speculators.models import base_components
from speculators.models.mtp import MTPDraftModel, MTPSpeculatorConfig
from speculators.models.mtp import model_definitions as mtp_definitions
from speculators.models.peagle import core as peagle_core
from speculators.models.peagle.config import PEagleSpeculatorConfig
from speculators.models.xpress import core as xpress_core
from speculators.models.xpress.config import XPressSpeculatorConfig
from speculators.proposals.greedy import GreedyTokenProposalConfig

torch.set_num_threads(1)
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "draft"
D, V, VV, A, T, WINDOW = 16, 20, 40, 3, 18, 5
AUX_IDS = [1, 3, 6]
FULL, SLIDING = "full_attention", "sliding_attention"
GENERATOR = torch.Generator().manual_seed(20)


def draw(*shape, std=1.0):
    return (torch.randn(*shape, generator=GENERATOR) * std).bfloat16().float()


VERIFIER = {
    "model.embed_tokens.weight": draw(VV, D, std=0.5),
    "lm_head.weight": draw(VV, D, std=0.7),
    "model.norm.weight": 1 + draw(D, std=0.2),
}
T2D = torch.zeros(VV, dtype=torch.bool)
T2D[torch.randperm(VV, generator=GENERATOR)[:V]] = True
D2T = torch.nonzero(T2D).squeeze(1) - torch.arange(V)
TOKENS = torch.randint(0, VV, (T,), generator=GENERATOR)
AUX = draw(T, A * D)


def layers(kind, types, **extra):
    config = {"llama": LlamaConfig, "qwen3": Qwen3Config}[kind](
        vocab_size=VV, hidden_size=D, intermediate_size=24, num_hidden_layers=len(types), num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
        sliding_window=WINDOW, use_sliding_window=SLIDING in types, layer_types=types, bos_token_id=1, eos_token_id=2,
        pad_token_id=None, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **extra)
    config._attn_implementation = "sdpa"
    return config


def speculators_config(algorithm, num_tokens):
    return SpeculatorsConfig(
        algorithm=algorithm, proposal_methods=[GreedyTokenProposalConfig(speculative_tokens=num_tokens)],
        default_proposal_method="greedy",
        verifier=VerifierConfig(name_or_path=None, architectures=["LlamaForCausalLM"]))


def fill(model, reduced):
    """Every parameter random and exactly representable in bf16; embedding and head are the verifier's."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "embed_tokens.weight":
                parameter.copy_(VERIFIER["model.embed_tokens.weight"])
            elif name in ("lm_head.weight", "verifier_lm_head.weight"):
                parameter.copy_(VERIFIER["lm_head.weight"][T2D] if reduced else VERIFIER["lm_head.weight"])
            elif "norm" in name:
                parameter.copy_((1 + draw(*parameter.shape, std=0.3)).bfloat16().float())
            elif parameter.ndim == 2:
                parameter.copy_(draw(*parameter.shape, std=1.5 / math.sqrt(parameter.shape[1])))
            else:
                parameter.copy_(draw(*parameter.shape, std=0.3))
    if reduced:
        model.load_vocab_mappings(T2D, D2T)
    return model.float().eval()


def head_outputs(model, call):
    """Outputs of lm_head, one for each time it ran."""
    outputs = []
    hook = model.lm_head.register_forward_hook(lambda module, inputs, output: outputs.append(output.detach()[0]))
    with torch.no_grad():
        call()
    hook.remove()
    return outputs


def to_verifier(ids, reduced):
    return ids + D2T[ids] if reduced else ids


def eagle3_proposal(model, n, num_tokens, reduced):
    """Rows n, n+1, ... hold the tokens drafted so far, so that teacher forcing feeds the chain of row n-1 with them."""
    drafted, logits = [], []
    for step in range(num_tokens):
        ids = torch.cat([TOKENS[1 : n + 1], torch.tensor(drafted + [0] * (num_tokens - step), dtype=torch.long)])
        aux = torch.cat([AUX[:n], torch.zeros(len(ids) - n, A * D)])
        outputs = head_outputs(model, lambda: model(
            hidden_states=aux[None], input_ids=ids[None], document_ids=torch.zeros(1, len(ids), dtype=torch.long),
            ttt_steps=step + 1))
        logits.append(outputs[step][n - 1])
        drafted.append(int(to_verifier(logits[-1].argmax(), reduced)))
    return torch.stack(logits), torch.tensor(drafted)


def peagle_proposal(model, n, num_tokens, reduced):
    """Rows 0 ... n-1 and the whole chain of row n-1, whose slots lie behind the rows."""
    size = n + num_tokens
    anchors = torch.cat([torch.arange(size), torch.full((num_tokens - 1,), n - 1)])
    depths = torch.cat([torch.zeros(size, dtype=torch.long), torch.arange(1, num_tokens)])
    peagle_core.generate_cod_sample_indices = lambda **kwargs: (anchors, depths)
    (slots,) = head_outputs(model, lambda: model(
        hidden_states=torch.cat([AUX[:n], torch.zeros(num_tokens, A * D)])[None],
        input_ids=torch.cat([TOKENS[1 : n + 1], torch.zeros(num_tokens, dtype=torch.long)])[None],
        document_ids=torch.zeros(1, size, dtype=torch.long), loss_mask=torch.ones(1, size, dtype=torch.long),
        verifier_last_hidden_states=torch.zeros(1, size, D), num_depths=num_tokens,
        loss_config=resolve_loss_config("kl_div", "eager")))
    logits = torch.cat([slots[n - 1 : n], slots[size:]])
    return logits, to_verifier(logits.argmax(-1), reduced)


def dflash_proposal(model, n, num_tokens, reduced):
    anchors = (torch.tensor([n]), torch.ones(1, dtype=torch.bool))
    dflash_core.select_anchors = lambda *args, **kwargs: anchors
    (block,) = head_outputs(model, lambda: model(
        hidden_states=AUX[None], input_ids=TOKENS[None], loss_mask=torch.ones(1, T, dtype=torch.long),
        verifier_last_hidden_states=torch.zeros(1, T, D), document_ids=torch.zeros(1, T, dtype=torch.long),
        position_ids=torch.arange(T)[None], max_anchors=1, loss_config=resolve_loss_config("kl_div", "eager")))
    first = 0 if model.config.sample_from_anchor else 1
    logits = block[first : first + num_tokens]
    return logits, to_verifier(logits.argmax(-1), reduced)


def dspark_proposal(model, n, num_tokens, reduced):
    """The tokens drafted so far stand in their rows, so that teacher forcing feeds the Markov head with them. Also gives
    the confidence head's chances."""
    anchors = (torch.tensor([n]), torch.ones(1, dtype=torch.bool))
    dflash_core.select_anchors = lambda *args, **kwargs: anchors
    seen = {}

    def remember(logits, targets, confidence_logits, *args, **kwargs):
        seen.update(logits=logits[0], chances=confidence_logits[0].sigmoid())
        return torch.zeros(()), {}

    dspark_core.compute_metrics = remember
    first = 0 if model.config.sample_from_anchor else 1
    ids, drafted = TOKENS.clone(), []
    for step in range(num_tokens):
        with torch.no_grad():
            model(hidden_states=AUX[None], input_ids=ids[None], loss_mask=torch.ones(1, T, dtype=torch.long),
                  verifier_last_hidden_states=torch.zeros(1, T, D), document_ids=torch.zeros(1, T, dtype=torch.long),
                  position_ids=torch.arange(T)[None], max_anchors=1)
        drafted.append(int(to_verifier(seen["logits"][first + step].argmax(), reduced)))
        ids[n + 1 + step] = drafted[-1]
    block = slice(first, first + num_tokens)
    return seen["logits"][block], torch.tensor(drafted), seen["chances"][block]


def dflash2_proposal(model, n, num_tokens, reduced):
    """The tokens drafted so far stand in their rows, so that teacher forcing feeds the selector with them. Logits are the
    scores of the candidates that upstream's own choice has, minus infinity elsewhere."""
    anchors = (torch.tensor([n]), torch.ones(1, dtype=torch.bool))
    dflash_core.select_anchors = lambda *args, **kwargs: anchors
    selector, seen = model.candidate_selector, {}
    score = type(selector).score_candidates

    def remember(unary, hidden, before, ids):
        seen.update(arguments=(unary, hidden, before))
        return score(selector, unary, hidden, before, ids)

    selector.score_candidates = remember
    first = 0 if model.config.sample_from_anchor else 1
    ids, drafted, logits = TOKENS.clone(), [], []
    for step in range(num_tokens):
        with torch.no_grad():
            model(hidden_states=AUX[None], input_ids=ids[None], loss_mask=torch.ones(1, T, dtype=torch.long),
                  verifier_last_hidden_states=torch.zeros(1, T, D), document_ids=torch.zeros(1, T, dtype=torch.long),
                  position_ids=torch.arange(T)[None], max_anchors=1, loss_config=resolve_loss_config("kl_div", "eager"),
                  tv_loss_fn=resolve_loss_config("tv", "eager")["tv"][0])
            candidates, scores = selector.select(*seen["arguments"])
        row = torch.full((VV,), -torch.inf).scatter(0, candidates[0, first + step], scores[0, first + step])
        logits.append(row)
        drafted.append(int(row.argmax()))
        ids[n + 1 + step] = drafted[-1]
    del selector.score_candidates
    return torch.stack(logits), torch.tensor(drafted)


def mtp_proposal(model, n, num_tokens, reduced):
    """The tokens drafted so far stand behind x_n, so that teacher forcing feeds the recursion with them."""
    drafted, logits = [], []
    for step in range(num_tokens):
        ids = torch.cat([TOKENS[: n + 1], torch.tensor(drafted + [0] * (num_tokens - step), dtype=torch.long)])
        states = torch.cat([AUX[:n, -D:], torch.zeros(num_tokens + 1, D)])
        outputs = head_outputs(model, lambda: model(input_ids=ids[None], hidden_states=states[None]))
        logits.append(outputs[step][n - 1])
        drafted.append(int(logits[-1].argmax()))
    return torch.stack(logits), torch.tensor(drafted)


def xpress_proposal(model, n, num_tokens, reduced):
    """The free-running rounds of training are the passes of inference; with the drafted tokens in their rows, teacher
    forcing gives the distributions from which they are drawn one by one."""
    anchors = (torch.tensor([n]), torch.ones(1, dtype=torch.bool))
    dflash_core.select_anchors = lambda *args, **kwargs: anchors
    seen = {}

    def remember(forced, rounds, *args, **kwargs):
        seen.update(forced=forced[0], rounds=[logits[0] for logits in rounds])
        return torch.zeros(()), {}

    xpress_core.compute_metrics = remember

    def run(ids):
        with torch.no_grad():
            model(hidden_states=AUX[None], input_ids=ids[None], loss_mask=torch.ones(1, T, dtype=torch.long),
                  verifier_last_hidden_states=torch.zeros(1, T, D), document_ids=torch.zeros(1, T, dtype=torch.long),
                  position_ids=torch.arange(T)[None], max_anchors=1, consistency_passes=model.config.num_jacobi_passes)

    first = 0 if model.config.sample_from_anchor else 1
    block = slice(first, first + num_tokens)
    run(TOKENS)
    drafted = to_verifier(seen["rounds"][-1][block].argmax(-1), reduced)
    ids = TOKENS.clone()
    ids[n + 1 : n + 1 + num_tokens] = drafted
    run(ids)
    return seen["forced"][block], drafted


def save(name, model, proposal, lengths, num_tokens, reduced, aux=AUX):
    folder = OUT / name
    expected = {"tokens": TOKENS, "aux": aux}
    for n in lengths:
        found = proposal(model, n, num_tokens, reduced)
        expected |= {f"{kind}.{n}": value for kind, value in zip(("logits", "draft", "chances"), found)}
    model.bfloat16().save_pretrained(folder)
    (folder / "config.py").unlink()  # a copy of upstream's source
    config = json.loads((folder / "config.json").read_text())
    config["speculators_config"]["verifier"]["name_or_path"] = "../verifier"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    print(name, "ok", flush=True)


def eagle3(name, kind, types, reduced, layer_options={}, **options):
    config = Eagle3SpeculatorConfig(
        transformer_layer_config=layers(kind, types, **layer_options), draft_vocab_size=V if reduced else VV,
        eagle_aux_hidden_state_layer_ids=AUX_IDS, speculators_config=speculators_config("eagle3", 3), **options)
    save(name, fill(Eagle3DraftModel(config), reduced), eagle3_proposal, (1, 4, 12), 4, reduced)


def peagle(name, kind, types, reduced, **options):
    GENERATOR.manual_seed(len(name))  # whatever was drawn before
    config = PEagleSpeculatorConfig(
        transformer_layer_config=layers(kind, types), draft_vocab_size=V if reduced else VV, mask_token_id=7,
        eagle_aux_hidden_state_layer_ids=AUX_IDS, speculators_config=speculators_config("peagle", 4), **options)
    save(name, fill(peagle_core.PEagleDraftModel(config), reduced), peagle_proposal, (1, 4, 12), 4, reduced)


def dflash(name, types, reduced, **options):
    config = DFlashSpeculatorConfig(
        transformer_layer_config=layers("qwen3", types), draft_vocab_size=V if reduced else VV, block_size=4,
        aux_hidden_state_layer_ids=AUX_IDS, mask_token_id=7, speculators_config=speculators_config(
            "dflash", 4 if options.get("sample_from_anchor") else 3), **options)
    model = fill(dflash_core.DFlashDraftModel(config), reduced)
    save(name, model, dflash_proposal, (1, 4, 12), 4 if options.get("sample_from_anchor") else 3, reduced)


def dspark(name, types, reduced, **options):
    GENERATOR.manual_seed(len(name))  # whatever was drawn before
    num_tokens = 4 if options.get("sample_from_anchor", True) else 3
    config = DSparkSpeculatorConfig(
        transformer_layer_config=layers("qwen3", types), draft_vocab_size=V if reduced else VV, block_size=4,
        aux_hidden_state_layer_ids=AUX_IDS, mask_token_id=7, markov_rank=6,
        speculators_config=speculators_config("dspark", num_tokens), **options)
    save(name, fill(dspark_core.DSparkDraftModel(config), reduced), dspark_proposal, (1, 4, 12), num_tokens, reduced)


def dspark_cases():
    dspark("dspark_vanilla", [SLIDING, FULL], True)
    dspark("dspark_gated_behind_anchor", [FULL], True, markov_head_type="gated", sample_from_anchor=False,
           confidence_head_with_markov=False)
    dspark("dspark_rnn_full_vocabulary", [SLIDING], False, markov_head_type="rnn")
    dspark("dspark_rnn_behind_anchor", [SLIDING, FULL], True, markov_head_type="rnn", sample_from_anchor=False)


def mtp(name, kind, num_tokens, **options):
    """Upstream's own layers are those of the Qwen3 families; its layer factory makes llama's as well."""
    GENERATOR.manual_seed(len(name))  # whatever was drawn before
    mtp_definitions.mtp_model_classes["llama"] = base_components.override_components(
        "llama", first_layer_class=mtp_definitions._create_mtp_layer_class("LlamaMTPLayer", LlamaDecoderLayer, LlamaRMSNorm))
    config = MTPSpeculatorConfig(transformer_layer_config=layers(kind, [FULL] * 6, **options),
                                 speculators_config=speculators_config("mtp", num_tokens))
    model = MTPDraftModel(config)
    del model.verifier_lm_head
    save(name, fill(model, False), mtp_proposal, (1, 4, 12), num_tokens, False, aux=AUX[:, -D:])


def dflash2(name, types, **options):
    GENERATOR.manual_seed(len(name))  # whatever was drawn before
    num_tokens = 4 if options.get("sample_from_anchor") else 3
    config = DFlash2SpeculatorConfig(
        transformer_layer_config=layers("qwen3", types), draft_vocab_size=VV, block_size=4,
        aux_hidden_state_layer_ids=AUX_IDS, mask_token_id=7, selector_rank=6,
        speculators_config=speculators_config("dflash2", num_tokens), **options)
    model = fill(DFlash2DraftModel(config), False)
    with torch.no_grad():
        for layer in model.layers:  # the first tap near 1, as trained convolutions have it
            for convolution in (layer.attention_conv, layer.mlp_conv):
                convolution.base_kernel[:, 0] = (1 + convolution.base_kernel[:, 0]).bfloat16().float()
    save(name, model, dflash2_proposal, (1, 4, 12), num_tokens, False)


def dflash2_cases():
    dflash2("dflash2_sliding_and_full", [SLIDING, FULL], conv_group_size=4, selector_top_k=5)
    dflash2("dflash2_anchor_causal_three_taps", [SLIDING, SLIDING], sample_from_anchor=True,
            sliding_window_non_causal=False, conv_kernel_size=3, conv_group_size=2, selector_top_k=8)


def mtp_cases():
    mtp("mtp_qwen3", "qwen3", 4)
    mtp("mtp_llama_bias", "llama", 3, attention_bias=True, mlp_bias=True)


def xpress(name, types, reduced, **options):
    GENERATOR.manual_seed(len(name))  # whatever was drawn before
    num_tokens = 5 if options.get("sample_from_anchor") else 4
    config = XPressSpeculatorConfig(
        transformer_layer_config=layers("qwen3", types), draft_vocab_size=V if reduced else VV, block_size=5,
        aux_hidden_state_layer_ids=AUX_IDS, mask_token_id=7, xpress_rank=6,
        speculators_config=speculators_config("xpress", num_tokens), **options)
    save(name, fill(xpress_core.XPressDraftModel(config), reduced), xpress_proposal, (1, 4, 12), num_tokens, reduced)


def xpress_cases():
    xpress("xpress_settled", [SLIDING, FULL], True)
    xpress("xpress_one_pass_full_vocabulary", [FULL], False, num_jacobi_passes=1, xpress_mlp_ratio=3)
    xpress("xpress_two_passes_from_anchor", [SLIDING], True, num_jacobi_passes=2, sample_from_anchor=True)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "verifier").mkdir(parents=True)
    save_file({key: value.bfloat16() for key, value in VERIFIER.items()}, OUT / "verifier" / "model.safetensors",
              metadata={"format": "pt"})
    verifier = LlamaConfig(vocab_size=VV, hidden_size=D, intermediate_size=24, num_hidden_layers=6,
                           num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, architectures=["LlamaForCausalLM"])
    verifier.save_pretrained(OUT / "verifier")
    eagle3("eagle3_llama", "llama", [FULL], True, norm_before_residual=True, norm_before_fc=True, norm_output=True)
    eagle3("eagle3_qwen3_two_layers", "qwen3", [SLIDING, FULL], True, fc_norm=True)
    eagle3("eagle3_llama_bias_full_vocabulary", "llama", [FULL, SLIDING], False,
           {"attention_bias": True, "mlp_bias": True}, norm_before_residual=True)
    dflash("dflash_causal_sliding_and_full", [SLIDING, FULL], True)
    dflash("dflash_anchor_bidirectional_sliding", [SLIDING, SLIDING], True, sample_from_anchor=True,
           sliding_window_non_causal=True)
    dflash("dflash_full_vocabulary", [FULL], False)
    peagle("peagle_llama", "llama", [FULL], True, norm_before_residual=True)
    peagle("peagle_qwen3_two_layers", "qwen3", [SLIDING, FULL], False, norm_before_fc=True)
    dspark_cases()
    xpress_cases()
    mtp_cases()
    dflash2_cases()


if __name__ == "__main__":
    main()
