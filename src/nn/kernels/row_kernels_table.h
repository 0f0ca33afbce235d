// The function table of one instruction set; the last include of row_kernels_<isa>.cpp.
#pragma once

#include "nn/kernels/attention_kernels_impl.h"
#include "nn/kernels/layer_kernels_impl.h"
#include "nn/kernels/loss_kernels_impl.h"
#include "nn/kernels/slot_kernels_impl.h"

namespace speculators::nn {
namespace {

constexpr RowKernels kTable = {
    rms_norm,          rms_norm_backward, head_rows,     head_rows_backward, silu_mul,           silu_mul_backward,
    add_rows,          target_rows,       draft_rows,    attention,          attention_backward, convolve,
    convolve_backward, largest_rows,      gathered_dots, gathered_sums,      scattered_sums};

}  // namespace
}  // namespace speculators::nn
