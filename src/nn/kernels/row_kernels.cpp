#include "nn/kernels/row_kernels.h"

namespace speculators::nn {

extern const RowKernels kPortableRowKernels;

#if defined(__x86_64__)
extern const RowKernels kAvx2RowKernels, kAvx512RowKernels;

std::vector<const RowKernels*> all_row_kernels() {
  std::vector<const RowKernels*> result = {&kPortableRowKernels};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) result.push_back(&kAvx2RowKernels);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    result.push_back(&kAvx512RowKernels);
  }
  return result;
}
#else
std::vector<const RowKernels*> all_row_kernels() { return {&kPortableRowKernels}; }
#endif

const RowKernels& row_kernels() {
  static const RowKernels& fastest = *all_row_kernels().back();
  return fastest;
}

}  // namespace speculators::nn
