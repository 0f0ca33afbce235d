#include "checkpoint/gguf.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr GgufTypeInfo kTypes[] = {
    {GgufType::kF32, "F32", 1, 4},       {GgufType::kF16, "F16", 1, 2},       {GgufType::kBF16, "BF16", 1, 2},
    {GgufType::kQ4_0, "Q4_0", 32, 18},   {GgufType::kQ4_1, "Q4_1", 32, 20},   {GgufType::kQ5_0, "Q5_0", 32, 22},
    {GgufType::kQ5_1, "Q5_1", 32, 24},   {GgufType::kQ8_0, "Q8_0", 32, 34},   {GgufType::kQ4_K, "Q4_K", 256, 144},
    {GgufType::kQ5_K, "Q5_K", 256, 176}, {GgufType::kQ6_K, "Q6_K", 256, 210},
};

// Value types of the metadata, as numbered in the file.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDims = 4;

// Reads little-endian values front to back. Every read is checked against what is left.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  [[noreturn]] void fail(std::string_view what, std::string_view problem) const {
    throw DataError(fmt::format("{}: {}: {} (at byte {})", place_, what, problem, position_));
  }

  std::span<const std::byte> take(uint64_t size, std::string_view what) {
    if (size > left()) {
      fail(what,
           fmt::format("expected {} bytes, found {}; the file is cut short or damaged, copy it again", size, left()));
    }
    const auto taken = bytes_.subspan(position_, static_cast<size_t>(size));
    position_ += taken.size();
    return taken;
  }

  template <class Number>
  Number read(std::string_view what) {
    Number number;
    std::memcpy(&number, take(sizeof number, what).data(), sizeof number);
    return number;
  }

  std::string read_string(std::string_view what) {
    const auto text = take(read<uint64_t>(what), what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  // A name that messages can show.
  std::string read_name(std::string_view what) {
    std::string name = read_string(what);
    for (const char c : name) {
      if (static_cast<unsigned char>(c) < ' ')
        fail(what, "expected printable text; the file is damaged, copy it again");
    }
    return name;
  }

  uint64_t left() const { return bytes_.size() - position_; }
  size_t position() const { return position_; }
  const std::string& place() const { return place_; }

 private:
  std::span<const std::byte> bytes_;
  const std::string& place_;
  size_t position_ = 0;
};

bool read_bool(Cursor& cursor, std::string_view key) {
  const auto value = cursor.read<uint8_t>(key);
  if (value > 1) cursor.fail(key, fmt::format("expected 0 or 1 for a truth value, found {}", value));
  return value == 1;
}

GgufValue read_u64(Cursor& cursor, std::string_view key) {
  const auto value = cursor.read<uint64_t>(key);
  if (value > uint64_t{INT64_MAX}) return value;
  return static_cast<int64_t>(value);
}

GgufValue read_scalar(Cursor& cursor, ValueType type, std::string_view key) {
  switch (type) {
    case ValueType::kU8:
      return int64_t{cursor.read<uint8_t>(key)};
    case ValueType::kI8:
      return int64_t{cursor.read<int8_t>(key)};
    case ValueType::kU16:
      return int64_t{cursor.read<uint16_t>(key)};
    case ValueType::kI16:
      return int64_t{cursor.read<int16_t>(key)};
    case ValueType::kU32:
      return int64_t{cursor.read<uint32_t>(key)};
    case ValueType::kI32:
      return int64_t{cursor.read<int32_t>(key)};
    case ValueType::kI64:
      return cursor.read<int64_t>(key);
    case ValueType::kU64:
      return read_u64(cursor, key);
    case ValueType::kF32:
      return double{cursor.read<float>(key)};
    case ValueType::kF64:
      return cursor.read<double>(key);
    case ValueType::kBool:
      return read_bool(cursor, key);
    case ValueType::kString:
      return cursor.read_string(key);
    case ValueType::kArray:
      break;
  }
  cursor.fail(key, fmt::format("value type {} is not known", static_cast<uint32_t>(type)));
}

template <class Element>
GgufValue read_elements(Cursor& cursor, ValueType type, uint64_t count, std::string_view key) {
  std::vector<Element> elements;
  for (uint64_t i = 0; i < count; ++i) {
    GgufValue value = read_scalar(cursor, type, key);
    Element* element = std::get_if<Element>(&value);
    if (!element) cursor.fail(key, "an element of the list is above 2^63 - 1");
    elements.push_back(std::move(*element));
  }
  return elements;
}

GgufValue read_array(Cursor& cursor, std::string_view key) {
  const auto type = static_cast<ValueType>(cursor.read<uint32_t>(key));
  const auto count = cursor.read<uint64_t>(key);
  if (count > cursor.left()) {  // each element takes at least one byte
    cursor.fail(key, fmt::format("expected a list of {} elements, found {} bytes", count, cursor.left()));
  }
  switch (type) {
    case ValueType::kArray:
      cursor.fail(key, "lists of lists are not supported");
    case ValueType::kF32:
    case ValueType::kF64:
      return read_elements<double>(cursor, type, count, key);
    case ValueType::kBool:
      return read_elements<bool>(cursor, type, count, key);
    case ValueType::kString:
      return read_elements<std::string>(cursor, type, count, key);
    default:
      return read_elements<int64_t>(cursor, type, count, key);
  }
}

GgufMetadata::Map read_metadata(Cursor& cursor, uint64_t count) {
  GgufMetadata::Map values;
  for (uint64_t i = 0; i < count; ++i) {
    std::string key = cursor.read_name(fmt::format("metadata key {} of {}", i + 1, count));
    const auto type = static_cast<ValueType>(cursor.read<uint32_t>(key));
    GgufValue value = type == ValueType::kArray ? read_array(cursor, key) : read_scalar(cursor, type, key);
    if (values.contains(key)) cursor.fail(key, "the key appears twice");
    values.emplace(std::move(key), std::move(value));
  }
  return values;
}

// A tensor's entry in the table, before its bytes are known to exist.
struct Entry {
  std::string name;
  GgufType type;
  std::vector<int64_t> shape;
  uint64_t num_bytes;
  uint64_t offset;
};

GgufType read_type(Cursor& cursor, const std::string& name) {
  const auto number = cursor.read<uint32_t>(name);
  for (const GgufTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == number) return info.type;
  }
  std::string known;
  for (const GgufTypeInfo& info : kTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
  cursor.fail(name, fmt::format("tensor type {} is not supported; convert the model to one of {}", number, known));
}

std::vector<int64_t> read_shape(Cursor& cursor, const std::string& name) {
  const auto num_dims = cursor.read<uint32_t>(name);
  if (num_dims > kMaxDims)
    cursor.fail(name, fmt::format("expected at most {} dimensions, found {}", kMaxDims, num_dims));
  std::vector<int64_t> shape(num_dims);
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
    *size = cursor.read<int64_t>(name);
    if (*size < 1) cursor.fail(name, fmt::format("expected dimensions >= 1, found {}", *size));
  }
  return shape;
}

