// The twin of isa_x86.cpp for other processors: plain C++ lanes, which compilers turn into vectors.
#include "kernels/attention_kernels.h"
#include "kernels/linear_kernels.h"
#include "kernels/ops_kernels.h"

namespace speculators {

bool processor_has(Isa isa) { return isa == Isa::kPortable; }
void pause_processor() {}
const LinearKernels& linear_kernels(Isa) { return kPortableLinear; }
const OpsKernels& ops_kernels(Isa) { return kPortableOps; }
AttentionKernel attention_kernel(Isa) { return &attend_portable; }

}  // namespace speculators
