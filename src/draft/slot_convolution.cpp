#include "draft/slot_convolution.h"

#include <algorithm>

#include "draft/load_weights.h"

namespace speculators {

SlotConvolution::SlotConvolution(const TensorFile& file, const std::string& prefix)
    : num_taps_(file.get(prefix + "base_kernel").shape.at(1)),
      width_(file.get(prefix + "base_kernel").shape.at(2)),
      base_kernel_(load_vector(file, prefix + "base_kernel")),
      projection_(load_linear(file, {prefix + "kernel_projection"})) {
  group_size_ = 2 * num_taps_ * width_ / num_changes();
}

void SlotConvolution::enter(std::span<const int64_t> offsets, const float* x, const float* changes, float* y) const {
  std::fill_n(y, static_cast<int64_t>(offsets.size()) * width_, 0.0f);
  add(0, offsets, x, changes, y);
}

void SlotConvolution::leave(std::span<const int64_t> offsets, const float* x, const float* changes,
                            float* residual) const {
  add(1, offsets, x, changes, residual);
}

void SlotConvolution::add(int64_t side, std::span<const int64_t> offsets, const float* x, const float* changes,
                          float* y) const {
  const int64_t num_groups = width_ / group_size_;
  for (size_t row = 0; row < offsets.size(); ++row) {
    const auto m = static_cast<int64_t>(row);
    const int64_t num_taps = std::min(num_taps_, offsets[row] + 1);
    for (int64_t tap = 0; tap < num_taps; ++tap) {
      const float *from = x + (m - tap) * width_, *base = base_kernel_.data() + (side * num_taps_ + tap) * width_;
      const float* change = changes + m * num_changes() + (side * num_taps_ + tap) * num_groups;
      float* to = y + m * width_;
      for (int64_t group = 0; group < num_groups; ++group) {
        const int64_t end = (group + 1) * group_size_;
        for (int64_t c = group * group_size_; c < end; ++c) to[c] += from[c] * (base[c] + change[group]);
      }
    }
  }
}

}  // namespace speculators
