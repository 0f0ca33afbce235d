#include "nn/kernels/row_kernels_table.h"

namespace speculators::nn {

extern const RowKernels kPortableRowKernels;
const RowKernels kPortableRowKernels = kTable;

}  // namespace speculators::nn
