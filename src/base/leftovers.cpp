#include "base/leftovers.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <vector>

namespace speculators {
namespace {

// ".<name>.tmp-<pid>" or ".<name>.old.tmp-<pid>" of a process that is no more. Our own number was another's before.
bool is_leftover(const std::string& file, const std::string& name) {
  constexpr std::string_view kMark = ".tmp-";
  const size_t mark = file.rfind(kMark);
  if (mark == std::string::npos) return false;
  const std::string begin = file.substr(0, mark);
  if (begin != "." + name && begin != "." + name + ".old") return false;
  int process = 0;
  const char* end = file.data() + file.size();
  const auto parsed = std::from_chars(file.data() + mark + kMark.size(), end, process);
  if (parsed.ec != std::errc() || parsed.ptr != end || process <= 0) return false;
  return process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH);
}

}  // namespace

void remove_leftovers(const fs::path& path) {
  const std::string name = path.filename().string();
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (is_leftover(entry.path().filename().string(), name)) found.push_back(entry.path());
  }
  for (const auto& leftover : found) fs::remove_all(leftover, ignored);
}

}  // namespace speculators
