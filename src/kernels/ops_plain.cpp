// The plain twins of the row operations: scalar loops that define the bits.
#include <cmath>
#include <limits>

#include "base/bf16.h"
#include "kernels/ops_kernels.h"
#include "kernels/plain_math.h"

namespace speculators {
namespace {

void norm(const NormRows& rows, int64_t row_begin, int64_t row_end) {
  const int64_t width = rows.width;
  for (int64_t m = row_begin; m < row_end; ++m) {
    float* x = rows.x + m * width;
    float lanes[16] = {};
    for (int64_t i = 0; i < width; ++i) {
      if (rows.delta != nullptr) x[i] += rows.delta[m * width + i];
      lanes[i % 16] = std::fma(x[i], x[i], lanes[i % 16]);
    }
    const float scale = 1.0f / std::sqrt(plain_sum_16_lanes(lanes) / static_cast<float>(width) + rows.eps);
    for (int64_t i = 0; i < width; ++i) rows.y[m * width + i] = x[i] * scale * rows.weight[i];
  }
}

void silu_mul(const float* gate, const float* up, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = gate[i] / (1.0f + plain_exp(0.0f - gate[i])) * up[i];
}

void add(float* x, const float* delta, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] += delta[i];
}

void rope(const RopeRow& row) {
  for (int64_t head = 0; head < row.num_heads; ++head) {
    float* x = row.x + head * row.head_dim;
    for (int64_t i = 0; i < row.half; ++i) {
      const float a = x[i], b = x[i + row.half];
      x[i] = a * row.cosines[i] - b * row.sines[i];
      x[i + row.half] = b * row.cosines[i] + a * row.sines[i];
    }
  }
}

void softmax(float* logits, int64_t count, float inverse_temperature) {
  float highest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < count; ++i) highest = logits[i] > highest ? logits[i] : highest;
  highest *= inverse_temperature;
  float lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) {
    logits[i] = plain_exp(logits[i] * inverse_temperature - highest);
    lanes[i % 16] += logits[i];
  }
  const float scale = 1.0f / plain_sum_16_lanes(lanes);
  for (int64_t i = 0; i < count; ++i) logits[i] *= scale;
}

int64_t argmax(const float* values, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

}  // namespace

const OpsKernels kPlainOps = {&norm, &silu_mul, &add, &rope, &softmax, &argmax};

}  // namespace speculators
