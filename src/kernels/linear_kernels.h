// The inner loops of PackedLinear, one table per instruction set. Internal to kernels/.
// Dims: M rows, K inputs, N outputs; a panel holds 2L outputs, L the lanes of a vector register.
#pragma once

#include <cstdint>

#include "base/bf16.h"
#include "kernels/isa.h"

namespace speculators {

// One product y = x W^T + bias as the kernels see it.
struct LinearProduct {
  const Bf16* panels;  // [ceil(N / 2L), K, 2L], cache-line aligned
  const float* bias;   // [N rounded up to panels] or null
  const float* x;      // [M, K]
  float* y;            // [M, N]
  int64_t num_inputs;
  int64_t num_outputs;
};

// A rectangle of the product: these rows of x times these panels.
struct LinearRange {
  int64_t row_begin, row_end;
  int64_t panel_begin, panel_end;
};

struct LinearKernels {
  int64_t panel_width;  // 2L
  void (*multiply)(const LinearProduct&, const LinearRange&);
};

extern const LinearKernels kPortableLinear;
extern const LinearKernels kAvx2Linear;
extern const LinearKernels kAvx512Linear;

// Where output `j` of a panel lies among the panel's weights of one input: dword j % L, low half first.
inline int64_t position_in_panel(int64_t j, int64_t panel_width) {
  const int64_t lanes = panel_width / 2;
  return 2 * (j % lanes) + j / lanes;
}

const LinearKernels& linear_kernels(Isa isa);

}  // namespace speculators
