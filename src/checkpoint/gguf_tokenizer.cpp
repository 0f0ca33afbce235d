#include "checkpoint/gguf_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/errors.h"

namespace speculators {
namespace {

// Kinds of tokens, as numbered in tokenizer.ggml.token_type.
constexpr int64_t kControl = 3;
constexpr int64_t kUserDefined = 4;

// How text is cut before the merges. `pattern` null: the byte level's own GPT-2 pattern.
struct PreTokenizer {
  std::string_view name;
  bool splits_digits;  // single digits, before the byte level
  const char* pattern;
  bool normalizes_nfc;
  bool ignores_merges;  // a word that is a token is taken whole
  bool adds_bos;        // when tokenizer.ggml.add_bos_token is absent
};

constexpr const char* kLlama3Pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                       R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                      R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr PreTokenizer kPreTokenizers[] = {
    {"smollm", true, nullptr, false, false, false},
    {"gpt-2", false, nullptr, false, false, false},
    {"llama-bpe", false, kLlama3Pattern, false, true, true},
    {"qwen2", false, kQwen2Pattern, true, false, false},
};

[[noreturn]] void fail(const GgufMetadata& metadata, std::string_view problem) {
  throw DataError(fmt::format("{}: {}", metadata.place(), problem));
}

const PreTokenizer& get_pre_tokenizer(const GgufMetadata& metadata) {
  const std::string model = metadata.get_string("tokenizer.ggml.model");
  if (model != "gpt2") {
    fail(metadata,
         fmt::format("tokenizer.ggml.model: expected gpt2 (byte-level BPE), found {}; other tokenizers are not "
                     "supported, use a folder in Hugging Face form",
                     model));
  }
  const std::string name = metadata.find_string("tokenizer.ggml.pre").value_or("none");
  std::vector<std::string_view> known;
  for (const PreTokenizer& pre : kPreTokenizers) {
    if (pre.name == name) return pre;
    known.push_back(pre.name);
  }
  fail(metadata, fmt::format("tokenizer.ggml.pre: pre-tokenizer {} is not supported; expected one of {}", name,
                             fmt::join(known, ", ")));
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json pre_tokenizer_json(const PreTokenizer& pre) {
  Json steps = Json::array();
  if (pre.splits_digits) steps.push_back(Json{{"type", "Digits"}, {"individual_digits", true}});
  if (pre.pattern) {
    Json split = {{"type", "Split"}};
    split["pattern"] = Json{{"Regex", pre.pattern}};
    split["behavior"] = "Isolated";
    split["invert"] = false;
    steps.push_back(std::move(split));
  }
  steps.push_back(byte_level(pre.pattern == nullptr));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

// Appends without the search for the key that Json's own insertion makes: vocabularies have 150,000 keys.
void append(Json::object_t& object, std::string key, Json value) {
  object.emplace_back(std::move(key), std::move(value));
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int64_t> kinds;
  std::unordered_set<std::string_view> known;

  explicit Vocabulary(const GgufMetadata& metadata)
      : tokens(metadata.get_strings("tokenizer.ggml.tokens")), kinds(metadata.get_ints("tokenizer.ggml.token_type")) {
    if (tokens.size() != kinds.size()) {
      fail(metadata, fmt::format("tokenizer.ggml.token_type: expected {} entries, one per token, found {}",
                                 tokens.size(), kinds.size()));
    }
    for (const std::string& token : tokens) {
      if (!known.insert(token).second) fail(metadata, fmt::format("tokenizer.ggml.tokens: {} appears twice", token));
    }
  }
  Vocabulary(const Vocabulary&) = delete;  // `known` points into `tokens`
  Vocabulary& operator=(const Vocabulary&) = delete;

  bool is_added(size_t id) const { return kinds[id] == kControl || kinds[id] == kUserDefined; }

  // Null when the file names no such token.
  std::optional<size_t> find_id(const GgufMetadata& metadata, std::string_view key) const {
    const auto id = metadata.find_int(key);
    if (!id) return std::nullopt;
    if (*id < 0 || *id >= static_cast<int64_t>(tokens.size())) {
      fail(metadata, fmt::format("{}: expected 0 to {}, found {}", key, tokens.size() - 1, *id));
    }
    return static_cast<size_t>(*id);
  }
};

Json vocab_json(const Vocabulary& vocabulary) {
  Json::object_t vocab;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) append(vocab, vocabulary.tokens[id], id);
  return Json(std::move(vocab));
}

// "a b" -> ["a", "b"]; both parts and their join must be tokens, else `tokenizers` refuses the file.
Json merges_json(const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  Json merges = Json::array();
  for (const std::string& merge : metadata.get_strings("tokenizer.ggml.merges")) {
    const size_t space = merge.find(' ', 1);
    const bool has_two_parts = space != std::string::npos && space + 1 < merge.size();
    const std::string left = merge.substr(0, space);
    const std::string right = has_two_parts ? merge.substr(space + 1) : "";
    if (!has_two_parts || !vocabulary.known.contains(left) || !vocabulary.known.contains(right) ||
        !vocabulary.known.contains(left + right)) {
      fail(metadata, fmt::format("tokenizer.ggml.merges: merge {} is \"{}\", which does not join two tokens to a third",
                                 merges.size(), merge));
    }
    merges.push_back(Json::array({left, right}));
  }
  return merges;
}

Json added_token(const Vocabulary& vocabulary, size_t id) {
  Json json = {{"content", vocabulary.tokens[id]}};
  for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"}) json[key] = false;
  json["special"] = vocabulary.kinds[id] == kControl;
  return json;
}

Json added_tokens_json(const Vocabulary& vocabulary) {
  Json added = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!vocabulary.is_added(id)) continue;
    Json entry = {{"id", id}};
    entry.update(added_token(vocabulary, id));
    added.push_back(std::move(entry));
  }
  return added;
}

bool adds_bos(const GgufMetadata& metadata, const PreTokenizer& pre) {
  return metadata.find_bool("tokenizer.ggml.add_bos_token").value_or(pre.adds_bos);
}

// Puts the bos token before every text.
Json bos_template(const std::string& bos, size_t id) {
  const auto special = [&](int segment) { return Json{{"SpecialToken", Json{{"id", bos}, {"type_id", segment}}}}; };
  const auto text = [](const char* name, int segment) {
    return Json{{"Sequence", Json{{"id", name}, {"type_id", segment}}}};
  };
  Json json = {{"type", "TemplateProcessing"}};
  json["single"] = Json::array({special(0), text("A", 0)});
  json["pair"] = Json::array({special(0), text("A", 0), special(1), text("B", 1)});
  json["special_tokens"] = Json::object();
  json["special_tokens"][bos] = Json{{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}};
  return json;
}

Json post_processor_json(const GgufMetadata& metadata, const Vocabulary& vocabulary, const PreTokenizer& pre) {
  if (!adds_bos(metadata, pre)) return nullptr;
  const auto bos = vocabulary.find_id(metadata, "tokenizer.ggml.bos_token_id");
  if (!bos)
    fail(metadata, "tokenizer.ggml.bos_token_id: expected an id, since a bos token is added to texts; found nothing");
  return bos_template(vocabulary.tokens[*bos], *bos);
}

}  // namespace

