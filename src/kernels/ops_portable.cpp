// The row operations in plain C++ lanes.
#include "kernels/ops_template.h"
#include "kernels/vector_portable.h"

namespace speculators {

const OpsKernels kPortableOps = Ops<PortableVector<8>>::table();

}  // namespace speculators
