// PackedLinear's kernels in AVX-512.
#include "kernels/linear_template.h"
#include "kernels/vector_avx512.h"

namespace speculators {

const LinearKernels kAvx512Linear = {LinearTiles<Avx512Vector>::kWidth, &LinearTiles<Avx512Vector>::multiply};

}  // namespace speculators
