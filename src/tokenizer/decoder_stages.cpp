#include "tokenizer/decoder_stages.h"

#include <algorithm>
#include <charconv>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

class ByteLevelStage final : public DecoderStage {
 public:
  void push(std::string_view token, Output& output) override {
    if (!append_alphabet_bytes(pending_, token)) pending_ += token;
    const size_t kept = unicode::incomplete_tail(pending_);
    flush(pending_.size() - kept, output);
  }
  void finish(Output& output) override { flush(pending_.size(), output); }

 private:
  void flush(size_t num_bytes, Output& output) {
    const std::string_view ready = std::string_view(pending_).substr(0, num_bytes);
    if (unicode::is_valid(ready)) {
      if (!ready.empty()) output.take(ready);
    } else {
      std::string text;
      unicode::append_lossy(text, ready);
      output.take(text);
    }
    pending_.erase(0, num_bytes);
  }

  std::string pending_;
};

class EditStage final : public DecoderStage {
 public:
  explicit EditStage(std::function<std::string(std::string_view)> edit) : edit_(std::move(edit)) {}
  void push(std::string_view token, Output& output) override { output.take(edit_(token)); }

 private:
  std::function<std::string(std::string_view)> edit_;
};

class WholeTextStage final : public DecoderStage {
 public:
  explicit WholeTextStage(std::function<std::string(std::string_view)> edit) : edit_(std::move(edit)) {}
  void push(std::string_view token, Output&) override { text_ += token; }
  void finish(Output& output) override { output.take(edit_(text_)); }

 private:
  std::function<std::string(std::string_view)> edit_;
  std::string text_;
};

// A group must wait for its last byte: one bad byte turns the whole group into U+FFFD.
class ByteFallbackStage final : public DecoderStage {
 public:
  void push(std::string_view token, Output& output) override {
    if (const auto byte = find_byte_token(token)) {
      group_.push_back(static_cast<char>(*byte));
      return;
    }
    finish(output);
    output.take(token);
  }

  void finish(Output& output) override {
    if (unicode::is_valid(group_)) {
      if (!group_.empty()) output.take(group_);
    } else {
      for (size_t i = 0; i < group_.size(); ++i) output.take("\xef\xbf\xbd");
    }
    group_.clear();
  }

 private:
  std::string group_;
};

class StripFrontStage final : public DecoderStage {
 public:
  StripFrontStage(std::string content, size_t start) : content_(std::move(content)), left_(start) {}

  void push(std::string_view fragment, Output& output) override {
    while (left_ > 0 && !fragment.empty()) {
      if (!fragment.starts_with(content_)) {
        left_ = 0;
        break;
      }
      fragment.remove_prefix(content_.size());
      --left_;
    }
    if (!fragment.empty()) output.take(fragment);
  }

 private:
  std::string content_;
  size_t left_;
};

class MarkerStage final : public DecoderStage {
 public:
  MarkerStage(std::string marker, bool drops_first, bool fused)
      : marker_(std::move(marker)), drops_first_(drops_first), fused_(fused) {}

  void push(std::string_view token, Output& output) override {
    output.take(replace_all(token, marker_, is_first_ && drops_first_ ? "" : " "));
    if (!fused_) is_first_ = false;
  }

 private:
  std::string marker_;
  bool drops_first_;
  bool fused_;
  bool is_first_ = true;
};

class JoinStage final : public DecoderStage {
 public:
  explicit JoinStage(std::string separator) : separator_(std::move(separator)) {}
  void push(std::string_view token, Output& output) override {
    if (!is_first_) output.take(separator_);
    is_first_ = false;
    output.take(token);
  }

 private:
  std::string separator_;
  bool is_first_ = true;
};

}  // namespace

DecoderStagePointer make_byte_level_decoder() { return std::make_unique<ByteLevelStage>(); }
DecoderStagePointer make_edit_decoder(std::function<std::string(std::string_view)> edit) {
  return std::make_unique<EditStage>(std::move(edit));
}
DecoderStagePointer make_byte_fallback_decoder() { return std::make_unique<ByteFallbackStage>(); }
DecoderStagePointer make_strip_front_decoder(std::string content, size_t start) {
  return std::make_unique<StripFrontStage>(std::move(content), start);
}
DecoderStagePointer make_marker_decoder(std::string marker, bool drops_first, bool fused) {
  return std::make_unique<MarkerStage>(std::move(marker), drops_first, fused);
}
DecoderStagePointer make_join_decoder(std::string separator) {
  return std::make_unique<JoinStage>(std::move(separator));
}
DecoderStagePointer make_whole_text_decoder(std::function<std::string(std::string_view)> edit) {
  return std::make_unique<WholeTextStage>(std::move(edit));
}

std::optional<uint8_t> find_byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  uint8_t byte = 0;
  const char* const digits = token.data() + 3;
  // Rust's parser also takes a leading plus sign.
  const char* const begin = *digits == '+' ? digits + 1 : digits;
  const auto [end, error] = std::from_chars(begin, digits + 2, byte, 16);
  if (error != std::errc() || end != digits + 2) return std::nullopt;
  return byte;
}

std::string strip_ends(std::string_view token, std::string_view content, size_t start, size_t stop) {
  for (; start > 0 && token.starts_with(content); --start) token.remove_prefix(content.size());
  for (; stop > 0 && token.ends_with(content); --stop) token.remove_suffix(content.size());
  return std::string(token);
}

std::string replace_all(std::string_view text, std::string_view marker, std::string_view replacement) {
  std::string result;
  size_t copied = 0;
  for (size_t at = text.find(marker); at != text.npos; at = text.find(marker, copied)) {
    result.append(text, copied, at - copied).append(replacement);
    copied = at + marker.size();
  }
  result.append(text, copied);
  return result;
}

}  // namespace speculators
