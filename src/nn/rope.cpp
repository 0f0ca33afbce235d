#include "nn/rope.h"

#include <ATen/ops/cos.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/sin.h>

namespace speculators::nn {

Rope::Rope(const std::vector<double>& frequencies, double attention_factor)
    : frequencies_(at::tensor(frequencies, torch::kFloat64).to(torch::kFloat32)), attention_factor_(attention_factor) {}

RopeAngles Rope::angles(const torch::Tensor& positions, torch::ScalarType rounding) const {
  const auto angles = positions.to(torch::kFloat32).unsqueeze(1) * frequencies_.to(positions.device());  // [R, H/2]
  const auto rounded = [&](const torch::Tensor& table) {
    return (table * attention_factor_).to(rounding).to(torch::kFloat32).contiguous();
  };
  return {rounded(angles.cos()), rounded(angles.sin())};
}

}  // namespace speculators::nn