Entry read_entry(Cursor& cursor, uint64_t index) {
  Entry entry;
  entry.name = cursor.read_name(fmt::format("name of tensor {}", index));
  entry.shape = read_shape(cursor, entry.name);
  entry.type = read_type(cursor, entry.name);
  entry.offset = cursor.read<uint64_t>(entry.name);
  const GgufTypeInfo& info = info_of(entry.type);
  int64_t num_elements = 1;
  bool overflows = false;
  for (const int64_t size : entry.shape) overflows |= __builtin_mul_overflow(num_elements, size, &num_elements);
  int64_t num_bytes = 0;
  overflows |= __builtin_mul_overflow(num_elements / info.block_elements, info.block_bytes, &num_bytes);
  if (overflows) cursor.fail(entry.name, "the shape is too large");
  const int64_t row = entry.shape.empty() ? 1 : entry.shape.back();
  if (row % info.block_elements != 0) {
    cursor.fail(entry.name,
                fmt::format("rows of {} do not divide into {} blocks of {}", row, info.name, info.block_elements));
  }
  entry.num_bytes = static_cast<uint64_t>(num_bytes);
  return entry;
}

uint64_t round_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

uint64_t get_alignment(const GgufMetadata& metadata) {
  const int64_t alignment = metadata.find_int("general.alignment").value_or(kDefaultAlignment);
  if (alignment < 1 || alignment > 65536 || !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    throw DataError(fmt::format("{}: general.alignment: expected a power of two up to 65536, found {}",
                                metadata.place(), alignment));
  }
  return static_cast<uint64_t>(alignment);
}

// Tensors follow each other in the order of the table, each padded to the alignment: llama.cpp refuses anything else.
void place_tensors(Cursor& cursor, const std::vector<Entry>& entries, GgufContent& content) {
  const uint64_t alignment = get_alignment(content.metadata);
  if (!entries.empty())
    cursor.take(round_up(cursor.position(), alignment) - cursor.position(), "padding before the data");
  uint64_t expected = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (entry.offset != expected) {
      cursor.fail(entry.name, fmt::format("expected its data at offset {}, found {}", expected, entry.offset));
    }
    const auto bytes = cursor.take(entry.num_bytes, entry.name);
    const uint64_t padding = round_up(entry.num_bytes, alignment) - entry.num_bytes;
    const bool is_last = i + 1 == entries.size();
    cursor.take(is_last ? std::min(padding, cursor.left()) : padding, entry.name);
    expected += entry.num_bytes + padding;
    if (!content.tensors.emplace(entry.name, GgufTensor{entry.type, entry.shape, bytes}).second) {
      cursor.fail(entry.name, "the name appears twice");
    }
  }
  if (cursor.left() != 0) cursor.fail("end of the file", fmt::format("{} bytes belong to no tensor", cursor.left()));
}

void check_version(Cursor& cursor) {
  if (cursor.read<uint32_t>("magic") != kMagic) cursor.fail("magic", "expected GGUF; is this a GGUF file?");
  const auto version = cursor.read<uint32_t>("version");
  if (version == 2 || version == 3) return;
  const bool swapped = (version & 0xffffu) == 0 && version != 0;
  cursor.fail("version", swapped ? "the file is big-endian, which is not supported"
                                 : fmt::format("expected 2 or 3, found {}; convert the model anew", version));
}

}  // namespace

const GgufTypeInfo& info_of(GgufType type) {
  for (const GgufTypeInfo& info : kTypes) {
    if (info.type == type) return info;
  }
  throw DataError(fmt::format("GGUF tensor type {} is not supported", static_cast<uint32_t>(type)));
}

GgufContent parse_gguf(std::span<const std::byte> bytes, const std::string& place) {
  Cursor cursor(bytes, place);
  check_version(cursor);
  const auto num_tensors = cursor.read<uint64_t>("number of tensors");
  const auto num_values = cursor.read<uint64_t>("number of metadata values");
  GgufContent content;
  content.metadata = GgufMetadata(read_metadata(cursor, num_values), place);
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < num_tensors; ++i) entries.push_back(read_entry(cursor, i));
  place_tensors(cursor, entries, content);
  return content;
}

}  // namespace speculators
