// A Llama-architecture GGUF -> a folder in standard Hugging Face form, which every later stage (and vLLM, transformers)
// reads: config.json, generation_config.json, model.safetensors (bf16), tokenizer.json, tokenizer_config.json.
// Source: docs/formats/gguf.md.
#pragma once

#include "base/files.h"

namespace speculators {

// The folder appears whole or not at all; an existing one is replaced. Above `max_shard_bytes` of weights there are
// several files and an index; one shard is held in memory at a time. Throws DataError for damage and for what cannot be
// expressed.
void import_gguf(const fs::path& file, const fs::path& output_folder, int64_t max_shard_bytes = 5'000'000'000);

}  // namespace speculators
