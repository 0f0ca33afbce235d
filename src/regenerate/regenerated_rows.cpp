#include "regenerate/regenerated_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

// Lines of the partial file besides rows: the settings first, then one mark behind each conversation.
constexpr std::string_view kSettings = "#settings ";
constexpr std::string_view kMark = "#done ";

void write_all(int descriptor, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw DataError(fmt::format("{}: cannot write: {}; what is finished is kept, run again to continue", path.string(), std::strerror(errno)));
    text.remove_prefix(static_cast<size_t>(count));
  }
}

// Bytes up to the end of the last whole conversation, and how many there are.
std::pair<size_t, int64_t> scan_partial(std::string_view content) {
  size_t end = content.find('\n') + 1, at = end;
  int64_t done = 0;
  while (at < content.size()) {
    const size_t newline = content.find('\n', at);
    if (newline == std::string_view::npos) break;
    if (content.substr(at, kMark.size()) == kMark) {
      end = newline + 1;
      ++done;
    }
    at = newline + 1;
  }
  return {end, done};
}

}  // namespace

RegeneratedRows::RegeneratedRows(fs::path outfile, const std::string& settings, bool overwrite)
    : outfile_(std::move(outfile)), partial_(outfile_.string() + ".partial") {
  if (overwrite) fs::remove(partial_);
  if (outfile_.has_parent_path()) make_folders(outfile_.parent_path());
  const std::string first_line = fmt::format("{}{}\n", kSettings, settings);
  size_t keep = 0;
  if (fs::exists(partial_)) {
    const std::string content = read_file(partial_);
    if (content.find('\n') != std::string::npos) {
      if (!content.starts_with(first_line)) {
        throw UsageError(fmt::format("{}: an unfinished run with other settings; pass --overwrite to start anew, or the same settings to continue", partial_.string()));
      }
      std::tie(keep, next_) = scan_partial(content);
    }
  }
  descriptor_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0 || ::ftruncate(descriptor_, static_cast<off_t>(keep)) != 0 || ::lseek(descriptor_, 0, SEEK_END) < 0) {
    throw DataError(fmt::format("{}: cannot open for writing: {}", partial_.string(), std::strerror(errno)));
  }
  if (keep == 0) write_all(descriptor_, first_line, partial_);
}

RegeneratedRows::~RegeneratedRows() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void RegeneratedRows::add(int64_t index, std::vector<std::string> rows) {
  waiting_[index] = std::move(rows);
  while (!waiting_.empty() && waiting_.begin()->first == next_) {
    append(next_, waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    ++next_;
  }
}

void RegeneratedRows::append(int64_t index, const std::vector<std::string>& rows) {
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  text += fmt::format("{}{}\n", kMark, index);
  write_all(descriptor_, text, partial_);
}

void RegeneratedRows::finish() {
  const std::string content = read_file(partial_);
  AtomicFile file(outfile_);
  size_t at = 0;
  while (at < content.size()) {
    const size_t newline = content.find('\n', at);
    if (content[at] != '#') file.write(std::string_view(content).substr(at, newline + 1 - at));
    at = newline + 1;
  }
  file.commit();
  fs::remove(partial_);
}

}  // namespace speculators
