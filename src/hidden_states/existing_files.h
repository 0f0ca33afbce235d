// Which samples of a data set already have a valid file of hidden states.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "data/sample.h"

namespace speculators {

// Empty when `path` holds the states of exactly this sample, [T, num_layers, hidden_size]; else what is wrong with it.
// `whole` reads every value; otherwise sizes and token ids decide.
std::string find_problem(const fs::path& path, const Sample& sample, int64_t num_layers, int64_t hidden_size,
                         bool whole);

}  // namespace speculators
