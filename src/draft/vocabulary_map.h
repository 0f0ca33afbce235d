// The reduced draft vocabulary. t2d is membership (bool [Vv]), d2t an offset (int64 [V]): draft id k is verifier id
// k + d2t[k]. Source: reference algorithms.md section 18.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace speculators {

struct VocabularyMap {
  std::vector<bool> t2d;                           // [Vv]
  std::vector<int64_t> d2t;                        // [V]
  std::vector<int32_t> draft_to_verifier() const;  // k + d2t[k]
};

// The V most frequent ids (ties: smaller id), filled up with the smallest unused ids, ascending.
VocabularyMap make_vocabulary_map(const std::map<int64_t, int64_t>& token_counts, int64_t verifier_vocab_size,
                                  int64_t draft_vocab_size);
// Sizes agree, popcount(t2d) = V, every d2t lands on a member, ascending. Throws DataError naming `place`.
void check_vocabulary_map(const VocabularyMap& map, const std::string& place);

}  // namespace speculators
