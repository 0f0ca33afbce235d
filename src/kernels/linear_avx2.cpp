// PackedLinear's kernels in AVX2.
#include "kernels/linear_template.h"
#include "kernels/vector_avx2.h"

namespace speculators {

const LinearKernels kAvx2Linear = {LinearTiles<Avx2Vector>::kWidth, &LinearTiles<Avx2Vector>::multiply};

}  // namespace speculators
