// The inner loops of ops.h, one table per instruction set. Internal to kernels/.
// Sums run in 16 lanes: lane j adds the elements j, j + 16, ... in order, then lanes i and i + 8, 4, 2, 1 are added.
// Dims: D width, H head dim.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace speculators {

// y = rms_norm(x + delta) of some rows; x keeps the sum. All [rows, D].
struct NormRows {
  float* x;            // not written without delta
  const float* delta;  // may be null
  const float* weight;
  float* y;
  int64_t width;
  float eps;
};

// Heads of one row, rotated in place.
struct RopeRow {
  float* x;              // [num_heads, H]
  const float* cosines;  // [half]
  const float* sines;    // [half]
  int64_t num_heads, head_dim, half;
};

struct OpsKernels {
  void (*norm)(const NormRows&, int64_t row_begin, int64_t row_end);
  void (*silu_mul)(const float* gate, const float* up, int64_t count, float* y);
  void (*add)(float* x, const float* delta, int64_t count);
  void (*rope)(const RopeRow&);
  void (*softmax)(float* logits, int64_t count, float inverse_temperature);
  int64_t (*argmax)(const float* values, int64_t count);
};

extern const OpsKernels kPortableOps;
extern const OpsKernels kAvx2Ops;
extern const OpsKernels kAvx512Ops;
extern const OpsKernels kPlainOps;  // the plain twins: scalar loops

const OpsKernels& ops_kernels(Isa isa);

// e^x by 2^n e^r with |r| <= ln 2 / 2 and e^r = 1 + r + r^2 P(r); the same constants in every twin. The relative error
// of the polynomial is 3e-9; results under 2^-126 are 0.
inline constexpr float kExpLowest = -87.33f, kExpHighest = 88.37f;
inline constexpr float kLog2E = 0x1.715476p+0f;
inline constexpr float kLn2High = 0x1.62e430p-1f, kLn2Low = -0x1.05c610p-29f;
inline constexpr float kRoundingShift = 0x1.8p+23f;  // adding it leaves the nearest whole number in the low bits
inline constexpr float kExpPolynomial[5] = {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558b0p-5f, 0x1.12398ap-7f,
                                            0x1.6a4d14p-10f};

}  // namespace speculators
