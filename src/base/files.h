// Files that appear whole or not at all, and read-only memory maps.
// Every function throws DataError naming the path and the cause.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace speculators {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path);

// Writes to a temporary name beside `path`, flushes it to the disk, and renames: a crash leaves the old file or the
// new.
void write_file(const fs::path& path, std::string_view content);

// The streaming form of write_file: nothing is visible under the final name before commit().
// Without commit() the destructor removes the temporary file.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();

 private:
  fs::path path_;
  fs::path temporary_;
  int descriptor_ = -1;
};

// A folder that appears whole or not at all: `fill` writes into a temporary sibling, which then takes the name.
// An existing folder of that name is replaced only after `fill` returned.
void write_folder(const fs::path& path, const std::function<void(const fs::path& temporary)>& fill);

void make_folders(const fs::path& path);

// A read-only memory map of a whole file. Movable; the bytes live as long as the map.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace speculators
