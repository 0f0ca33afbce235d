"""Loads a speculator in vLLM for CPU and compares greedy answers and acceptance length with ours.

Usage: check_vllm.py SPECULATOR_FOLDER ANSWERS_JSONL [REPORT_JSON]
ANSWERS_JSONL and REPORT_JSON come from `speculators evaluate --answers ... --json ...` at temperature 0. vLLM decodes the same
prompt token ids, in float32, with the same proposal length and the same longest answer. Prints one JSON line: prompts,
identical answers, rounds, acceptance length of vLLM and of ours, their ratio. How to install vLLM for CPU: docs/vllm.md.
"""
import json
import os
import pathlib
import sys

os.environ.update({"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1", "VLLM_LOGGING_LEVEL": "ERROR"})
from vllm import LLM, SamplingParams  # noqa: E402

folder, answers_file = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
answers = [json.loads(line) for line in open(answers_file)]
report = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else None


def counters(llm):
    found = {}
    for metric in llm.get_metrics():
        if "spec_decode" in metric.name:
            found[metric.name.split("spec_decode_")[1]] = getattr(metric, "values", None) or metric.value
    return found


def main():
    longest = report["max_tokens"] if report else max(len(a["plain"]) for a in answers)
    llm = LLM(model=str(folder), dtype="float32", enforce_eager=True, max_model_len=1024, max_num_seqs=4, disable_log_stats=False,
              seed=0)
    prompts = [{"prompt_token_ids": a["prompt"]} for a in answers]
    outputs = llm.generate(prompts, SamplingParams(temperature=0, max_tokens=longest), use_tqdm=False)
    identical = sum(list(o.outputs[0].token_ids) == a["plain"] for o, a in zip(outputs, answers))
    different = [a["id"] for o, a in zip(outputs, answers) if list(o.outputs[0].token_ids) != a["plain"]]
    found = counters(llm)
    rounds, accepted = found["num_drafts"], found["num_accepted_tokens"]
    result = {"prompts": len(answers), "identical": identical, "different": different, "vllm_rounds": rounds,
              "vllm_acceptance_length": 1 + accepted / max(rounds, 1), "vllm_per_position": found.get("num_accepted_tokens_per_pos")}
    if report:
        result["our_rounds"] = report["rounds"]
        result["our_acceptance_length"] = report["acceptance_length"]
        result["ratio"] = result["vllm_acceptance_length"] / report["acceptance_length"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
