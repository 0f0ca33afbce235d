// A bounded cache of short words and their token ids: one 64-byte line per word, two lines to choose from, the newer
// word stays. // Not thread-safe: each encoding thread has its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace speculators {

constexpr size_t kMaxCachedBytes = 31;

// kCacheMasks[n] keeps the first n bytes of a key.
inline constexpr auto kCacheMasks = [] {
  std::array<std::array<uint64_t, 4>, kMaxCachedBytes + 1> masks{};
  for (size_t size = 0; size <= kMaxCachedBytes; ++size) {
    for (size_t byte = 0; byte < size; ++byte) masks[size][byte / 8] |= uint64_t{0xff} << (byte % 8 * 8);
  }
  return masks;
}();

class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = kMaxCachedBytes;
  static constexpr size_t kMaxIds = 8;
  static constexpr int kLogLines = 15;  // 2 MiB

  using Key = std::array<uint64_t, 4>;
  struct alignas(64) Line {
    Key key{};  // the bytes, zero-padded; the last byte is the length (0: empty line)
    std::array<int32_t, kMaxIds> ids{-1, -1, -1, -1, -1, -1, -1, -1};  // ends at the first -1
  };

  // `word` has at most kMaxWordBytes bytes; 32 bytes from its start may be read when `may_overread`.
  static Key make_key(const char* word, size_t size, bool may_overread) {
    Key key{};
    if (may_overread) {
      std::memcpy(key.data(), word, 32);
      for (size_t i = 0; i < 4; ++i) key[i] &= kCacheMasks[size][i];
    } else {
      std::memcpy(key.data(), word, size);
    }
    key[3] |= static_cast<uint64_t>(size) << 56;
    return key;
  }

  // The line of `key`, or null.
  const Line* find(const Key& key) const {
    const Line* const pair = &lines_[2 * pair_index(key)];
    return is_equal(pair[0].key, key) ? pair : is_equal(pair[1].key, key) ? pair + 1 : nullptr;
  }

  // Words of more than kMaxIds ids are not kept.
  void store(const Key& key, std::span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    Line* const pair = &lines_[2 * pair_index(key)];
    pair[1] = pair[0];
    pair[0] = Line{};
    pair[0].key = key;
    std::copy(ids.begin(), ids.end(), pair[0].ids.begin());
  }

 private:
  // Written out, for a call of memcmp would cost more than all the rest.
  static bool is_equal(const Key& a, const Key& b) {
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
  }

  static size_t pair_index(const Key& key) {
    constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15u;
    uint64_t hash = key[0] * kMultiplier;
    hash = (hash ^ hash >> 32 ^ key[1]) * kMultiplier;
    hash = (hash ^ hash >> 29 ^ key[2]) * kMultiplier;
    hash = (hash ^ hash >> 32 ^ key[3]) * kMultiplier;
    return hash >> (64 - (kLogLines - 1));
  }

  std::vector<Line> lines_ = std::vector<Line>(size_t{1} << kLogLines);
};

}  // namespace speculators
