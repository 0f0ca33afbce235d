#include "nn/kernels/row_kernels_table.h"

namespace speculators::nn {

extern const RowKernels kAvx2RowKernels;
const RowKernels kAvx2RowKernels = kTable;

}  // namespace speculators::nn
