// What x86-64 processors have and which kernels serve them. isa_none.cpp is the twin for other processors.
#include "kernels/attention_kernels.h"
#include "kernels/linear_kernels.h"
#include "kernels/ops_kernels.h"

namespace speculators {

bool processor_has(Isa isa) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return isa == Isa::kPortable || (isa == Isa::kAvx2 && avx2) || (isa == Isa::kAvx512 && avx2 && avx512);
}

void pause_processor() { __builtin_ia32_pause(); }

const LinearKernels& linear_kernels(Isa isa) {
  return isa == Isa::kAvx512 ? kAvx512Linear : isa == Isa::kAvx2 ? kAvx2Linear : kPortableLinear;
}

const OpsKernels& ops_kernels(Isa isa) {
  return isa == Isa::kAvx512 ? kAvx512Ops : isa == Isa::kAvx2 ? kAvx2Ops : kPortableOps;
}

AttentionKernel attention_kernel(Isa isa) {
  return isa == Isa::kAvx512 ? &attend_avx512 : isa == Isa::kAvx2 ? &attend_avx2 : &attend_portable;
}

}  // namespace speculators
