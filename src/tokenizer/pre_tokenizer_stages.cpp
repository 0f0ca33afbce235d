#include "tokenizer/pre_tokenizer_stages.h"

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

// Receives the parts of one piece in order, delimiters and what lies between, and keeps those that the behaviour wants.
class SplitCollector {
 public:
  SplitCollector(SplitBehavior behavior, std::vector<Piece>& out) : behavior_(behavior), out_(out) {}

  void add(Piece part, bool is_delimiter) {
    switch (behavior_) {
      case SplitBehavior::kRemoved:
        if (!is_delimiter) emit(part);
        return;
      case SplitBehavior::kIsolated:
        return emit(part);
      case SplitBehavior::kContiguous:
        return extend_or_hold(part, is_delimiter == held_is_delimiter_, is_delimiter);
      case SplitBehavior::kMergedWithPrevious:
        return extend_or_hold(part, is_delimiter && !held_is_delimiter_, is_delimiter);
      case SplitBehavior::kMergedWithNext:
        return extend_or_hold(part, held_is_delimiter_ && !is_delimiter, is_delimiter);
    }
  }

  void finish() {
    if (has_held_) emit(held_);
  }

 private:
  void extend_or_hold(Piece part, bool extend, bool is_delimiter) {
    if (has_held_ && extend) {
      held_.end = part.end;
    } else {
      finish();
      held_ = part;
    }
    has_held_ = true;
    held_is_delimiter_ = is_delimiter;
  }

  void emit(Piece part) {
    if (part.begin < part.end) out_.push_back(part);
  }

  SplitBehavior behavior_;
  std::vector<Piece>& out_;
  Piece held_{0, 0};
  bool has_held_ = false;
  bool held_is_delimiter_ = false;
};

// A stage that cuts: `split_piece` reports matches of one piece to `on_match(begin, end)` (offsets in the text).
template <class SplitPiece>
void split_pieces(PreTokenized& work, SplitBehavior behavior, bool invert, const SplitPiece& split_piece) {
  work.next_pieces.clear();
  for (const Piece& piece : work.pieces) {
    SplitCollector collector(behavior, work.next_pieces);
    size_t covered = piece.begin;
    split_piece(piece, [&](size_t begin, size_t end) {
      if (covered != begin) collector.add({covered, begin}, invert);
      collector.add({begin, end}, !invert);
      covered = end;
    });
    if (covered != piece.end) collector.add({covered, piece.end}, invert);
    collector.finish();
  }
  work.pieces.swap(work.next_pieces);
}

struct RegexStage final : PreTokenizer::Stage {
  Regex regex;
  SplitBehavior behavior;
  bool invert;
  RegexStage(Regex regex, SplitBehavior behavior, bool invert)
      : regex(std::move(regex)), behavior(behavior), invert(invert) {}

  void apply(PreTokenized& work) const override {
    split_pieces(work, behavior, invert, [&](const Piece& piece, const auto& on_match) {
      const std::string_view text = work.text.substr(piece.begin, piece.end - piece.begin);
      regex.for_each_match(text, [&](size_t begin, size_t end) { on_match(piece.begin + begin, piece.begin + end); });
    });
  }
};

struct LiteralStage final : PreTokenizer::Stage {
  std::string literal;
  SplitBehavior behavior;
  bool invert;
  LiteralStage(std::string literal, SplitBehavior behavior, bool invert)
      : literal(std::move(literal)), behavior(behavior), invert(invert) {}

  void apply(PreTokenized& work) const override {
    split_pieces(work, behavior, invert, [&](const Piece& piece, const auto& on_match) {
      const std::string_view text = work.text.substr(0, piece.end);
      for (size_t at = text.find(literal, piece.begin); at != text.npos; at = text.find(literal, at + literal.size())) {
        on_match(at, at + literal.size());
      }
    });
  }
};

struct ScannerStage final : PreTokenizer::Stage {
  Scanner scanner;
  explicit ScannerStage(Scanner scanner) : scanner(scanner) {}

  void apply(PreTokenized& work) const override {
    work.next_pieces.clear();
    for (const Piece& piece : work.pieces) scanner(work.text, piece, work.next_pieces);
    work.pieces.swap(work.next_pieces);
  }
};

struct ClassStage final : PreTokenizer::Stage {
  uint16_t flag;
  SplitBehavior behavior;
  ClassStage(uint16_t flag, SplitBehavior behavior) : flag(flag), behavior(behavior) {}

