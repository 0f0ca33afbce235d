// ZIP archives with stored (uncompressed) members, the container of torch's .pt files. Up to 4 GB. Every member's CRC32
// is checked on reading. Internal to checkpoint/. Source: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12
// (central directory), 4.3.16 (its end).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace speculators {

uint32_t crc32(std::span<const std::byte> bytes);

// Member name -> its bytes, views into `archive`. Throws DataError that starts with `place` for damage, compression,
// encryption, ZIP64 and a name that appears twice.
std::map<std::string, std::span<const std::byte>, std::less<>> read_zip(std::span<const std::byte> archive,
                                                                        const std::string& place);

// Members in the order given: (name, content). Appears whole or not at all.
void write_zip(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace speculators
