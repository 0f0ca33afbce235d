// The single steps of a pre-tokenizer. Each replaces the pieces of `work`, and rewrites its text where it has to.
#pragma once

#include <memory>
#include <string>

#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/pre_tokenizer_regex.h"
#include "tokenizer/pre_tokenizer_scanners.h"

namespace speculators {

struct PreTokenizer::Stage {
  virtual ~Stage() = default;
  virtual void apply(PreTokenized& work) const = 0;
};

using StagePointer = std::shared_ptr<const PreTokenizer::Stage>;

// What becomes of the delimiters that a split finds ("the-final--countdown" at "-").
enum class SplitBehavior {
  kRemoved,             // the, final, countdown
  kIsolated,            // the, -, final, -, -, countdown
  kMergedWithPrevious,  // the-, final-, -, countdown
  kMergedWithNext,      // the, -final, -, -countdown
  kContiguous,          // the, -, final, --, countdown
};

// `invert` swaps what counts as a delimiter and what as the text between.
StagePointer make_regex_stage(Regex regex, SplitBehavior behavior, bool invert);
StagePointer make_literal_stage(std::string literal, SplitBehavior behavior, bool invert);
// For a scanner whose pieces cover the text.
StagePointer make_scanner_stage(Scanner scanner);
// Delimiters are the characters that have `flag` (unicode.h).
StagePointer make_class_stage(uint16_t flag, SplitBehavior behavior);
// \w+|[^\w\s]+ : words and runs of symbols, without white space.
StagePointer make_whitespace_stage();

// Puts a space before pieces that do not begin with one.
StagePointer make_prefix_space_stage();
// Rewrites every byte as its character of GPT-2's byte alphabet.
StagePointer make_alphabet_stage();

enum class PrependScheme { kFirst, kNever, kAlways };
// Replaces spaces by `marker` (one character) and puts one before the pieces that `scheme` names.
StagePointer make_marker_stage(std::string marker, PrependScheme scheme);

}  // namespace speculators
