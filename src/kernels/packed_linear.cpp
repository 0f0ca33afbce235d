#include "kernels/packed_linear.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/errors.h"
#include "kernels/compute_pool.h"
#include "kernels/linear_kernels.h"

namespace speculators {
namespace {

// Rows are taken in chunks whose inputs stay in a core's second-level cache beside a panel.
constexpr int64_t kChunkBytes = 192 << 10;
// A thread's share is worth a barrier from about this many multiply-adds.
constexpr int64_t kMinWorkPerThread = 1 << 15;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t rows_per_chunk(int64_t num_inputs) {
  const int64_t fitting = kChunkBytes / (num_inputs * static_cast<int64_t>(sizeof(float)));
  return std::max<int64_t>(fitting / 12 * 12, 12);  // whole tiles of 6 and of 12 rows
}

}  // namespace

PackedLinear::PackedLinear(std::span<const Bf16> weight, int64_t num_outputs, int64_t num_inputs,
                           std::span<const float> bias)
    : num_inputs_(num_inputs), num_outputs_(num_outputs), kernels_(&linear_kernels(current_isa())) {
  if (num_outputs < 1 || num_inputs < 1 || static_cast<int64_t>(weight.size()) != num_outputs * num_inputs) {
    throw ShapeError("PackedLinear: expected a weight of [" + std::to_string(num_outputs) + ", " +
                     std::to_string(num_inputs) + "], got " + std::to_string(weight.size()) + " values");
  }
  if (!bias.empty() && static_cast<int64_t>(bias.size()) != num_outputs) {
    throw ShapeError("PackedLinear: expected a bias of [" + std::to_string(num_outputs) + "] or none, got " +
                     std::to_string(bias.size()) + " values");
  }
  const int64_t width = kernels_->panel_width;
  const int64_t num_panels = ceil_divide(num_outputs, width);
  panels_.resize(static_cast<size_t>(num_panels * num_inputs * width));  // zeros behind the last output
  for (int64_t n = 0; n < num_outputs; ++n) {
    const Bf16* row = weight.data() + n * num_inputs;
    Bf16* target = panels_.data() + n / width * num_inputs * width + position_in_panel(n % width, width);
    for (int64_t k = 0; k < num_inputs; ++k) target[k * width] = row[k];
  }
  if (!bias.empty()) {
    bias_.assign(bias.begin(), bias.end());
    bias_.resize(static_cast<size_t>(num_panels * width));
  }
}

int64_t PackedLinear::weight_bytes() const { return num_inputs_ * num_outputs_ * static_cast<int64_t>(sizeof(Bf16)); }

void PackedLinear::forward(const float* x, int64_t num_rows, float* y) const {
  if (num_rows <= 0 || kernels_ == nullptr) return;
  const LinearProduct product{panels_.data(), bias_.empty() ? nullptr : bias_.data(), x, y, num_inputs_, num_outputs_};
  const int64_t num_panels = ceil_divide(num_outputs_, kernels_->panel_width);
  const int64_t num_chunks = ceil_divide(num_rows, rows_per_chunk(num_inputs_));
  const int64_t panel_work = ceil_divide(num_rows, num_chunks) * num_inputs_ * kernels_->panel_width;
  // Units run through all panels of the first chunk of rows, then of the next: a thread's units are a few rectangles.
  compute_pool().parallel_for(
      num_chunks * num_panels, ceil_divide(kMinWorkPerThread, panel_work), [&](int64_t begin, int64_t end) {
        while (begin < end) {
          const int64_t chunk = begin / num_panels;
          const int64_t stop = std::min(end, (chunk + 1) * num_panels);
          kernels_->multiply(product, {num_rows * chunk / num_chunks, num_rows * (chunk + 1) / num_chunks,
                                       begin - chunk * num_panels, stop - chunk * num_panels});
          begin = stop;
        }
      });
}

void PackedLinear::forward_plain(const float* x, int64_t num_rows, float* y) const {
  if (kernels_ == nullptr) return;
  const int64_t width = kernels_->panel_width;
  for (int64_t m = 0; m < num_rows; ++m) {
    for (int64_t n = 0; n < num_outputs_; ++n) {
      const Bf16* w = panels_.data() + n / width * num_inputs_ * width + position_in_panel(n % width, width);
      float sum = bias_.empty() ? 0.0f : bias_[static_cast<size_t>(n)];
      for (int64_t k = 0; k < num_inputs_; ++k) sum = std::fma(x[m * num_inputs_ + k], to_float(w[k * width]), sum);
      y[m * num_outputs_ + n] = sum;
    }
  }
}

void PackedLinear::copy_row(int64_t output, float* row) const {
  const int64_t width = kernels_->panel_width;
  const Bf16* w = panels_.data() + output / width * num_inputs_ * width + position_in_panel(output % width, width);
  for (int64_t k = 0; k < num_inputs_; ++k) row[k] = to_float(w[k * width]);
}

PackedLinear pack_together(std::span<const std::span<const Bf16>> weights, int64_t num_inputs) {
  std::vector<Bf16> stacked;
  for (const std::span<const Bf16> weight : weights) {
    if (num_inputs < 1 || static_cast<int64_t>(weight.size()) % num_inputs != 0) {
      throw ShapeError("pack_together: expected rows of " + std::to_string(num_inputs) + " inputs, got " +
                       std::to_string(weight.size()) + " values");
    }
    stacked.insert(stacked.end(), weight.begin(), weight.end());
  }
  const int64_t num_outputs = static_cast<int64_t>(stacked.size()) / std::max<int64_t>(num_inputs, 1);
  return PackedLinear(stacked, num_outputs, num_inputs);
}

}  // namespace speculators
