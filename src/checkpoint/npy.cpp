#include "checkpoint/npy.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPreambleBytes = 10;  // magic, version, header length
constexpr size_t kAlignment = 64;

struct Kind {
  std::string_view descr;
  DType dtype;
};
constexpr Kind kKinds[] = {{"<i8", DType::kI64}, {"|b1", DType::kBool}};

// Reads the header, a Python dict literal: {'descr': '<i8', 'fortran_order': False, 'shape': (5, 2), }
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  [[noreturn]] void fail(std::string_view problem) const { throw DataError(fmt::format("{}: {}", place_, problem)); }

  DType read_dtype() {
    const std::string_view descr = quoted(after_key("descr"));
    for (const Kind& kind : kKinds) {
      if (kind.descr == descr) return kind.dtype;
    }
    fail(fmt::format("descr: expected <i8 or |b1, found {}", descr));
  }

  void check_row_major() {
    if (!after_key("fortran_order").starts_with("False")) fail("fortran_order: expected False; save a row-major array");
  }

  std::vector<int64_t> read_shape() {
    std::string_view rest = after_key("shape");
    const size_t end = rest.find(')');
    if (!rest.starts_with('(') || end == std::string_view::npos) fail("shape: expected a tuple");
    rest = rest.substr(1, end - 1);
    std::vector<int64_t> shape;
    while (!skip_spaces(rest).empty()) {
      rest = skip_spaces(rest);
      int64_t size = -1;
      const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || size < 0) fail("shape: expected whole numbers >= 0");
      shape.push_back(size);
      rest = skip_spaces(rest.substr(static_cast<size_t>(stop - rest.data())));
      if (rest.empty()) break;
      if (!rest.starts_with(',')) fail("shape: expected commas between numbers");
      rest.remove_prefix(1);
    }
    return shape;
  }

 private:
  static std::string_view skip_spaces(std::string_view text) {
    const size_t start = text.find_first_not_of(' ');
    return start == std::string_view::npos ? std::string_view{} : text.substr(start);
  }

  std::string_view after_key(std::string_view key) const {
    const size_t found = text_.find(fmt::format("'{}'", key));
    if (found == std::string_view::npos) fail(fmt::format("{}: expected the key, found nothing", key));
    const std::string_view rest = skip_spaces(text_.substr(found + key.size() + 2));
    if (!rest.starts_with(':')) fail(fmt::format("{}: expected a colon", key));
    return skip_spaces(rest.substr(1));
  }

  std::string_view quoted(std::string_view rest) const {
    const size_t end = rest.find('\'', 1);
    if (!rest.starts_with('\'') || end == std::string_view::npos) fail("descr: expected a quoted text");
    return rest.substr(1, end - 1);
  }

  std::string_view text_;
  const std::string& place_;
};

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes, const std::string& place) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kPreambleBytes || !text.starts_with(kMagic)) {
    throw DataError(fmt::format("{}: expected an .npy file, found something else", place));
  }
  if (text[6] != 1)
    throw DataError(fmt::format("{}: expected .npy version 1, found {}", place, static_cast<int>(text[6])));
  uint16_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + 8, sizeof header_bytes);
  if (header_bytes > bytes.size() - kPreambleBytes) {
    throw DataError(fmt::format("{}: the header is cut short; copy the file again", place));
  }
  HeaderReader header(text.substr(kPreambleBytes, header_bytes), place);
  Tensor tensor;
  tensor.dtype = header.read_dtype();
  header.check_row_major();
  tensor.shape = header.read_shape();
  const auto data = bytes.subspan(kPreambleBytes + header_bytes);
  int64_t expected = size_of(tensor.dtype);
  bool overflows = false;
  for (const int64_t size : tensor.shape) overflows |= __builtin_mul_overflow(expected, size, &expected);
  if (overflows || static_cast<uint64_t>(expected) != data.size()) {
    throw DataError(fmt::format("{}: shape {} does not fit {} bytes of data; is the file complete?", place,
                                shape_string(tensor.shape), data.size()));
  }
  tensor.bytes.assign(data.begin(), data.end());
  return tensor;
}

Tensor read_npy(const fs::path& path) { return parse_npy(MappedFile(path).bytes(), path.string()); }

void write_npy(const fs::path& path, const TensorView& tensor) {
  std::string_view descr;
  for (const Kind& kind : kKinds) {
    if (kind.dtype == tensor.dtype) descr = kind.descr;
  }
  if (descr.empty()) {
    throw DataError(fmt::format("{}: expected dtype I64 or BOOL, found {}", path.string(), name_of(tensor.dtype)));
  }
  std::string shape;
  for (const int64_t size : tensor.shape) shape += fmt::format("{}, ", size);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  const size_t total = (kPreambleBytes + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(total - kPreambleBytes - 1, ' ');
  header += '\n';
  const auto header_bytes = static_cast<uint16_t>(header.size());

  AtomicFile file(path);
  file.write(kMagic);
  file.write(std::string_view("\1\0", 2));
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  file.write(tensor.bytes);
  file.commit();
}

}  // namespace speculators
