#include "hidden_states/hidden_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "base/errors.h"
#include "checkpoint/safetensors.h"

namespace speculators {
namespace {

constexpr const char* kStates = "hidden_states";
constexpr const char* kTokens = "token_ids";
constexpr const char* kScales = "hidden_states_scales";

bool is_finite(Bf16 value) { return (value.bits & 0x7f80u) != 0x7f80u; }

// The finite 8-bit format: 4 exponent bits, bias 7, no infinities; all ones is NaN.
float f8e4m3_to_float(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  const float sign = bits & 0x80 ? -1.0f : 1.0f;
  if ((bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

// One scale a token; rounded to bf16 first, as upstream does. [T, A+1, Dv]
std::vector<Bf16> scale_back(const TensorView& states, const std::vector<float>& scales) {
  std::vector<Bf16> values;
  values.reserve(states.bytes.size());
  const size_t per_token = states.bytes.size() / std::max<size_t>(scales.size(), 1);
  for (size_t i = 0; i < states.bytes.size(); ++i) {
    const float scale = to_float(to_bf16(scales[i / per_token]));
    values.push_back(to_bf16(f8e4m3_to_float(std::to_integer<uint8_t>(states.bytes[i])) * scale));
  }
  return values;
}

void check_shapes(const TensorView& states, const TensorView& tokens, const std::string& place) {
  if (states.shape.size() != 3) {
    throw DataError(fmt::format("{}: {}: expected [tokens, layers, hidden size], found {}", place, kStates,
                                shape_string(states.shape)));
  }
  if (tokens.shape != std::vector<int64_t>{states.shape[0]}) {
    throw DataError(fmt::format("{}: {}: expected [{}] as {} has rows, found {}", place, kTokens, states.shape[0],
                                kStates, shape_string(tokens.shape)));
  }
}

std::vector<Bf16> read_values(const TensorFile& file, const TensorView& states, const std::string& place) {
  const std::string states_place = fmt::format("{}: {}", place, kStates);
  if (states.dtype != DType::kF8E4M3) return to_bf16s(states, states_place);
  const TensorView& scales = file.get(kScales);
  if (scales.num_elements() != states.shape[0]) {
    throw DataError(fmt::format("{}: {}: expected one scale for each of {} tokens, found {}", place, kScales,
                                states.shape[0], shape_string(scales.shape)));
  }
  return scale_back(states, to_floats(scales, fmt::format("{}: {}", place, kScales)));
}

std::vector<int64_t> shape_of(const HiddenStates& states) {
  return {static_cast<int64_t>(states.token_ids.size()), states.num_layers, states.hidden_size};
}

}  // namespace

fs::path hidden_states_path(const fs::path& folder, int64_t row) {
  return folder / fmt::format("hs_{}.safetensors", row);
}

void check_hidden_states(const HiddenStates& states, const std::string& place) {
  const std::vector<int64_t> shape = shape_of(states);
  const int64_t expected = shape[0] * shape[1] * shape[2];
  if (static_cast<int64_t>(states.values.size()) != expected) {
    throw ShapeError(fmt::format("{}: {}: expected {} values for {}, got {}", place, kStates, expected,
                                 shape_string(shape), states.values.size()));
  }
  const auto bad = std::find_if_not(states.values.begin(), states.values.end(), is_finite);
  if (bad == states.values.end()) return;
  const int64_t index = bad - states.values.begin();
  throw DataError(fmt::format("{}: {}: token {}, layer {}: not a finite number; make this file again", place, kStates,
                              index / (shape[1] * shape[2]), index / shape[2] % shape[1]));
}

void write_hidden_states(const fs::path& path, const HiddenStates& states) {
  check_hidden_states(states, path.string());
  const std::vector<int64_t> shape = shape_of(states);
  const std::vector<int64_t> tokens(states.token_ids.begin(), states.token_ids.end());
  write_safetensors(path, {{kStates, {DType::kBF16, shape, std::as_bytes(std::span(states.values))}},
                           {kTokens, {DType::kI64, {shape[0]}, std::as_bytes(std::span(tokens))}}});
}

HiddenStates read_hidden_states(const fs::path& path) {
  const TensorFile file = TensorFile::open(path);
  const std::string place = path.string();
  const TensorView& stored = file.get(kStates);
  const TensorView& tokens = file.get(kTokens);
  check_shapes(stored, tokens, place);
  HiddenStates states;
  states.num_layers = stored.shape[1];
  states.hidden_size = stored.shape[2];
  states.values = read_values(file, stored, place);
  for (const int64_t id : to_ints(tokens, fmt::format("{}: {}", place, kTokens))) {
    if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
      throw DataError(fmt::format("{}: {}: expected token ids, found {}", place, kTokens, id));
    }
    states.token_ids.push_back(static_cast<int32_t>(id));
  }
  check_hidden_states(states, place);
  return states;
}

}  // namespace speculators
