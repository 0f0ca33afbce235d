#include "tokenizer/tokenizer_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/errors.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

namespace dom = simdjson::dom;

// simdjson does not tell where it stopped: nlohmann finds the place again, keeping nothing.
[[noreturn]] void fail_to_parse(std::string_view text, const std::string& place, simdjson::error_code error) {
  try {
    const Json discarded = Json::parse(text, [](int, Json::parse_event_t, Json&) { return false; });
  } catch (const Json::parse_error& at) {
    const auto before = text.substr(0, std::min(at.byte, text.size()));
    const auto newline = before.rfind('\n');
    const size_t column = newline == before.npos ? before.size() : before.size() - newline - 1;
    throw DataError(fmt::format("{}: line {}, column {}: expected valid JSON; {}", place,
                                1 + std::count(before.begin(), before.end(), '\n'), column,
                                text.empty() ? "the text is empty" : "is the file complete?"));
  }
  throw DataError(fmt::format("{}: expected valid JSON: {}", place, simdjson::error_message(error)));
}

// The beginning of an element's JSON, for messages.
std::string shorten(const dom::element& element) {
  std::string text = simdjson::minify(element);
  if (text.size() <= 60) return text;
  size_t end = 57;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

class ModelReader {
 public:
  ModelReader(const dom::object& model, std::string place) : model_(model), place_(std::move(place)) {}

  void read(TokenizerJson& result) {
    check_type();
    refuse_unsupported();
    result.options.unk_token = find<std::string_view>("unk_token", "a string").value_or("");
    result.options.fuse_unk = find<bool>("fuse_unk", "true or false").value_or(false);
    result.options.byte_fallback = find<bool>("byte_fallback", "true or false").value_or(false);
    result.options.ignore_merges = find<bool>("ignore_merges", "true or false").value_or(false);
    read_vocabulary(result.vocabulary);
    read_merges(result.vocabulary, result.merges);
  }

 private:
  [[noreturn]] void fail(const std::string& key, std::string_view expected, std::string_view found) const {
    throw DataError(fmt::format("{}.{}: expected {}, found {}", place_, key, expected, found));
  }

  template <class Value>
  std::optional<Value> find(const std::string& key, std::string_view expected) const {
    const auto found = model_[key];
    if (found.error() || found.is_null()) return std::nullopt;
    Value value;
    if (found.get(value)) fail(key, expected, shorten(found.value_unsafe()));
    return value;
  }

  void check_type() const {
    const bool looks_like_bpe = !model_["merges"].error();  // old files name no type
    const auto type = find<std::string_view>("type", "a string");
    if (type ? *type != "BPE" : !looks_like_bpe) {
      fail("type", "BPE", type ? fmt::format("\"{}\", which is not supported", *type) : "nothing");
    }
  }

  void refuse_unsupported() const {
    const double dropout = find<double>("dropout", "a number").value_or(0);
    if (dropout != 0) fail("dropout", "none (it would encode at random)", fmt::format("{}", dropout));
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const auto affix = find<std::string_view>(key, "a string");
      if (affix && !affix->empty()) fail(key, "none", fmt::format("\"{}\", which is not supported", *affix));
    }
  }

  void read_vocabulary(Vocabulary& vocabulary) const {
    dom::object entries;
    if (model_["vocab"].get(entries)) fail("vocab", "an object of tokens and ids", found_at("vocab"));
    size_t num_tokens = 0;
    size_t num_bytes = 0;
    for (const auto& [token, id] : entries) {
      ++num_tokens;
      num_bytes += token.size();
    }
    vocabulary.reserve(num_tokens, num_bytes);
    for (const auto& [token, value] : entries) {
      int64_t id = 0;
      if (value.get(id) || id < 0 || id > Vocabulary::kMaxId) {
        fail(fmt::format("vocab[\"{}\"]", token), fmt::format("an id of 0 to {}", Vocabulary::kMaxId), shorten(value));
      }
      const auto id32 = static_cast<int32_t>(id);
      if (vocabulary.contains(id32)) {
        fail(fmt::format("vocab[\"{}\"]", token), "an id of its own",
             fmt::format("{}, which \"{}\" has too", id, vocabulary.token(id32)));
      }
      if (vocabulary.find(token) != Vocabulary::kNoToken) {
        fail(fmt::format("vocab[\"{}\"]", token), "every token once", "it twice");
      }
      vocabulary.add(token, id32);
    }
  }

  std::string found_at(const char* key) const {
    const auto found = model_[key];
    return found.error() ? "nothing" : shorten(found.value_unsafe());
  }

  void read_merges(const Vocabulary& vocabulary, MergeTable& merges) const {
    dom::array list;
    if (model_["merges"].get(list)) fail("merges", "a list of token pairs", found_at("merges"));
    merges.reserve(list.size());
    std::string merged;
    uint32_t rank = 0;
    size_t index = 0;
    for (const dom::element item : list) {
      const size_t here = index++;
      const auto [left, right] = read_pair(item, here);
      if (left.starts_with("#version") && right.data() == nullptr) continue;
      merged.assign(left).append(right);
      const int32_t left_id = merge_token(vocabulary, left, item, here);
      const int32_t right_id = merge_token(vocabulary, right, item, here);
      merges.set(left_id, right_id, {rank++, merge_token(vocabulary, merged, item, here)});
    }
  }

  // "a b" or ["a", "b"]. A header line of an old merges.txt gives itself and a null view.
  std::pair<std::string_view, std::string_view> read_pair(const dom::element& item, size_t index) const {
    std::string_view text;
    if (!item.get(text)) {
      if (text.starts_with("#version")) return {text, {}};
      const size_t space = text.find(' ');
      if (space != text.npos && text.find(' ', space + 1) == text.npos) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    }
    dom::array parts;
    std::string_view left, right;
    if (!item.get(parts) && parts.size() == 2 && !parts.at(0).get(left) && !parts.at(1).get(right))
      return {left, right};
    fail(fmt::format("merges[{}]", index), "two tokens", shorten(item));
  }

  int32_t merge_token(const Vocabulary& vocabulary, std::string_view token, const dom::element& item,
                      size_t index) const {
    const int32_t id = vocabulary.find(token);
    if (id != Vocabulary::kNoToken) return id;
    fail(fmt::format("merges[{}]", index), "two tokens of the vocabulary that make a third",
         fmt::format("{}: \"{}\" is not in the vocabulary", shorten(item), token));
  }

  dom::object model_;
  std::string place_;
};

