// The row operations in AVX2.
#include "kernels/ops_template.h"
#include "kernels/vector_avx2.h"

namespace speculators {

const OpsKernels kAvx2Ops = Ops<Avx2Vector>::table();

}  // namespace speculators
