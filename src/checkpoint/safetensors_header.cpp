#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference reader
constexpr DType kDTypes[] = {DType::kBool, DType::kU8,   DType::kI8,  DType::kI16, DType::kI32,   DType::kI64,
                             DType::kF16,  DType::kBF16, DType::kF32, DType::kF64, DType::kF8E4M3};

// Sorted keys: the ordered kind searches linearly, which tens of thousands of tensors would feel.
using HeaderJson = nlohmann::json;

HeaderJson parse_header(std::string_view text, const fs::path& path) {
  std::set<std::string> names;
  const auto refuse_duplicates = [&](int depth, HeaderJson::parse_event_t event, HeaderJson& value) {
    if (depth != 1 || event != HeaderJson::parse_event_t::key) return true;
    const auto name = value.get<std::string>();
    if (!names.insert(name).second) throw DataError(fmt::format("{}: {}: the name appears twice", path.string(), name));
    return true;
  };
  try {
    HeaderJson header = HeaderJson::parse(text, refuse_duplicates);
    if (!header.is_object()) throw DataError(fmt::format("{}: expected a JSON object as header", path.string()));
    return header;
  } catch (const HeaderJson::parse_error& error) {
    throw DataError(fmt::format("{}: the header is not valid JSON at byte {}; is this a safetensors file?",
                                path.string(), error.byte));
  }
}

std::optional<DType> find_dtype(std::string_view name) {
  for (const DType dtype : kDTypes) {
    if (name_of(dtype) == name) return dtype;
  }
  return std::nullopt;
}

// One entry of the header, with messages that name file and tensor.
class EntryReader {
 public:
  EntryReader(const HeaderJson& entry, std::string place) : entry_(entry), place_(std::move(place)) {
    if (!entry.is_object()) fail("expected an object with dtype, shape and data_offsets");
  }

  TensorView read(std::span<const std::byte> data) const {
    TensorView tensor;
    tensor.dtype = read_dtype();
    tensor.shape = read_sizes("shape");
    const auto offsets = read_sizes("data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) fail("data_offsets: expected [begin, end] with begin <= end");
    if (static_cast<uint64_t>(offsets[1]) > data.size()) {
      fail(fmt::format("expected data up to byte {}, found {}; the file is cut short, copy it again", offsets[1],
                       data.size()));
    }
    tensor.bytes = data.subspan(static_cast<size_t>(offsets[0]), static_cast<size_t>(offsets[1] - offsets[0]));
    check_bytes(tensor);
    return tensor;
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const { throw DataError(fmt::format("{}: {}", place_, problem)); }

  const HeaderJson& get(const char* key) const {
    const auto found = entry_.find(key);
    if (found == entry_.end()) fail(fmt::format("{} is missing", key));
    return *found;
  }

  DType read_dtype() const {
    const HeaderJson& value = get("dtype");
    if (!value.is_string()) fail("dtype: expected a string");
    const auto& name = value.get_ref<const std::string&>();
    const auto dtype = find_dtype(name);
    if (!dtype) fail(fmt::format("dtype {} is not supported", name));
    return *dtype;
  }

  std::vector<int64_t> read_sizes(const char* key) const {
    const HeaderJson& value = get(key);
    if (!value.is_array()) fail(fmt::format("{}: expected a list", key));
    std::vector<int64_t> sizes;
    for (const HeaderJson& item : value) {
      const bool fits = item.is_number_unsigned() && item.get<uint64_t>() <= uint64_t{INT64_MAX};
      if (!fits) fail(fmt::format("{}: expected whole numbers >= 0", key));
      sizes.push_back(item.get<int64_t>());
    }
    return sizes;
  }

  void check_bytes(const TensorView& tensor) const {
    int64_t expected = size_of(tensor.dtype);
    bool overflows = false;
    for (const int64_t size : tensor.shape) overflows |= __builtin_mul_overflow(expected, size, &expected);
    if (overflows) fail(fmt::format("shape {} is too large", shape_string(tensor.shape)));
    if (static_cast<uint64_t>(expected) != tensor.bytes.size()) {
      fail(fmt::format("{} {} expects {} bytes, found {}", name_of(tensor.dtype), shape_string(tensor.shape), expected,
                       tensor.bytes.size()));
    }
  }

  const HeaderJson& entry_;
  std::string place_;
};

std::map<std::string, std::string, std::less<>> read_metadata(const HeaderJson& value, const fs::path& path) {
  std::map<std::string, std::string, std::less<>> metadata;
  if (value.is_null()) return metadata;
  if (!value.is_object())
    throw DataError(fmt::format("{}: __metadata__: expected an object of strings", path.string()));
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw DataError(fmt::format("{}: __metadata__: {}: expected a string", path.string(), key));
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

// A hole could hide data, an overlap is a wrong offset; the reference reader refuses both.
void check_contiguous(const SafetensorsHeader& header, std::span<const std::byte> data, const fs::path& path) {
  using Named = std::pair<const std::string*, std::span<const std::byte>>;
  std::vector<Named> in_order;
  for (const auto& [name, tensor] : header.tensors) in_order.emplace_back(&name, tensor.bytes);
  std::ranges::sort(in_order, {}, [](const Named& item) {
    return std::pair(item.second.data(), item.second.data() + item.second.size());
  });
  const std::byte* end = data.data();
  for (const auto& [name, bytes] : in_order) {
    if (bytes.data() != end) {
      throw DataError(
          fmt::format("{}: {}: expected its data at offset {}, found {}; the tensors must follow each other",
                      path.string(), *name, end - data.data(), bytes.data() - data.data()));
    }
    end = bytes.data() + bytes.size();
  }
  const auto used = static_cast<size_t>(end - data.data());
  if (used != data.size()) {
    throw DataError(fmt::format("{}: expected {} bytes of tensor data, found {}", path.string(), used, data.size()));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const fs::path& path) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) {
    throw DataError(
        fmt::format("{}: expected a safetensors file of at least 8 bytes, found {}", path.string(), file.size()));
  }
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const auto rest = file.subspan(sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    throw DataError(fmt::format("{}: header of {} bytes is above the limit of {}; is this a safetensors file?",
                                path.string(), header_bytes, kMaxHeaderBytes));
  }
  if (header_bytes > rest.size()) {
    throw DataError(fmt::format("{}: expected a header of {} bytes, found {}; the file is cut short, copy it again",
                                path.string(), header_bytes, rest.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), header_bytes);
  const auto data = rest.subspan(header_bytes);
  const HeaderJson json = parse_header(text, path);
  SafetensorsHeader header;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      header.metadata = read_metadata(entry, path);
    } else {
      header.tensors.emplace(name, EntryReader(entry, fmt::format("{}: {}", path.string(), name)).read(data));
    }
  }
  check_contiguous(header, data, path);
  return header;
}

}  // namespace speculators
