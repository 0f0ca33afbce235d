// A bounded cache of short words and their token ids: one 64-byte line per word, the newest word of a line wins.
// Not thread-safe: each encoding thread has its own.
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
  static constexpr size_t kNumLines = 1 << 15;  // 2 MiB

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

  Line& line(const Key& key) {
    constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15u;
    uint64_t hash = key[0] * kMultiplier;
    hash = (hash ^ hash >> 32 ^ key[1]) * kMultiplier;
    hash = (hash ^ hash >> 29 ^ key[2]) * kMultiplier;
    hash = (hash ^ hash >> 32 ^ key[3]) * kMultiplier;
    return lines_[hash >> (64 - 15)];
  }

  static void store(Line& line, const Key& key, std::span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    line.key = key;
    line.ids.fill(-1);
    std::copy(ids.begin(), ids.end(), line.ids.begin());
  }

 private:
  std::vector<Line> lines_ = std::vector<Line>(kNumLines);
};

}  // namespace speculators
