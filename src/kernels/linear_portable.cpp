// PackedLinear's kernels in plain C++.
#include "kernels/linear_template.h"
#include "kernels/vector_portable.h"

namespace speculators {

const LinearKernels kPortableLinear = {LinearTiles<PortableVector<8>>::kWidth,
                                       &LinearTiles<PortableVector<8>>::multiply};

}  // namespace speculators
