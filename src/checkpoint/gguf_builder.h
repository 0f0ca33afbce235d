// Builds GGUF files in memory, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/gguf.h"

namespace speculators {

class GgufBuilder {
 public:
  GgufBuilder& add_u32(std::string_view key, uint32_t value) { return add(key, 4, raw(value)); }
  GgufBuilder& add_f32(std::string_view key, float value) { return add(key, 6, raw(value)); }
  GgufBuilder& add_bool(std::string_view key, bool value) { return add(key, 7, raw<uint8_t>(value)); }
  GgufBuilder& add_string(std::string_view key, std::string_view value) { return add(key, 8, text(value)); }
  GgufBuilder& add_strings(std::string_view key, const std::vector<std::string>& values) {
    std::string content = raw<uint32_t>(8) + raw<uint64_t>(values.size());
    for (const auto& value : values) content += text(value);
    return add(key, 9, content);
  }
  GgufBuilder& add_ints(std::string_view key, const std::vector<int32_t>& values) {
    std::string content = raw<uint32_t>(5) + raw<uint64_t>(values.size());
    for (const auto& value : values) content += raw(value);
    return add(key, 9, content);
  }
  // Any value type, by its number and bytes. A later value of the same key takes the earlier one's place.
  GgufBuilder& add(std::string_view key, uint32_t type, const std::string& content) {
    remove(key);
    values_.emplace_back(key, raw(type) + content);
    return *this;
  }
  GgufBuilder& remove(std::string_view key) {
    std::erase_if(values_, [&](const auto& item) { return item.first == key; });
    std::erase_if(tensors_, [&](const auto& item) { return item.name == key; });
    return *this;
  }
  // `shape` is row-major.
  GgufBuilder& add_tensor(std::string_view name, GgufType type, std::vector<int64_t> shape, std::string bytes) {
    remove(name);
    tensors_.push_back({std::string(name), type, std::move(shape), std::move(bytes)});
    return *this;
  }

  std::string build(uint32_t alignment = 32) const {
    std::string head = "GGUF" + raw<uint32_t>(3) + raw<uint64_t>(tensors_.size()) + raw<uint64_t>(values_.size());
    for (const auto& [key, content] : values_) head += text(key) + content;
    std::string data;
    for (const Item& tensor : tensors_) {
      head += text(tensor.name) + raw(static_cast<uint32_t>(tensor.shape.size()));
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) head += raw(*size);
      head += raw(static_cast<uint32_t>(tensor.type)) + raw<uint64_t>(data.size());
      data += tensor.bytes;
      pad(data, alignment);
    }
    if (!tensors_.empty()) pad(head, alignment);
    return head + data;
  }

  template <class Number>
  static std::string raw(Number number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
  }
  static std::string text(std::string_view value) { return raw<uint64_t>(value.size()) + std::string(value); }

 private:
  struct Item {
    std::string name;
    GgufType type;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  static void pad(std::string& bytes, size_t alignment) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
  }
  std::vector<std::pair<std::string, std::string>> values_;
  std::vector<Item> tensors_;
};

}  // namespace speculators
