#include "train/tensorboard_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <utility>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0);
    table[i] = value;
  }
  return table;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

template <class Number>
void append_fixed(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian machines only, as everywhere here
}

// Protobuf wire types: 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32.
void append_key(std::string& out, uint32_t field, uint32_t wire_type) { append_varint(out, field << 3 | wire_type); }

void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}

// Event { wall_time = 1; step = 2; file_version = 3 | summary = 5 }.
std::string make_event(int64_t step, uint32_t field, std::string_view content) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string event;
  append_key(event, 1, 1);
  append_fixed(event, std::chrono::duration<double>(now).count());
  append_key(event, 2, 0);
  append_varint(event, static_cast<uint64_t>(step));
  append_bytes(event, field, content);
  return event;
}

// Summary.Value { tag = 1; simple_value = 2 }.
std::string make_scalar(const std::string& tag, double value) {
  std::string result;
  append_bytes(result, 1, tag);
  append_key(result, 2, 5);
  append_fixed(result, static_cast<float>(value));
  return result;
}

// Summary.Value { tag = 1; tensor = 8 { dtype = 1 (7: string); string_val = 8 }; metadata = 9 { plugin_data = 1 { name
// = 1 } } }.
std::string make_text(const std::string& tag, std::string_view markdown) {
  std::string tensor, plugin, metadata, result;
  append_key(tensor, 1, 0);
  append_varint(tensor, 7);
  append_bytes(tensor, 2, "");  // shape: a scalar
  append_bytes(tensor, 8, markdown);
  append_bytes(plugin, 1, "text");
  append_bytes(metadata, 1, plugin);
  append_bytes(result, 1, tag);
  append_bytes(result, 8, tensor);
  append_bytes(result, 9, metadata);
  return result;
}

std::string event_file_name() {
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return fmt::format("events.out.tfevents.{}.{}.{}", seconds, host, ::getpid());
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t value = ~uint32_t{0};
  for (const std::byte byte : bytes) value = (value >> 8) ^ kTable[(value ^ static_cast<uint32_t>(byte)) & 0xff];
  return ~value;
}

uint32_t masked_crc32c(std::span<const std::byte> bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

TensorboardFile::TensorboardFile(const fs::path& folder) {
  make_folders(folder);
  path_ = folder / event_file_name();
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_)
    throw DataError(fmt::format("{}: cannot create the event file; check permissions and free space", path_.string()));
  write_record(make_event(0, 3, "brain.Event:2"));
}

void TensorboardFile::add_scalars(int64_t step, const std::map<std::string, double>& values) {
  std::string summary;
  for (const auto& [tag, value] : values) append_bytes(summary, 1, make_scalar(tag, value));
  write_record(make_event(step, 5, summary));
}

void TensorboardFile::add_text(int64_t step, const std::string& tag, std::string_view markdown) {
  std::string summary;
  append_bytes(summary, 1, make_text(tag, markdown));
  write_record(make_event(step, 5, summary));
}

// uint64 length, its masked CRC, the bytes, their masked CRC.
void TensorboardFile::write_record(std::string_view event) {
  std::string record;
  append_fixed(record, static_cast<uint64_t>(event.size()));
  append_fixed(record, masked_crc32c(std::as_bytes(std::span(record))));
  record.append(event);
  append_fixed(record, masked_crc32c(std::as_bytes(std::span(event))));
  file_.write(record.data(), static_cast<std::streamsize>(record.size()));
  file_.flush();
  if (!file_) throw DataError(fmt::format("{}: cannot write; is the disk full?", path_.string()));
}

}  // namespace speculators
