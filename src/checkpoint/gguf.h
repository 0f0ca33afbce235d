// GGUF, llama.cpp's one-file model format: typed metadata, then tensors in plain or block-quantised form.
// Read through a memory map; every kind of damage is named. Versions 2 and 3, little-endian.
// Source: docs/formats/gguf.md. Readers are const and may be shared between threads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/files.h"

namespace speculators {

// The numbers are the file's. The _K kinds have blocks of 256 elements, the other quantised ones of 32.
enum class GgufType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30
};

struct GgufTypeInfo {
  GgufType type;
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
};
const GgufTypeInfo& info_of(GgufType type);

struct GgufTensor {
  GgufType type = GgufType::kF32;
  std::vector<int64_t> shape;        // row-major, outermost first: the reverse of the file's order
  std::span<const std::byte> bytes;  // lives as long as the file's map
};

// Integers of every width are int64_t, but a u64 that needs its top bit stays uint64_t; floats are double.
using GgufValue = std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<bool>, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>>;

// The key-value part. get_* throw DataError naming file and key when it is missing or of another type.
class GgufMetadata {
 public:
  using Map = std::map<std::string, GgufValue, std::less<>>;
  GgufMetadata() = default;
  GgufMetadata(Map values, std::string place) : values_(std::move(values)), place_(std::move(place)) {}

  bool has(std::string_view key) const { return values_.contains(key); }
  std::string get_string(std::string_view key) const;
  int64_t get_int(std::string_view key) const;
  double get_double(std::string_view key) const;
  std::vector<std::string> get_strings(std::string_view key) const;
  std::vector<int64_t> get_ints(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  std::optional<double> find_double(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  const Map& values() const { return values_; }
  const std::string& place() const { return place_; }

 private:
  template <class Value>
  const Value* find(std::string_view key, std::string_view expected) const;
  [[noreturn]] void fail_missing(std::string_view key, std::string_view expected) const;

  Map values_;
  std::string place_;
};

struct GgufContent {
  GgufMetadata metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;
};

// `bytes` is a whole file; the tensors are views into it. Throws DataError that starts with `place`.
GgufContent parse_gguf(std::span<const std::byte> bytes, const std::string& place);

// A file on the disk with its map. Movable.
class GgufFile {
 public:
  explicit GgufFile(const fs::path& path) : map_(path), content_(parse_gguf(map_.bytes(), path.string())) {}
  const GgufMetadata& metadata() const { return content_.metadata; }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return content_.tensors; }
  const fs::path& path() const { return map_.path(); }

 private:
  MappedFile map_;
  GgufContent content_;
};

}  // namespace speculators
