// What the machine allows: read bandwidth and fp32 multiply-add peak, the two yardsticks of every kernel figure.
#pragma once

#include "kernels/aligned.h"
#include "kernels/compute_pool.h"

namespace speculators {

struct MachineFigures {
  double bytes_per_second = 0;
  double flops_per_second = 0;  // a multiply-add counts two
};

// Buffers for the probes; call measure() now and then between other measurements and keep the best of all.
class MachineProbe {
 public:
  MachineProbe();
  // Improves `best` by one more look with the pool's threads.
  void measure(ComputePool& pool, MachineFigures& best);

 private:
  AlignedVector<float> memory_;
  size_t next_ = 0;  // where the next look begins
  float sink_ = 0;
};

}  // namespace speculators