// Parts are small; model.vocab and model.merges never come through here.
Json to_json(const dom::object& root, const char* key) {
  const auto found = root[key];
  return found.error() ? Json() : Json::parse(std::string(simdjson::minify(found.value_unsafe())));
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& place) {
  dom::parser parser;
  dom::element document;
  const simdjson::error_code error = parser.parse(text.data(), text.size()).get(document);
  if (error) fail_to_parse(text, place, error);
  dom::object root;
  dom::object model;
  if (document.get(root)) throw DataError(fmt::format("{}: expected an object, found {}", place, shorten(document)));
  if (root["model"].get(model)) throw DataError(fmt::format("{}: model: expected an object", place));
  TokenizerJson result;
  ModelReader(model, place + ": model").read(result);
  result.added_tokens = to_json(root, "added_tokens");
  result.normalizer = to_json(root, "normalizer");
  result.pre_tokenizer = to_json(root, "pre_tokenizer");
  result.post_processor = to_json(root, "post_processor");
  result.decoder = to_json(root, "decoder");
  return result;
}

std::string get_character(const JsonObject& part, std::string_view key) {
  std::string character = part.get_string(key);
  if (!character.empty() && unicode::length_from_lead(character[0]) == character.size()) return character;
  throw DataError(fmt::format("{}: {}: expected one character, found \"{}\"", part.place(), key, character));
}

}  // namespace speculators
