// The row loops of training on a CPU: norms, rotary positions, gated activation, softmax and losses over a vocabulary
// row, attention over a range of keys. fp32, no torch types. Compiled once per instruction set; row_kernels() picks.
// Each call spreads its rows over the OpenMP threads that torch uses. Reference: the plain twins in nn/plain_ops.h.
// Dims: R rows, D width, N heads, Nk key/value heads, H head dim, V vocabulary.
#pragma once

#include <cstdint>
#include <vector>

namespace speculators::nn {

// x [R, heads*H] with `stride` floats between rows, rotated in place of a copy: y [R, heads*H] dense.
struct HeadRows {
  const float* x = nullptr;
  int64_t stride = 0, num_rows = 0, num_heads = 0, head_dim = 0;
  const float* weight = nullptr;  // [H], the RMSNorm over each head; null: none
  float eps = 0;
  const float* cosines = nullptr;  // [R, H/2]
  const float* sines = nullptr;
};

// Several losses as weights by kind, in the order of nn::LossKind.
struct LossWeights {
  float weight[7] = {};
  bool wanted[7] = {};
};

// One target row, worked out once and shared by every draft row that is compared with it.
struct TargetRow {
  const float* probabilities = nullptr;      // [V]; null when only the argmax is wanted
  const float* log_probabilities = nullptr;  // [V]; null unless rkl or jsd
  float negative_entropy = 0;                // sum p log p
  int64_t argmax = 0;
};

struct DraftRow {
  float values[7] = {};  // by kind, the wanted ones
  float total = 0;       // weighted
  int64_t argmax = 0;
};

// Attention of query rows over a range of base keys and a list of own keys each. Rows are in groups (documents): keys
// of one group are never seen by another.
struct AttentionTask {
  std::vector<int64_t> queries;  // rows of q, their ranges ascending
};
struct AttentionShape {
  int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
};
struct AttentionRows {
  AttentionShape shape;
  const float* q = nullptr;                                  // [R, N*H] dense
  const float *base_keys = nullptr, *base_values = nullptr;  // rows of Nk*H floats
  const float *own_keys = nullptr, *own_values = nullptr;
  int64_t base_key_stride = 0, base_value_stride = 0, own_key_stride = 0, own_value_stride = 0;
  const int64_t *first = nullptr, *last = nullptr;  // [R] base keys [first, last) are visible
  const int64_t* own_begin = nullptr;               // [R+1] into own_index
  const int64_t* own_index = nullptr;
  const std::vector<AttentionTask>* tasks = nullptr;
};
struct AttentionGradients {
  const float* out = nullptr;                              // [R, N*H], of the forward pass
  const float* lse = nullptr;                              // [R, N]
  const float* d_out = nullptr;                            // [R, N*H]
  float* d_q = nullptr;                                    // [R, N*H]
  float *d_base_keys = nullptr, *d_base_values = nullptr;  // dense rows of Nk*H, zeroed by the caller
  float *d_own_keys = nullptr, *d_own_values = nullptr;
};

// A causal convolution over the slots of blocks, each coefficient a base per channel plus a change per row and group:
//   y[i, c] = sum over t <= min(taps - 1, offsets[i]) of x[i - t, c] * (base[t, c] + change[i][t, c / group_size])
// Row i - t is the slot t before row i in its block: blocks lie one behind the other, each from its first slot on.
struct ConvolutionRows {
  const float* x = nullptr;       // [R, D]
  const float* base = nullptr;    // [taps, D]
  const float* change = nullptr;  // rows of taps * D / group_size, change_stride floats apart
  int64_t change_stride = 0;
  const int64_t* offsets = nullptr;  // [R], of the row in its block
  int64_t num_rows = 0, width = 0, group_size = 0, num_taps = 0;
};

// `count` rows of a table for each of R rows.
struct GatheredRows {
  const float* table = nullptr;  // rows of D floats
  const int64_t* ids = nullptr;  // [R, count]
  int64_t num_rows = 0, count = 0, width = 0;
};

struct RowKernels {
  // y = x * rstd * weight (weight null: 1); rstd [R] = 1 / sqrt(mean(x^2) + eps), null when not wanted.
  void (*rms_norm)(const float* x, const float* weight, int64_t num_rows, int64_t width, float eps, float* y,
                   float* rstd);
  // dx and dw (overwritten) of the above.
  void (*rms_norm_backward)(const float* dy, const float* x, const float* weight, const float* rstd, int64_t num_rows,
                            int64_t width, float* dx, float* dw);
  void (*head_rows)(const HeadRows& rows, float* y, float* rstd);
  // dx dense [R, heads*H]; dw [H] overwritten when there is a weight.
  void (*head_rows_backward)(const HeadRows& rows, const float* dy, const float* rstd, float* dx, float* dw);
  // y = silu(gate) * up; gate_up [R, 2D]. backward gives [R, 2D].
  void (*silu_mul)(const float* gate_up, int64_t num_rows, int64_t width, float* y);
  void (*silu_mul_backward)(const float* dy, const float* gate_up, int64_t num_rows, int64_t width, float* d_gate_up);
  // sum[index[r]] += rows[r]; an index may come several times.
  void (*add_rows)(const float* rows, const int64_t* index, int64_t num_rows, int64_t width, float* sum);
  // Target logits [R, V] become probabilities in place (logs into `logs` unless null); with_probabilities false: argmax
  // only.
  void (*target_rows)(float* logits, int64_t num_rows, int64_t vocab, bool with_probabilities, float* logs,
                      TargetRow* rows);
  // Draft logits [R, V] become the gradient of `total` in place where wants_gradient[r], else zeros.
  void (*draft_rows)(float* logits, int64_t num_rows, int64_t vocab, const TargetRow* const* targets,
                     const uint8_t* wants_gradient, const LossWeights& weights, DraftRow* rows);
  void (*attention)(const AttentionRows& rows, float* out, float* lse);
  void (*attention_backward)(const AttentionRows& rows, const AttentionGradients& gradients);
  // y [R, D], plus the addend unless that is null.
  void (*convolve)(const ConvolutionRows& rows, const float* addend, float* y);
  // dx [R, D], d_change [R, taps * D / group_size] dense and d_base [taps, D], overwritten.
  void (*convolve_backward)(const ConvolutionRows& rows, const float* dy, float* dx, float* d_change, float* d_base);
  // Indices of the `count` largest of each row, the largest first. values [R, D], ids [R, count].
  void (*largest_rows)(const float* values, int64_t num_rows, int64_t width, int64_t count, int64_t* ids);
  // dots[r, c] += x[r] * table[ids[r, c]];  sums[r] = sum over c of factors[r, c] * table[ids[r, c]];
  // table[ids[r, c]] += factors[r, c] * x[r], the table of `rows` unused. x, sums [R, D]; dots, factors [R, count].
  void (*gathered_dots)(const GatheredRows& rows, const float* x, float* dots);
  void (*gathered_sums)(const GatheredRows& rows, const float* factors, float* sums);
  void (*scattered_sums)(const GatheredRows& rows, const float* factors, const float* x, float* table);
};

// The fastest this machine runs.
const RowKernels& row_kernels();
// All that this machine runs, the portable one first: tests hold each against the plain twins.
std::vector<const RowKernels*> all_row_kernels();

}  // namespace speculators::nn
