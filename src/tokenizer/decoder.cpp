#include "tokenizer/decoder.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/decoder_stages.h"
#include "tokenizer/pre_tokenizer_regex.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode.h"

namespace speculators {

struct Decoder::Part {
  virtual ~Part() = default;
  virtual DecoderStagePointer make_stage(bool fused) const = 0;
  virtual bool fuses() const { return false; }
  virtual std::string bytes(std::string token) const { return token; }
};

namespace {

bool is_one_character(std::string_view text) {
  return !text.empty() && unicode::length_from_lead(text[0]) == text.size();
}

size_t get_count(const JsonObject& part, const std::string& key) {
  const int64_t count = part.get_int(key);
  if (count >= 0) return static_cast<size_t>(count);
  throw DataError(fmt::format("{}: {}: expected a number of characters, found {}", part.place(), key, count));
}

struct ByteLevelPart final : Decoder::Part {
  DecoderStagePointer make_stage(bool) const override { return make_byte_level_decoder(); }
  bool fuses() const override { return true; }
  std::string bytes(std::string token) const override {
    std::string result;
    return append_alphabet_bytes(result, token) ? result : token;
  }
};

struct ReplacePart final : Decoder::Part {
  std::string literal;  // one character, or empty when `regex` is needed
  std::shared_ptr<const Regex> regex;
  std::string content;

  explicit ReplacePart(const JsonObject& part) : content(part.get_string("content")) {
    const JsonObject pattern = part.get_object("pattern");
    if (pattern.has("Regex")) {
      regex = std::make_shared<Regex>(pattern.get_string("Regex"), part.place());
      return;
    }
    literal = pattern.get_string("String");
    if (is_one_character(literal)) return;
    regex = std::make_shared<Regex>(Regex::from_literal(literal, part.place()));
    literal.clear();
  }

  // A regular expression may match across the fragments of a fused text.
  DecoderStagePointer make_stage(bool fused) const override {
    const auto edit = [this](std::string_view token) { return bytes(std::string(token)); };
    return fused && regex ? make_whole_text_decoder(edit) : make_edit_decoder(edit);
  }
  std::string bytes(std::string token) const override {
    if (!regex) return replace_all(token, literal, content);
    if (token.empty()) return token;
    std::string result;
    regex->replace(token, content, result);
    return result;
  }
};

struct ByteFallbackPart final : Decoder::Part {
  DecoderStagePointer make_stage(bool fused) const override {
    if (!fused) return make_byte_fallback_decoder();
    return make_whole_text_decoder([](std::string_view text) {
      std::string result;
      const auto byte = find_byte_token(text);
      if (!byte) return std::string(text);
      const char c = static_cast<char>(*byte);
      unicode::append_lossy(result, {&c, 1});
      return result;
    });
  }
  std::string bytes(std::string token) const override {
    const auto byte = find_byte_token(token);
    return byte ? std::string(1, static_cast<char>(*byte)) : token;
  }
};

struct FusePart final : Decoder::Part {
  DecoderStagePointer make_stage(bool) const override {
    return make_edit_decoder([](std::string_view token) { return std::string(token); });
  }
  bool fuses() const override { return true; }
};

struct StripPart final : Decoder::Part {
  std::string content;
  size_t start, stop;
  explicit StripPart(const JsonObject& part)
      : content(get_character(part, "content")), start(get_count(part, "start")), stop(get_count(part, "stop")) {}

  DecoderStagePointer make_stage(bool fused) const override {
    if (fused && stop == 0) return make_strip_front_decoder(content, start);
    const auto edit = [this](std::string_view token) { return strip_ends(token, content, start, stop); };
    return fused ? make_whole_text_decoder(edit) : make_edit_decoder(edit);
  }
};

struct MarkerPart final : Decoder::Part {
  std::string marker;
  bool drops_first;
  explicit MarkerPart(const JsonObject& part)
      : marker(get_character(part, "replacement")),
        drops_first(part.find_string("prepend_scheme").value_or("always") != "never" &&
                    part.find_bool("add_prefix_space").value_or(true)) {}

  DecoderStagePointer make_stage(bool fused) const override { return make_marker_decoder(marker, drops_first, fused); }
  std::string bytes(std::string token) const override { return replace_all(token, marker, " "); }
};

struct JoinPart final : Decoder::Part {
  DecoderStagePointer make_stage(bool) const override { return make_join_decoder(" "); }
};

std::shared_ptr<const Decoder::Part> make_part(const std::string& type, const JsonObject& part) {
  if (type == "ByteLevel") return std::make_shared<ByteLevelPart>();
  if (type == "Replace") return std::make_shared<ReplacePart>(part);
  if (type == "ByteFallback") return std::make_shared<ByteFallbackPart>();
  if (type == "Fuse") return std::make_shared<FusePart>();
  if (type == "Strip") return std::make_shared<StripPart>(part);
  if (type == "Metaspace") return std::make_shared<MarkerPart>(part);
  throw DataError(fmt::format(
      "{}: type: expected ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence, found \"{}\", which is "
      "not supported",
      part.place(), type));
}

}  // namespace

Decoder::Decoder() : parts_{std::make_shared<JoinPart>()} {}

Decoder Decoder::parse(const Json& value, const std::string& place) {
  Decoder decoder;
  if (value.is_null()) return decoder;
  decoder.parts_.clear();
  decoder.append_parts(value, place);
  return decoder;
}

void Decoder::append_parts(const Json& value, const std::string& place) {
  const JsonObject part(value, place);
  const std::string type = part.get_string("type");
  if (type != "Sequence") {
    parts_.push_back(make_part(type, part));
    return;
  }
  if (!part.has("decoders") || !value["decoders"].is_array()) {
    throw DataError(fmt::format("{}: decoders: expected a list", place));
  }
  size_t index = 0;
  for (const Json& item : value["decoders"]) append_parts(item, fmt::format("{}.decoders[{}]", place, index++));
}

DecoderRun Decoder::start() const {
  std::vector<DecoderStagePointer> stages;
  bool fused = false;
  for (const auto& part : parts_) {
    stages.push_back(part->make_stage(fused));
    fused |= part->fuses();
  }
  return DecoderRun(std::move(stages));
}

std::string Decoder::token_bytes(std::string_view token) const {
  std::string bytes(token);
  for (const auto& part : parts_) bytes = part->bytes(std::move(bytes));
  return bytes;
}

// Hands what one stage lets out to the next, and what the last one lets out to `out`.
class DecoderRun::Chain final : public DecoderStage::Output {
 public:
  Chain(std::vector<std::unique_ptr<DecoderStage>>& stages, size_t next, std::string& out)
      : stages_(stages), next_(next), out_(out) {}
  void take(std::string_view text) override {
    if (next_ == stages_.size()) {
      out_ += text;
      return;
    }
    Chain after(stages_, next_ + 1, out_);
    stages_[next_]->push(text, after);
  }

 private:
  std::vector<std::unique_ptr<DecoderStage>>& stages_;
  size_t next_;
  std::string& out_;
};

void DecoderRun::push(std::string_view token, std::string& out) { Chain(stages_, 0, out).take(token); }

void DecoderRun::finish(std::string& out) {
  for (size_t i = 0; i < stages_.size(); ++i) {
    Chain after(stages_, i + 1, out);
    stages_[i]->finish(after);
  }
}

}  // namespace speculators
