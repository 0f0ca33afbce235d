#include "draft/load_weights.h"

#include <fmt/format.h>

#include <cmath>

#include "base/errors.h"

namespace speculators {
namespace {

[[noreturn]] void fail_not_finite(const std::string& place, size_t index) {
  throw DataError(fmt::format("{}: element {}: expected a finite number; was this tensor ever filled?", place, index));
}

std::vector<Bf16> finite_bf16s(const TensorView& tensor, const std::string& place) {
  std::vector<Bf16> values = to_bf16s(tensor, place);
  for (size_t i = 0; i < values.size(); ++i) {
    if ((values[i].bits & 0x7f80u) == 0x7f80u) fail_not_finite(place, i);
  }
  return values;
}

std::vector<float> finite_floats(const TensorView& tensor, const std::string& place) {
  std::vector<float> values = to_floats(tensor, place);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) fail_not_finite(place, i);
  }
  return values;
}

std::string place_of(const TensorFile& file, const std::string& name) {
  return fmt::format("{}: {}", file.path().string(), name);
}

}  // namespace

PackedLinear load_linear(const TensorFile& file, const std::vector<std::string>& names) {
  std::vector<Bf16> stacked;
  std::vector<float> biases;
  int64_t num_outputs = 0, num_inputs = 0;
  for (const std::string& name : names) {
    const TensorView& weight = file.get(name + ".weight");
    const std::vector<Bf16> values = finite_bf16s(weight, place_of(file, name + ".weight"));
    stacked.insert(stacked.end(), values.begin(), values.end());
    num_outputs += weight.shape.at(0);
    num_inputs = weight.shape.at(1);
    if (!file.find(name + ".bias")) continue;
    const std::vector<float> bias = load_vector(file, name + ".bias");
    biases.insert(biases.end(), bias.begin(), bias.end());
  }
  return PackedLinear(stacked, num_outputs, num_inputs, biases);
}

PackedLinear load_linear(const TensorView& weight, const std::string& place) {
  return PackedLinear(finite_bf16s(weight, place), weight.shape.at(0), weight.shape.at(1));
}

std::vector<float> load_vector(const TensorFile& file, const std::string& name) {
  return finite_floats(file.get(name), place_of(file, name));
}

std::vector<int32_t> load_draft_to_verifier(const TensorFile& file, int64_t vocab_size) {
  const TensorView* d2t = file.find("d2t");
  if (!d2t) return {};
  VocabularyMap map;
  map.d2t = to_ints(*d2t, place_of(file, "d2t"));
  map.t2d.assign(vocab_size, false);
  if (const TensorView* t2d = file.find("t2d")) {
    const std::vector<int64_t> members = to_ints(*t2d, place_of(file, "t2d"));
    for (size_t id = 0; id < members.size(); ++id) map.t2d[id] = members[id] != 0;
  } else {
    for (int32_t id : map.draft_to_verifier()) {
      if (id >= 0 && id < vocab_size) map.t2d[id] = true;
    }
  }
  check_vocabulary_map(map, file.path().string());
  return map.draft_to_verifier();
}

}  // namespace speculators
