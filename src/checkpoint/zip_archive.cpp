#include "checkpoint/zip_archive.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr uint16_t kStored = 0;
constexpr uint16_t kEncrypted = 1;        // a flag
constexpr uint16_t kFirstOfJanuary = 33;  // 1980-01-01: the same content gives the same bytes

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    table[byte] = crc;
  }
  return table;
}

constexpr auto kCrcTable = make_crc_table();

// Little-endian fields at fixed offsets of a record whose size was checked.
class Record {
 public:
  Record(std::span<const std::byte> archive, size_t offset, size_t size, const std::string& place) {
    if (offset > archive.size() || size > archive.size() - offset) {
      throw DataError(
          fmt::format("{}: the ZIP archive is cut short or damaged at byte {}; copy it again", place, offset));
    }
    bytes_ = archive.subspan(offset, size);
  }
  uint16_t u16(size_t at) const { return get<uint16_t>(at); }
  uint32_t u32(size_t at) const { return get<uint32_t>(at); }
  std::string text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  template <class Number>
  Number get(size_t at) const {
    Number number;
    std::memcpy(&number, bytes_.subspan(at, sizeof number).data(), sizeof number);
    return number;
  }
  std::span<const std::byte> bytes_;
};

// The end record is the last thing in the file, but for a comment of up to 64 KB.
size_t find_end(std::span<const std::byte> archive, const std::string& place) {
  for (size_t back = kEndBytes; back <= archive.size() && back <= kEndBytes + 0xffff; ++back) {
    const size_t at = archive.size() - back;
    const Record end(archive, at, kEndBytes, place);
    if (end.u32(0) == kEndSignature && end.u16(20) == back - kEndBytes) return at;
  }
  throw DataError(fmt::format("{}: expected a ZIP archive, found no end record; is the file complete?", place));
}

std::span<const std::byte> read_member(std::span<const std::byte> archive, const Record& central,
                                       const std::string& place) {
  if (central.u16(8) & kEncrypted) throw DataError(fmt::format("{}: the member is encrypted", place));
  if (central.u16(10) != kStored) {
    throw DataError(fmt::format("{}: expected a stored member, found compression {}", place, central.u16(10)));
  }
  const uint32_t size = central.u32(24), offset = central.u32(42);
  if (size == UINT32_MAX || offset == UINT32_MAX) throw DataError(fmt::format("{}: above 4 GB, not supported", place));
  const Record local(archive, offset, kLocalBytes, place);
  if (local.u32(0) != kLocalSignature || central.u32(20) != size) {
    throw DataError(fmt::format("{}: the archive's directory is damaged", place));
  }
  // Name and extra field of the local header may differ in length from those of the directory.
  const Record content(archive, size_t{offset} + kLocalBytes + local.u16(26) + local.u16(28), size, place);
  if (crc32(content.bytes()) != central.u32(16)) {
    throw DataError(fmt::format("{}: the checksum does not match; the file is damaged, copy it again", place));
  }
  return content.bytes();
}

template <class Number>
void put(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// The 26 bytes that local header and directory share: version to name and extra lengths.
void put_common(std::string& out, const std::pair<std::string, std::string>& member) {
  const auto size = static_cast<uint32_t>(member.second.size());
  put<uint16_t>(out, 20);  // version needed
  put<uint16_t>(out, 0);   // flags
  put<uint16_t>(out, kStored);
  put<uint16_t>(out, 0);  // time
  put<uint16_t>(out, kFirstOfJanuary);
  put<uint32_t>(out, crc32(std::as_bytes(std::span(member.second))));
  put<uint32_t>(out, size);
  put<uint32_t>(out, size);
  put<uint16_t>(out, static_cast<uint16_t>(member.first.size()));
  put<uint16_t>(out, 0);  // extra field
}

void put_central(std::string& out, const std::pair<std::string, std::string>& member, uint32_t offset) {
  put<uint32_t>(out, kCentralSignature);
  put<uint16_t>(out, 20);  // made by
  put_common(out, member);
  put<uint16_t>(out, 0);  // comment
  put<uint16_t>(out, 0);  // disk
  put<uint16_t>(out, 0);  // attributes
  put<uint32_t>(out, 0);
  put<uint32_t>(out, offset);
  out += member.first;
}

}  // namespace

uint32_t crc32(std::span<const std::byte> bytes) {
  uint32_t crc = UINT32_MAX;
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint32_t>(byte)) & 0xff];
  return ~crc;
}

std::map<std::string, std::span<const std::byte>, std::less<>> read_zip(std::span<const std::byte> archive,
                                                                        const std::string& place) {
  const size_t end_at = find_end(archive, place);
  const Record end(archive, end_at, kEndBytes, place);
  const uint16_t count = end.u16(10);
  if (count == UINT16_MAX) throw DataError(fmt::format("{}: ZIP64 archives are not supported", place));
  std::map<std::string, std::span<const std::byte>, std::less<>> members;
  size_t at = end.u32(16);
  for (uint16_t i = 0; i < count; ++i) {
    const Record central(archive, at, kCentralBytes, place);
    if (central.u32(0) != kCentralSignature)
      throw DataError(fmt::format("{}: the archive's directory is damaged", place));
    const std::string name = Record(archive, at + kCentralBytes, central.u16(28), place).text();
    const auto content = read_member(archive, central, fmt::format("{}: {}", place, name));
    if (!members.emplace(name, content).second)
      throw DataError(fmt::format("{}: {}: the name appears twice", place, name));
    at += kCentralBytes + central.u16(28) + central.u16(30) + central.u16(32);
  }
  return members;
}

void write_zip(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& members) {
  uint64_t total = 0;
  for (const auto& [name, content] : members) total += name.size() * 2 + content.size() + kLocalBytes + kCentralBytes;
  if (total + kEndBytes > UINT32_MAX || members.size() >= UINT16_MAX) {
    throw DataError(fmt::format("{}: a ZIP archive above 4 GB is not supported", path.string()));
  }
  std::string out, directory;
  for (const auto& member : members) {
    put_central(directory, member, static_cast<uint32_t>(out.size()));
    put<uint32_t>(out, kLocalSignature);
    put_common(out, member);
    out += member.first + member.second;
  }
  const auto directory_at = static_cast<uint32_t>(out.size());
  out += directory;
  put<uint32_t>(out, kEndSignature);
  put<uint32_t>(out, 0);  // disks
  put<uint16_t>(out, static_cast<uint16_t>(members.size()));
  put<uint16_t>(out, static_cast<uint16_t>(members.size()));
  put<uint32_t>(out, static_cast<uint32_t>(directory.size()));
  put<uint32_t>(out, directory_at);
  put<uint16_t>(out, 0);  // comment
  write_file(path, out);
}

}  // namespace speculators
