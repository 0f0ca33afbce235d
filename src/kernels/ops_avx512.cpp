// The row operations in AVX-512.
#include "kernels/ops_template.h"
#include "kernels/vector_avx512.h"

namespace speculators {

const OpsKernels kAvx512Ops = Ops<Avx512Vector>::table();

}  // namespace speculators
