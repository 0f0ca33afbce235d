// What the machine allows: read bandwidth and fp32 multiply-add peak, the two yardsticks of every kernel figure.
#pragma once

#include "kernels/aligned.h"
#include "kernels/compute_pool.h"

namespace speculators {

struct MachineFigures {
  double bytes_per_second = 0;
  double flops_per_second = 0;  // a multiply-add counts two
};

// Look now and then between other measurements, and treat the looks as the measurements are treated (best, median).
class MachineProbe {
 public:
  // A look reads `num_bytes`: as many as what is measured beside it, and far more than the caches hold. A shorter one
  // is the machine's luckiest moment, and no yardstick for a pass over 300 MB.
  explicit MachineProbe(int64_t num_bytes = int64_t{256} << 20);
  MachineFigures look(ComputePool& pool);

 private:
  AlignedVector<float> memory_;
  float sink_ = 0;
};

}  // namespace speculators
