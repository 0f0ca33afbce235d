#include "base/leftovers.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace speculators {
namespace {

// The name of ".<name>.tmp-<pid>" or ".<name>.old.tmp-<pid>" of a process that is no more. Our own number was
// another's.
std::optional<std::string> name_of_leftover(const std::string& file) {
  constexpr std::string_view kMark = ".tmp-", kOld = ".old";
  const size_t mark = file.rfind(kMark);
  if (mark == std::string::npos || !file.starts_with('.')) return std::nullopt;
  int process = 0;
  const char* end = file.data() + file.size();
  const auto parsed = std::from_chars(file.data() + mark + kMark.size(), end, process);
  if (parsed.ec != std::errc() || parsed.ptr != end || process <= 0) return std::nullopt;
  const bool is_ended = process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH);
  if (!is_ended) return std::nullopt;
  std::string name = file.substr(1, mark - 1);
  if (name.ends_with(kOld)) name.resize(name.size() - kOld.size());
  return name;
}

// `name` empty: of any.
void remove_leftovers_named(const std::string& name, const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto of = name_of_leftover(entry.path().filename().string());
    if (of && (name.empty() || *of == name)) found.push_back(entry.path());
  }
  for (const auto& leftover : found) fs::remove_all(leftover, ignored);
}

}  // namespace

void remove_leftovers(const fs::path& path) {
  remove_leftovers_named(path.filename().string(), path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void remove_leftovers_in(const fs::path& folder) { remove_leftovers_named("", folder); }

}  // namespace speculators
