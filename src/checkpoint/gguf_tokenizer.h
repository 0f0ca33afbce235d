// The tokenizer inside a GGUF -> the files that `tokenizers` and `transformers` load. Byte-level BPE only.
// Pre-tokenizers by the names llama.cpp gives them: smollm, gpt-2, llama-bpe, qwen2. Internal to checkpoint/.
// Source: docs/formats/gguf.md.
#pragma once

#include "base/json.h"
#include "checkpoint/gguf.h"

namespace speculators {

// tokenizer.json, and tokenizer_config.json with the chat template when the file has one. Both throw DataError for
// another kind of tokenizer, an unknown pre-tokenizer, and any list that does not fit the others.
Json make_tokenizer(const GgufMetadata& metadata);
Json make_tokenizer_config(const GgufMetadata& metadata);

}  // namespace speculators
