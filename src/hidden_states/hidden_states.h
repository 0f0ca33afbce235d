// HiddenStates: what the verifier computed for one sample; the second struct of the spine and the content of one
// hs_<row>.safetensors (`hidden_states` bf16 [T, A+1, Dv], `token_ids` int64 [T]). The last slice is the last hidden
// state (before the final norm); the others are the aux hidden states in the order of their layer ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "base/files.h"

namespace speculators {

struct HiddenStates {
  std::vector<int32_t> token_ids;  // [T]
  std::vector<Bf16> values;        // [T, A+1, Dv]
  int64_t num_layers = 0;          // A+1
  int64_t hidden_size = 0;         // Dv
};

// hs_<row>.safetensors in `folder`.
fs::path hidden_states_path(const fs::path& folder, int64_t row);
// Throws ShapeError when the sizes contradict each other, DataError naming `place` for values that are not finite.
void check_hidden_states(const HiddenStates& states, const std::string& place);
// Checks, then writes; the file appears whole or not at all.
void write_hidden_states(const fs::path& path, const HiddenStates& states);
// Throws DataError for damage, other shapes than expected, non-finite values. Also reads F16, F32 and upstream's float8
// files (with `hidden_states_scales`), rounding to bf16.
HiddenStates read_hidden_states(const fs::path& path);

}  // namespace speculators
