// Rotary positions: the cosines and sines of given positions. Angles are computed in fp32, in halves form.
// Dims: R rows, H head dim.
#pragma once

#include <torch/types.h>

#include <vector>

namespace speculators::nn {

struct RopeAngles {
  torch::Tensor cosines, sines;  // fp32 [R, H/2]
};

class Rope {
 public:
  Rope() = default;
  // `frequencies` [H/2]: radians per position; both tables are scaled by `attention_factor` (1 except yarn, longrope).
  Rope(const std::vector<double>& frequencies, double attention_factor);
  // positions int64 [R]. `rounding`: the type whose precision the tables are rounded to (upstream's DFlash: bf16).
  RopeAngles angles(const torch::Tensor& positions, torch::ScalarType rounding = torch::kFloat32) const;

 private:
  torch::Tensor frequencies_;  // fp32 [H/2]
  double attention_factor_ = 1.0;
};

}  // namespace speculators::nn
