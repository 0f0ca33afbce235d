#include "regenerate/regenerated_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/errors.h"
#include "base/leftovers.h"

namespace speculators {
namespace {

// Lines of the partial file besides rows: the settings first, why a conversation failed, one mark behind each
// conversation, and one behind the last: from there on only the final files are missing.
constexpr std::string_view kSettings = "#settings ";
constexpr std::string_view kError = "#error ";
constexpr std::string_view kMark = "#done ";
constexpr std::string_view kComplete = "#complete\n";

void write_all(int descriptor, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw DataError(fmt::format("{}: cannot write: {}; what is finished is kept, run again to continue",
                                  path.string(), std::strerror(errno)));
    text.remove_prefix(static_cast<size_t>(count));
  }
}

fs::path partial_of(const fs::path& outfile) { return outfile.string() + ".partial"; }
fs::path errors_of(const fs::path& outfile) { return outfile.string() + ".errors.jsonl"; }

struct Partial {
  size_t size = 0;  // bytes up to the end of the last whole conversation
  int64_t num_done = 0;
  std::string rows;  // as they go into the output
  std::vector<std::string> errors;
};

Partial scan_partial(std::string_view content) {
  Partial found;
  std::string rows;  // of the conversation in hand
  std::vector<std::string> errors;
  size_t at = content.find('\n') + 1;
  found.size = at;
  for (size_t newline = 0; (newline = content.find('\n', at)) != std::string_view::npos; at = newline + 1) {
    const std::string_view line = content.substr(at, newline + 1 - at);
    if (line.starts_with(kError)) errors.emplace_back(line.substr(kError.size(), line.size() - kError.size() - 1));
    if (!line.starts_with('#')) rows += line;
    if (!line.starts_with(kMark)) continue;
    found.size = newline + 1;
    ++found.num_done;
    found.rows += std::exchange(rows, "");
    std::move(errors.begin(), errors.end(), std::back_inserter(found.errors));
    errors.clear();
  }
  return found;
}

// The partial file goes last: until then the same files can be written again.
void write_final_files(const fs::path& outfile) {
  const Partial found = scan_partial(read_file(partial_of(outfile)));
  if (found.errors.empty()) {
    fs::remove(errors_of(outfile));
  } else {
    write_file(errors_of(outfile), fmt::format("{}\n", fmt::join(found.errors, "\n")));
  }
  write_file(outfile, found.rows);
  fs::remove(partial_of(outfile));
}

}  // namespace

RegeneratedRows::RegeneratedRows(fs::path outfile, const std::string& settings, bool overwrite)
    : outfile_(std::move(outfile)), partial_(partial_of(outfile_)) {
  if (overwrite) fs::remove(partial_);
  if (outfile_.has_parent_path()) make_folders(outfile_.parent_path());
  const std::string first_line = fmt::format("{}{}\n", kSettings, settings);
  size_t keep = 0;
  if (fs::exists(partial_)) {
    const std::string content = read_file(partial_);
    if (content.find('\n') != std::string::npos) {
      if (!content.starts_with(first_line)) {
        throw UsageError(
            fmt::format("{}: an unfinished run with other settings; pass --overwrite to start anew, or the same "
                        "settings to continue",
                        partial_.string()));
      }
      Partial found = scan_partial(content);
      keep = found.size;
      next_ = found.num_done;
      errors_ = std::move(found.errors);
    }
  }
  descriptor_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0 || ::ftruncate(descriptor_, static_cast<off_t>(keep)) != 0 ||
      ::lseek(descriptor_, 0, SEEK_END) < 0) {
    throw DataError(fmt::format("{}: cannot open for writing: {}", partial_.string(), std::strerror(errno)));
  }
  if (keep > 0) return;
  try {
    write_all(descriptor_, first_line, partial_);
  } catch (...) {
    ::close(descriptor_);
    discard();
    throw;
  }
}

RegeneratedRows::~RegeneratedRows() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (next_ == 0) discard();
}

void RegeneratedRows::discard() {
  std::error_code ignored;
  fs::remove(partial_, ignored);
}

void RegeneratedRows::add(int64_t index, std::vector<std::string> rows) { add_lines(index, std::move(rows)); }

void RegeneratedRows::add_failed(int64_t index, std::string error) {
  add_lines(index, {fmt::format("{}{}", kError, error)});
}

void RegeneratedRows::add_lines(int64_t index, std::vector<std::string> lines) {
  waiting_[index] = std::move(lines);
  while (!waiting_.empty() && waiting_.begin()->first == next_) {
    append(next_, waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    ++next_;
  }
}

void RegeneratedRows::append(int64_t index, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
    if (line.starts_with(kError)) errors_.push_back(line.substr(kError.size()));
  }
  text += fmt::format("{}{}\n", kMark, index);
  write_all(descriptor_, text, partial_);
}

void RegeneratedRows::finish() {
  write_all(descriptor_, kComplete, partial_);
  write_final_files(outfile_);
}

bool finish_killed_run(const fs::path& outfile) {
  remove_leftovers(outfile);
  remove_leftovers(errors_of(outfile));
  const fs::path partial = partial_of(outfile);
  if (fs::exists(partial) && read_file(partial).ends_with(fmt::format("\n{}", kComplete))) write_final_files(outfile);
  return fs::exists(outfile);
}

}  // namespace speculators
