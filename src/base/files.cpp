#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"

namespace speculators {
namespace {

[[noreturn]] void fail(const fs::path& path, std::string_view action) {
  const int cause = errno;
  const char* cure = cause == ENOSPC    ? "; free some space and run again, nothing was changed"
                     : cause == EDQUOT  ? "; free some of your quota and run again"
                     : cause == EFBIG   ? "; raise the limit on file sizes (ulimit -f) and run again"
                     : cause == ENOTDIR ? "; a part of the path is a file"
                     : cause == EACCES  ? "; check the permissions"
                     : cause == EROFS   ? "; choose a writable folder"
                                        : "";
  throw DataError(fmt::format("{}: cannot {}: {}{}", path.string(), action, std::strerror(cause), cure));
}

fs::path temporary_name(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.tmp-{}", path.filename().string(), ::getpid());
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// The folder under `path` changes places with the new one in one step; file systems that cannot do so leave a moment
// without either.
void move_into_place(const fs::path& temporary, const fs::path& path) {
  if (!fs::exists(path)) {
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename into place");
    return;
  }
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(temporary);
    return;
  }
  const fs::path old = path.parent_path() / fmt::format(".{}.old.tmp-{}", path.filename().string(), ::getpid());
  if (::rename(path.c_str(), old.c_str()) != 0) fail(path, "move aside");
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename into place");
  fs::remove_all(old);
}

}  // namespace

std::string read_file(const fs::path& path) {
  if (fs::is_directory(path)) throw DataError(fmt::format("{}: expected a file, found a folder", path.string()));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, "open");
  std::string content;
  char buffer[1 << 16];
  ssize_t count = 0;
  while ((count = ::read(descriptor, buffer, sizeof buffer)) > 0) content.append(buffer, static_cast<size_t>(count));
  ::close(descriptor);
  if (count < 0) fail(path, "read");
  return content;
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(path_, "create");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(path_, "flush");
  if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_, "close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int cause = errno;
    ::unlink(temporary_.c_str());
    errno = cause;
    fail(path_, "rename into place");
  }
  sync_folder(path_.parent_path());
}

void write_folder(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const fs::path temporary = temporary_name(path);
  fs::remove_all(temporary);
  make_folders(temporary);
  try {
    fill(temporary);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  move_into_place(temporary, path);
  sync_folder(path.parent_path());
}

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw DataError(fmt::format("{}: cannot create the folder: {}", path.string(), error.message()));
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, "open");
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw DataError(fmt::format("{}: expected a regular file", path.string()));
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int cause = errno;
    ::close(descriptor);
    errno = cause;
    if (address == MAP_FAILED) fail(path, "map");
    bytes_ = {static_cast<const std::byte*>(address), size};
  } else {
    ::close(descriptor);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace speculators
