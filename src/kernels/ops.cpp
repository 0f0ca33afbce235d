#include "kernels/ops.h"

#include <algorithm>
#include <cmath>

#include "kernels/compute_pool.h"
#include "kernels/ops_kernels.h"

namespace speculators {
namespace {

// A thread's share is worth a barrier from about this many elements.
constexpr int64_t kMinElementsPerThread = 16384;

const OpsKernels& kernels() {
  static const OpsKernels& table = ops_kernels(current_isa());
  return table;
}

template <class Body>
void for_rows(int64_t num_rows, int64_t width, Body&& body) {
  const int64_t grain = (kMinElementsPerThread + width - 1) / std::max<int64_t>(width, 1);
  if (num_rows < 2 * grain) return body(0, num_rows);
  compute_pool().parallel_for(num_rows, grain, body);
}

}  // namespace

void rms_norm(const float* x, const float* weight, int64_t num_rows, int64_t width, float eps, float* y) {
  // Without a delta the kernel only reads x.
  const NormRows rows{const_cast<float*>(x), nullptr, weight, y, width, eps};
  for_rows(num_rows, width, [&](int64_t begin, int64_t end) { kernels().norm(rows, begin, end); });
}

void add_rms_norm(float* x, const float* delta, const float* weight, int64_t num_rows, int64_t width, float eps,
                  float* y) {
  const NormRows rows{x, delta, weight, y, width, eps};
  for_rows(num_rows, width, [&](int64_t begin, int64_t end) { kernels().norm(rows, begin, end); });
}

void silu_mul(const float* gate_up, int64_t num_rows, int64_t width, float* y) {
  for_rows(num_rows, 4 * width, [&](int64_t begin, int64_t end) {  // an exponential costs about four elements
    for (int64_t m = begin; m < end; ++m) {
      const float* gate = gate_up + m * 2 * width;
      kernels().silu_mul(gate, gate + width, width, y + m * width);
    }
  });
}

void add(float* x, const float* delta, int64_t count) {
  for_rows(count, 1, [&](int64_t begin, int64_t end) { kernels().add(x + begin, delta + begin, end - begin); });
}

void grow_rope_table(RopeTable& table, std::span<const double> frequencies, double factor, int64_t num_positions) {
  table.half_dim = static_cast<int64_t>(frequencies.size());
  const int64_t begin = table.num_positions();
  if (num_positions <= begin) return;
  const int64_t end = std::max<int64_t>({num_positions, 2 * begin, 256});
  const auto scale = static_cast<float>(factor);
  for (int64_t position = begin; position < end; ++position) {
    for (const double frequency : frequencies) {
      const float angle = static_cast<float>(position) * static_cast<float>(frequency);
      table.cosines.push_back(std::cos(angle) * scale);
      table.sines.push_back(std::sin(angle) * scale);
    }
  }
}

void apply_rope(float* x, const int64_t* positions, int64_t num_rows, int64_t num_heads, int64_t head_dim,
                int64_t row_stride, const RopeTable& table) {
  for_rows(num_rows, num_heads * head_dim, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t angles = positions[m] * table.half_dim;
      kernels().rope({x + m * row_stride, table.cosines.data() + angles, table.sines.data() + angles, num_heads,
                      head_dim, table.half_dim});
    }
  });
}

void softmax(float* logits, int64_t count, float inverse_temperature) {
  kernels().softmax(logits, count, inverse_temperature);
}

int64_t argmax(const float* values, int64_t count) { return kernels().argmax(values, count); }

}  // namespace speculators
