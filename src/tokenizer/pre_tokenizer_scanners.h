// Hand-written twins of the pre-tokenizer patterns that most models use. Each gives exactly the matches of its pattern,
// which cover every text without gaps. `\p{L}` and kin come from unicode.h. Pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/pre_tokenizer.h"

namespace speculators {

// Appends the pieces of text[begin, end) (offsets in `text`) to `pieces`.
using Scanner = void (*)(std::string_view text, Piece range, std::vector<Piece>& pieces);

// GPT-2's pattern, which the ByteLevel pre-tokenizer carries itself.
extern const std::string_view kGpt2Pattern;
void scan_gpt2(std::string_view text, Piece range, std::vector<Piece>& pieces);

// The scanner for a pattern of a Split, or null.
Scanner find_scanner(std::string_view pattern);

struct ScannerPattern {
  std::string_view name;
  std::string_view pattern;
  Scanner scan;
};
// All of them, for tests.
const std::vector<ScannerPattern>& scanner_patterns();

}  // namespace speculators
