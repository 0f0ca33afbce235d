// Which tokens the draft may propose: given files, files kept from an earlier run, or the most frequent tokens.
// Source: reference algorithms.md 18.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/files.h"
#include "draft/vocabulary_map.h"
#include "train/train_options.h"

namespace speculators {

// Nothing: the whole vocabulary of the verifier. A map made from token counts is kept as d2t-<size>.npy and
// t2d-<size>.npy in `data_path` and taken from there until the counts change. Unlike upstream, a size without counts is
// an error. Throws UsageError for options that contradict each other, DataError for files that do not fit.
std::optional<VocabularyMap> choose_draft_vocabulary(const VocabularyOptions& options, const fs::path& data_path,
                                                     int64_t verifier_vocab_size);

}  // namespace speculators
