// The entry of libspeculators_training.so: the commands that need libtorch.
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"

extern "C" int speculators_run_training_command(const char* name, int count, const char* const* texts) {
  using namespace speculators;
  const std::vector<std::string> arguments(texts, texts + count);
  if (std::string_view(name) == "train") return run_guarded(run_train_command, arguments);
  return 70;
}