  void apply(PreTokenized& work) const override {
    const uint16_t* const flags = unicode::flags_table();
    const char* const base = work.text.data();
    split_pieces(work, behavior, /*invert=*/false, [&](const Piece& piece, const auto& on_match) {
      const char* const end = base + piece.end;
      for (const char* p = base + piece.begin; p < end;) {
        const char* const start = p;
        if (flags[unicode::decode(p)] & flag)
          on_match(static_cast<size_t>(start - base), static_cast<size_t>(p - base));
      }
    });
  }
};

struct WhitespaceStage final : PreTokenizer::Stage {
  enum class Kind { kSpace, kWord, kSymbol };
  static Kind kind_of(uint16_t flags) {
    if (flags & unicode::kWord) return Kind::kWord;
    return flags & unicode::kSpace ? Kind::kSpace : Kind::kSymbol;
  }

  void apply(PreTokenized& work) const override {
    split_pieces(work, SplitBehavior::kRemoved, /*invert=*/true, [&](const Piece& piece, const auto& on_match) {
      const char* const base = work.text.data();
      const char* const end = base + piece.end;
      for (const char* p = base + piece.begin; p < end;) {
        const char* const start = p;
        const Kind kind = kind_of(unicode::flags(unicode::decode(p)));
        for (const char* q = p; q < end && kind_of(unicode::flags(unicode::decode(q))) == kind;) p = q;
        if (kind != Kind::kSpace) on_match(static_cast<size_t>(start - base), static_cast<size_t>(p - base));
      }
    });
  }
};

// A stage that rewrites: `rewrite` appends the new form of one piece to work.next_storage.
template <class Rewrite>
void rewrite_pieces(PreTokenized& work, const Rewrite& rewrite) {
  work.next_pieces.clear();
  work.next_storage.clear();
  for (const Piece& piece : work.pieces) {
    const size_t begin = work.next_storage.size();
    rewrite(piece, work.text.substr(piece.begin, piece.end - piece.begin), work.next_storage);
    work.next_pieces.push_back({begin, work.next_storage.size()});
  }
  work.storage.swap(work.next_storage);
  work.text = work.storage;
  work.pieces.swap(work.next_pieces);
}

struct PrefixSpaceStage final : PreTokenizer::Stage {
  void apply(PreTokenized& work) const override {
    rewrite_pieces(work, [](const Piece&, std::string_view text, std::string& out) {
      if (text.front() != ' ') out.push_back(' ');
      out.append(text);
    });
  }
};

struct AlphabetStage final : PreTokenizer::Stage {
  void apply(PreTokenized& work) const override {
    rewrite_pieces(work,
                   [](const Piece&, std::string_view text, std::string& out) { append_byte_alphabet(out, text); });
  }
};

struct MarkerStage final : PreTokenizer::Stage {
  std::string marker;
  PrependScheme scheme;
  MarkerStage(std::string marker, PrependScheme scheme) : marker(std::move(marker)), scheme(scheme) {}

  void apply(PreTokenized& work) const override {
    rewrite_pieces(work, [&](const Piece& piece, std::string_view text, std::string& out) {
      const bool is_first = work.starts_input && piece.begin == 0;
      const bool wants_marker = scheme == PrependScheme::kAlways || (scheme == PrependScheme::kFirst && is_first);
      if (wants_marker && text.front() != ' ' && !text.starts_with(marker)) out.append(marker);
      for (const char byte : text) {
        if (byte == ' ') {
          out.append(marker);
        } else {
          out.push_back(byte);
        }
      }
    });
  }
};

}  // namespace

StagePointer make_regex_stage(Regex regex, SplitBehavior behavior, bool invert) {
  return std::make_shared<RegexStage>(std::move(regex), behavior, invert);
}
StagePointer make_literal_stage(std::string literal, SplitBehavior behavior, bool invert) {
  return std::make_shared<LiteralStage>(std::move(literal), behavior, invert);
}
StagePointer make_scanner_stage(Scanner scanner) { return std::make_shared<ScannerStage>(scanner); }
StagePointer make_class_stage(uint16_t flag, SplitBehavior behavior) {
  return std::make_shared<ClassStage>(flag, behavior);
}
StagePointer make_whitespace_stage() { return std::make_shared<WhitespaceStage>(); }
StagePointer make_prefix_space_stage() { return std::make_shared<PrefixSpaceStage>(); }
StagePointer make_alphabet_stage() { return std::make_shared<AlphabetStage>(); }
StagePointer make_marker_stage(std::string marker, PrependScheme scheme) {
  return std::make_shared<MarkerStage>(std::move(marker), scheme);
}

}  // namespace speculators
