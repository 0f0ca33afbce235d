// Row operations of a decoder layer: fp32 in, fp32 out, run-time dispatch, each with a plain twin that gives the same
// bits. A row's result never depends on the other rows of the batch.
// Dims: M rows, D width, N query heads, Nk key/value heads, H head dim.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace speculators {

// y = x / sqrt(mean(x^2) + eps) * weight, row by row. x, y [M, D]; y may be x.
void rms_norm(const float* x, const float* weight, int64_t num_rows, int64_t width, float eps, float* y);
// x += delta, then y = rms_norm(x): the residual add and the next norm in one pass. x, delta, y [M, D].
void add_rms_norm(float* x, const float* delta, const float* weight, int64_t num_rows, int64_t width, float eps,
                  float* y);
// y = silu(gate_up[:, :D]) * gate_up[:, D:]. gate_up [M, 2D], y [M, D].
void silu_mul(const float* gate_up, int64_t num_rows, int64_t width, float* y);
// x += delta. [count]
void add(float* x, const float* delta, int64_t count);

// Cosine and sine of every position, in halves form: [num_positions, H/2] each.
struct RopeTable {
  std::vector<float> cosines, sines;
  int64_t half_dim = 0;
  int64_t num_positions() const { return half_dim == 0 ? 0 : static_cast<int64_t>(cosines.size()) / half_dim; }
};
// Makes the table cover positions [0, num_positions), by doubling, so most calls do nothing.
// `frequencies` [H/2] radians per position; cosines and sines are scaled by `factor`. Angles in fp32, as transformers.
void grow_rope_table(RopeTable& table, std::span<const double> frequencies, double factor, int64_t num_positions);

// Rotates heads in place (half-split form: q' = q cos + rotate_half(q) sin). x [M, num_heads, H] with `row_stride`
// floats between rows; positions [M].
void apply_rope(float* x, const int64_t* positions, int64_t num_rows, int64_t num_heads, int64_t head_dim,
                int64_t row_stride, const RopeTable& table);

// log-free helpers of sampling: softmax of one row in place with a temperature; returns nothing. logits [V].
void softmax(float* logits, int64_t count, float inverse_temperature);
int64_t argmax(const float* values, int64_t count);  // first maximum

}  // namespace speculators
