#include "hidden_states/existing_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "hidden_states/hidden_states.h"

namespace speculators {

std::string find_problem(const fs::path& path, const Sample& sample, int64_t num_layers, int64_t hidden_size,
                         bool whole) {
  try {
    const TensorFile file = TensorFile::open(path);
    const auto length = static_cast<int64_t>(sample.token_ids.size());
    const std::vector<int64_t> expected = {length, num_layers, hidden_size};
    const TensorView& states = file.get("hidden_states");
    if (states.shape != expected) {
      return fmt::format(
          "{}: hidden_states: expected {}, found {}; were they made with the same verifier and "
          "--target-layer-ids?",
          path.string(), shape_string(expected), shape_string(states.shape));
    }
    const std::vector<int64_t> ids = to_ints(file.get("token_ids"), path.string());
    const auto differing = std::mismatch(ids.begin(), ids.end(), sample.token_ids.begin(), sample.token_ids.end());
    if (differing.first != ids.end() || differing.second != sample.token_ids.end()) {
      return fmt::format(
          "{}: token_ids: differ from the data set's from token {} on; was the data set prepared "
          "anew?",
          path.string(), differing.first - ids.begin());
    }
    if (whole) read_hidden_states(path);
    return "";
  } catch (const DataError& error) {
    return error.what();
  }
}

}  // namespace speculators
