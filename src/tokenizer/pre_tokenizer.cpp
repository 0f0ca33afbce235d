#include "tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <map>

#include "base/errors.h"
#include "tokenizer/pre_tokenizer_stages.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode.h"

namespace speculators {

struct PreTokenizer::ParseOptions {
  bool model_takes_bytes;
  bool use_scanners;
  bool is_last;  // nothing follows this part
};

namespace {

SplitBehavior get_behavior(const JsonObject& part) {
  static const std::map<std::string, SplitBehavior> known = {{"Removed", SplitBehavior::kRemoved},
                                                             {"Isolated", SplitBehavior::kIsolated},
                                                             {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                                             {"MergedWithNext", SplitBehavior::kMergedWithNext},
                                                             {"Contiguous", SplitBehavior::kContiguous}};
  const std::string name = part.get_string("behavior");
  if (const auto found = known.find(name); found != known.end()) return found->second;
  throw DataError(
      fmt::format("{}: behavior: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                  "Contiguous, found \"{}\"",
                  part.place(), name));
}

StagePointer make_pattern_stage(const std::string& pattern, SplitBehavior behavior, bool invert, bool use_scanners,
                                const std::string& place) {
  // The scanners' matches leave no gaps: keeping the matches is all that these two behaviours do.
  const bool keeps_matches = behavior == SplitBehavior::kIsolated || (behavior == SplitBehavior::kRemoved && invert);
  const Scanner scanner = use_scanners && keeps_matches ? find_scanner(pattern) : nullptr;
  return scanner ? make_scanner_stage(scanner) : make_regex_stage(Regex(pattern, place), behavior, invert);
}

StagePointer make_split(const JsonObject& part, bool use_scanners) {
  const JsonObject pattern = part.get_object("pattern");
  const SplitBehavior behavior = get_behavior(part);
  const bool invert = part.get_bool("invert");
  if (pattern.has("Regex")) {
    return make_pattern_stage(pattern.get_string("Regex"), behavior, invert, use_scanners, part.place());
  }
  std::string literal = pattern.get_string("String");
  if (literal.empty()) return make_regex_stage(Regex("", part.place()), behavior, invert);
  return make_literal_stage(std::move(literal), behavior, invert);
}

PrependScheme get_scheme(const JsonObject& part) {
  const std::string name = part.find_string("prepend_scheme").value_or("always");
  const bool adds_space = part.find_bool("add_prefix_space").value_or(true);
  if (name == "never") return PrependScheme::kNever;
  if (!adds_space) {
    throw DataError(
        fmt::format("{}: add_prefix_space: expected true with prepend_scheme \"{}\", found false", part.place(), name));
  }
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  throw DataError(fmt::format("{}: prepend_scheme: expected first, never or always, found \"{}\"", part.place(), name));
}

SplitBehavior punctuation_behavior(const JsonObject& part) {
  return part.has("behavior") ? get_behavior(part) : SplitBehavior::kIsolated;
}

SplitBehavior digits_behavior(const JsonObject& part) {
  return part.get_bool("individual_digits") ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
}

std::vector<StagePointer> make_metaspace(const JsonObject& part) {
  const std::string marker = get_character(part, "replacement");
  std::vector<StagePointer> stages = {make_marker_stage(marker, get_scheme(part))};
  if (part.find_bool("split").value_or(true)) {
    stages.push_back(make_literal_stage(marker, SplitBehavior::kMergedWithNext, /*invert=*/false));
  }
  return stages;
}

// The stages of every part but Sequence and ByteLevel.
std::vector<StagePointer> make_stages(const std::string& type, const JsonObject& part, bool use_scanners) {
  if (type == "Split") return {make_split(part, use_scanners)};
  if (type == "Digits") return {make_class_stage(unicode::kNumeric, digits_behavior(part))};
  if (type == "Metaspace") return make_metaspace(part);
  if (type == "Punctuation") return {make_class_stage(unicode::kPunctuation, punctuation_behavior(part))};
  if (type == "WhitespaceSplit") return {make_class_stage(unicode::kSpace, SplitBehavior::kRemoved)};
  if (type == "Whitespace") return {make_whitespace_stage()};
  if (type == "CharDelimiterSplit") {
    return {make_literal_stage(get_character(part, "delimiter"), SplitBehavior::kRemoved, /*invert=*/false)};
  }
  throw DataError(
      fmt::format("{}: type: expected ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit, "
                  "CharDelimiterSplit or Sequence, found \"{}\", which is not supported",
                  part.place(), type));
}

}  // namespace

PreTokenizer PreTokenizer::parse(const Json& value, bool model_takes_bytes, const std::string& place) {
  PreTokenizer result;
  result.append_stages(value, {model_takes_bytes, /*use_scanners=*/true, /*is_last=*/true}, place);
  return result;
}

PreTokenizer PreTokenizer::parse_without_scanners(const Json& value, bool model_takes_bytes, const std::string& place) {
  PreTokenizer result;
  result.append_stages(value, {model_takes_bytes, /*use_scanners=*/false, /*is_last=*/true}, place);
  return result;
}

void PreTokenizer::append_stages(const Json& value, const ParseOptions& options, const std::string& place) {
  if (value.is_null()) return;
  const JsonObject part(value, place);
  const std::string type = part.get_string("type");
  if (type == "Sequence") return append_sequence(value, options, place);
  if (type == "ByteLevel") return append_byte_level(part, options);
  for (StagePointer& stage : make_stages(type, part, options.use_scanners)) stages_.push_back(std::move(stage));
}

void PreTokenizer::append_sequence(const Json& value, const ParseOptions& options, const std::string& place) {
  const auto list = value.find("pretokenizers");
  if (list == value.end() || !list->is_array()) {
    throw DataError(fmt::format("{}: pretokenizers: expected a list", place));
  }
  for (size_t i = 0; i < list->size(); ++i) {
    ParseOptions inner = options;
    inner.is_last = options.is_last && i + 1 == list->size();
    append_stages(list->at(i), inner, fmt::format("{}.pretokenizers[{}]", place, i));
  }
}

void PreTokenizer::append_byte_level(const JsonObject& part, const ParseOptions& options) {
  if (part.get_bool("add_prefix_space")) stages_.push_back(make_prefix_space_stage());
  if (part.find_bool("use_regex").value_or(true)) {
    stages_.push_back(make_pattern_stage(std::string(kGpt2Pattern), SplitBehavior::kIsolated, /*invert=*/false,
                                         options.use_scanners, part.place()));
  }
  yields_bytes_ = options.is_last && options.model_takes_bytes;
  if (!yields_bytes_) stages_.push_back(make_alphabet_stage());
}

void PreTokenizer::split(std::string_view text, bool starts_input, PreTokenized& work) const {
  work.text = text;
  work.starts_input = starts_input;
  work.pieces.clear();
  if (text.empty()) return;
  work.pieces.push_back({0, text.size()});
  for (const auto& stage : stages_) stage->apply(work);
}

}  // namespace speculators
