// Opens libspeculators_training.so beside the program and runs one of its commands.
#pragma once

#include <span>
#include <string>

namespace speculators {

// Throws DataError when the module is missing or cannot be loaded.
int run_training_command(const char* name, std::span<const std::string> arguments);

}  // namespace speculators
