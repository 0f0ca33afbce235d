#include "cli/training_loader.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <vector>

#include "base/errors.h"
#include "base/files.h"

namespace speculators {

int run_training_command(const char* name, std::span<const std::string> arguments) {
  const fs::path module = fs::read_symlink("/proc/self/exe").parent_path() / "libspeculators_training.so";
  void* library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    throw DataError(
        fmt::format("{}: cannot load the training module: {}; build it with ./test.sh", module.string(), ::dlerror()));
  }
  using Run = int (*)(const char*, int, const char* const*);
  const auto run = reinterpret_cast<Run>(::dlsym(library, "speculators_run_training_command"));
  if (!run) throw DataError(fmt::format("{}: not a training module of this program; rebuild", module.string()));
  std::vector<const char*> texts;
  for (const std::string& argument : arguments) texts.push_back(argument.c_str());
  return run(name, static_cast<int>(texts.size()), texts.data());
}

}  // namespace speculators
