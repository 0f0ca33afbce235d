#include "draft/vocabulary_map.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"

namespace speculators {
namespace {

// Ids by falling count, ties by the smaller id.
std::vector<int64_t> by_frequency(const std::map<int64_t, int64_t>& token_counts) {
  std::vector<std::pair<int64_t, int64_t>> order;  // (-count, id)
  for (const auto& [id, count] : token_counts) order.emplace_back(-count, id);
  std::sort(order.begin(), order.end());
  std::vector<int64_t> ids;
  for (const auto& [negative_count, id] : order) ids.push_back(id);
  return ids;
}

void check_sizes(const std::map<int64_t, int64_t>& token_counts, int64_t verifier_vocab_size,
                 int64_t draft_vocab_size) {
  if (draft_vocab_size < 1 || draft_vocab_size > verifier_vocab_size) {
    throw UsageError(fmt::format("draft vocabulary: expected a size of 1 ... {} (the verifier's), found {}",
                                 verifier_vocab_size, draft_vocab_size));
  }
  if (token_counts.empty()) return;
  const int64_t first = token_counts.begin()->first, last = token_counts.rbegin()->first;
  if (first < 0 || last >= verifier_vocab_size) {
    throw DataError(
        fmt::format("token counts: expected ids in [0, {}), found {}; are they from this verifier's tokenizer?",
                    verifier_vocab_size, first < 0 ? first : last));
  }
}

}  // namespace

std::vector<int32_t> VocabularyMap::draft_to_verifier() const {
  std::vector<int32_t> ids(d2t.size());
  for (size_t k = 0; k < d2t.size(); ++k) ids[k] = static_cast<int32_t>(static_cast<int64_t>(k) + d2t[k]);
  return ids;
}

VocabularyMap make_vocabulary_map(const std::map<int64_t, int64_t>& token_counts, int64_t verifier_vocab_size,
                                  int64_t draft_vocab_size) {
  check_sizes(token_counts, verifier_vocab_size, draft_vocab_size);
  VocabularyMap map;
  map.t2d.resize(verifier_vocab_size, false);
  int64_t left = draft_vocab_size;
  for (int64_t id : by_frequency(token_counts)) {
    if (left-- <= 0) break;
    map.t2d[id] = true;
  }
  for (int64_t id = 0; left > 0; ++id) {
    if (map.t2d[id]) continue;
    map.t2d[id] = true;
    --left;
  }
  for (int64_t id = 0; id < verifier_vocab_size; ++id) {
    if (map.t2d[id]) map.d2t.push_back(id - static_cast<int64_t>(map.d2t.size()));
  }
  return map;
}

void check_vocabulary_map(const VocabularyMap& map, const std::string& place) {
  const auto num_members = std::count(map.t2d.begin(), map.t2d.end(), true);
  if (num_members != static_cast<int64_t>(map.d2t.size())) {
    throw DataError(
        fmt::format("{}: t2d: expected as many members as d2t has entries, {}, found {}; are both files from "
                    "one run?",
                    place, map.d2t.size(), num_members));
  }
  int64_t previous = -1;
  for (size_t k = 0; k < map.d2t.size(); ++k) {
    const int64_t id = static_cast<int64_t>(k) + map.d2t[k];
    if (id <= previous || id >= static_cast<int64_t>(map.t2d.size()) || !map.t2d[id]) {
      throw DataError(
          fmt::format("{}: d2t[{}]: expected an offset to the next member of t2d, found {} (id {}); d2t holds "
                      "offsets, not ids",
                      place, k, map.d2t[k], id));
    }
    previous = id;
  }
}

}  // namespace speculators
