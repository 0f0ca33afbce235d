// A Llama-architecture GGUF seen as a Hugging Face LlamaForCausalLM: its config, and its tensors under their HF names.
// Internal to checkpoint/; see import_gguf.h. Source: docs/formats/gguf.md.
#pragma once

#include <string>
#include <vector>

#include "base/bf16.h"
#include "checkpoint/gguf.h"
#include "checkpoint/model_config.h"

namespace speculators {

using GgufTensors = std::map<std::string, GgufTensor, std::less<>>;

// Throws DataError for another architecture and for what Llama in HF form cannot express (experts, partial RoPE, ...).
ModelConfig make_llama_config(const GgufMetadata& metadata, const GgufTensors& tensors);

struct LlamaTensor {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  const GgufTensor* source = nullptr;
  int64_t interleaved_heads = 0;  // > 0: the rows are stored for interleaved RoPE, in this many heads
};

// In the order of the model. Collects every missing, unexpected and misshapen tensor, then throws DataError once.
std::vector<LlamaTensor> list_llama_tensors(const ModelConfig& config, const GgufTensors& tensors,
                                            const std::string& place);

// fp32 values rounded to bf16, rows in Hugging Face order.
std::vector<Bf16> load_llama_tensor(const LlamaTensor& tensor);

}  // namespace speculators