Json make_tokenizer(const GgufMetadata& metadata) {
  const PreTokenizer& pre = get_pre_tokenizer(metadata);
  const Vocabulary vocabulary(metadata);
  Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  json["added_tokens"] = added_tokens_json(vocabulary);
  json["normalizer"] = pre.normalizes_nfc ? Json{{"type", "NFC"}} : Json(nullptr);
  json["pre_tokenizer"] = pre_tokenizer_json(pre);
  json["post_processor"] = post_processor_json(metadata, vocabulary, pre);
  json["decoder"] = byte_level(true);
  Json model = {{"type", "BPE"}};
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
    model[key] = nullptr;
  model["fuse_unk"] = false;
  model["byte_fallback"] = false;
  model["ignore_merges"] = pre.ignores_merges;
  model["vocab"] = vocab_json(vocabulary);
  model["merges"] = merges_json(metadata, vocabulary);
  json["model"] = std::move(model);
  return json;
}

Json make_tokenizer_config(const GgufMetadata& metadata) {
  const PreTokenizer& pre = get_pre_tokenizer(metadata);
  const Vocabulary vocabulary(metadata);
  Json json = {{"add_bos_token", adds_bos(metadata, pre)}, {"add_prefix_space", false}};
  json["added_tokens_decoder"] = Json::object();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.is_added(id)) json["added_tokens_decoder"][std::to_string(id)] = added_token(vocabulary, id);
  }
  const std::pair<const char*, const char*> named[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                                       {"eos_token", "tokenizer.ggml.eos_token_id"},
                                                       {"pad_token", "tokenizer.ggml.padding_token_id"},
                                                       {"unk_token", "tokenizer.ggml.unknown_token_id"}};
  for (const auto& [name, key] : named) {
    if (const auto id = vocabulary.find_id(metadata, key)) json[name] = vocabulary.tokens[*id];
  }
  if (const auto chat_template = metadata.find_string("tokenizer.chat_template"))
    json["chat_template"] = *chat_template;
  json["clean_up_tokenization_spaces"] = false;
  json["model_max_length"] = metadata.get_int("llama.context_length");
  // The plain class takes tokenizer.json as it stands; named classes rebuild the pre-tokenizer and would lose the
  // digits.
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  return json;
}

}  // namespace speculators
