#include "draft/chain/aux_fusion.h"

#include <fmt/format.h>

#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {

AuxFusion::AuxFusion(const TensorFile& file, const ChainConfig& config)
    : eps_(static_cast<float>(config.layer.rms_norm_eps)),
      num_aux_(config.num_aux()),
      hidden_size_(config.layer.hidden_size),
      fc_(load_linear(file, {"fc"})) {
  if (config.norm_before_fc) input_norm_ = load_vector(file, "input_norm.weight");
  for (int64_t j = 0; config.fc_norm && j < num_aux_; ++j) {
    fc_norms_.push_back(load_vector(file, fmt::format("fc_norm.{}.weight", j)));
  }
}

void AuxFusion::forward(float* aux, int64_t num_rows, float* out) const {
  if (!input_norm_.empty()) rms_norm(aux, input_norm_.data(), num_rows, width(), eps_, aux);
  for (int64_t m = 0; m < num_rows && !fc_norms_.empty(); ++m) {
    for (int64_t j = 0; j < num_aux_; ++j) {
      float* chunk = aux + m * width() + j * hidden_size_;
      rms_norm(chunk, fc_norms_[j].data(), 1, hidden_size_, eps_, chunk);
    }
  }
  fc_.forward(aux, num_rows, out);
}

}  // namespace speculators
