// Block-quantised GGUF tensors -> fp32, bit-equal to llama.cpp's reference (no fused multiply-add, same order).
// Source: docs/formats/gguf.md. F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K.
#pragma once

#include <vector>

#include "checkpoint/gguf.h"

namespace speculators {

// Row-major values of the whole tensor.
std::vector<float> dequantize(const GgufTensor& tensor);

}  // namespace speculators
