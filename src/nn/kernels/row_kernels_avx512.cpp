#include "nn/kernels/row_kernels_table.h"

namespace speculators::nn {

extern const RowKernels kAvx512RowKernels;
const RowKernels kAvx512RowKernels = kTable;

}  // namespace speculators::nn
