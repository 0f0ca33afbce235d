// Token strings <-> ids in flat tables: one arena of bytes, one open-addressing index. Const methods are thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace speculators {

// A good 64-bit hash of short byte strings.
uint64_t hash_bytes(std::string_view bytes);

class Vocabulary {
 public:
  static constexpr int32_t kNoToken = -1;
  static constexpr int64_t kMaxId = (1 << 24) - 1;  // keeps a damaged file from asking for gigabytes

  // Ids are given in any order, each id and each token once; `id` is within [0, kMaxId].
  void reserve(size_t num_tokens, size_t num_bytes);
  void add(std::string_view token, int32_t id);

  // The id of exactly these bytes, or kNoToken.
  int32_t find(std::string_view token) const;
  bool contains(int32_t id) const { return id >= 0 && id < id_end() && spans_[id].offset != kAbsent; }
  // Only for ids that it contains; the view lives as long as the vocabulary.
  std::string_view token(int32_t id) const { return {arena_.data() + spans_[id].offset, spans_[id].size}; }

  size_t size() const { return num_tokens_; }
  int32_t id_end() const { return static_cast<int32_t>(spans_.size()); }  // highest id + 1

 private:
  static constexpr uint32_t kAbsent = UINT32_MAX;
  struct Span {
    uint32_t offset = kAbsent;
    uint32_t size = 0;
  };
  // The upper hash bits beside the id save most string comparisons.
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNoToken;
  };
  void rehash(size_t num_slots);
  void insert(uint64_t hash, int32_t id);

  std::string arena_;
  std::vector<Span> spans_;
  std::vector<Slot> slots_;
  size_t num_tokens_ = 0;
};

}  // namespace speculators
