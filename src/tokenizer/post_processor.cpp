#include "tokenizer/post_processor.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "tokenizer/bpe_vocabulary.h"

namespace speculators {
namespace {

int32_t check_id(int64_t id, const std::string& place) {
  if (id >= 0 && id <= Vocabulary::kMaxId) return static_cast<int32_t>(id);
  throw DataError(fmt::format("{}: expected a token id of 0 to {}, found {}", place, Vocabulary::kMaxId, id));
}

const Json& get_list(const Json& value, const char* key, const std::string& place) {
  const auto found = value.find(key);
  if (found != value.end() && found->is_array()) return *found;
  throw DataError(fmt::format("{}: {}: expected a list", place, key));
}

// The id of a ["[CLS]", 101] pair.
int32_t get_paired_id(const Json& value, const char* key, const std::string& place) {
  const Json& pair = get_list(value, key, place);
  if (pair.size() != 2 || !pair[1].is_number_integer()) {
    throw DataError(fmt::format("{}: {}: expected a token and its id", place, key));
  }
  return check_id(pair[1].get<int64_t>(), fmt::format("{}: {}", place, key));
}

}  // namespace

PostProcessor PostProcessor::parse(const Json& value, const std::string& place) {
  PostProcessor processor;
  processor.append(value, place);
  return processor;
}

void PostProcessor::append(const Json& value, const std::string& place) {
  if (value.is_null()) return;
  const std::string type = JsonObject(value, place).get_string("type");
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    size_t index = 0;
    for (const Json& item : get_list(value, "processors", place))
      append(item, fmt::format("{}.processors[{}]", place, index++));
    return;
  }
  if (type != "TemplateProcessing" && type != "BertProcessing" && type != "RobertaProcessing") {
    throw DataError(
        fmt::format("{}: type: expected TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or Sequence, "
                    "found \"{}\", "
                    "which is not supported",
                    place, type));
  }
  if (has_template_) throw DataError(fmt::format("{}: expected one template in all, found a second one", place));
  has_template_ = true;
  if (type == "TemplateProcessing") {
    read_template(value, place);
  } else {
    read_frame(value, place);
  }
}

void PostProcessor::read_template(const Json& value, const std::string& place) {
  const JsonObject special_tokens = JsonObject(value, place).get_object("special_tokens");
  size_t index = 0;
  for (const Json& item : get_list(value, "single", place)) {
    const JsonObject element(item, fmt::format("{}.single[{}]", place, index++));
    if (element.has("Sequence")) {
      const std::string id = element.get_object("Sequence").get_string("id");
      if (id != "A") throw DataError(fmt::format("{}: id: expected A, found \"{}\"", element.place(), id));
      elements_.push_back({true, {}});
      continue;
    }
    const std::string name = element.get_object("SpecialToken").get_string("id");
    Element special{false, {}};
    for (const int64_t id : special_tokens.get_object(name).get_ints("ids")) {
      special.ids.push_back(check_id(id, fmt::format("{}: {}", special_tokens.place(), name)));
    }
    elements_.push_back(std::move(special));
  }
}

void PostProcessor::read_frame(const Json& value, const std::string& place) {
  elements_.push_back({false, {get_paired_id(value, "cls", place)}});
  elements_.push_back({true, {}});
  elements_.push_back({false, {get_paired_id(value, "sep", place)}});
}

std::vector<int32_t> PostProcessor::apply(std::vector<int32_t> ids, bool add_special_tokens) const {
  if (!has_template_) return ids;
  std::vector<int32_t> result;
  result.reserve(ids.size() + elements_.size());
  for (const Element& element : elements_) {
    if (element.is_sequence) {
      result.insert(result.end(), ids.begin(), ids.end());
    } else if (add_special_tokens) {
      result.insert(result.end(), element.ids.begin(), element.ids.end());
    }
  }
  return result;
}

}  // namespace speculators
