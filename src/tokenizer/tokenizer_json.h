// Reads tokenizer.json: the model's tables at simdjson's speed (they are megabytes), the small parts as Json values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/json.h"
#include "tokenizer/bpe.h"

namespace speculators {

struct TokenizerJson {
  Vocabulary vocabulary;
  MergeTable merges;
  BpeOptions options;
  // Null when the file does not have them.
  Json added_tokens;
  Json normalizer;
  Json pre_tokenizer;
  Json post_processor;
  Json decoder;
};

// Throws DataError naming `place`, the key and the cause: JSON that is damaged, a model that is not BPE, ids out of
// range or given twice, merges of unknown tokens, options that encode at random.
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& place);

// A string of exactly one character. Throws DataError.
std::string get_character(const JsonObject& part, std::string_view key);

}  // namespace speculators
