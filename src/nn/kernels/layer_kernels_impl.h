// Norm, rotary, activation and gather loops of RowKernels. Included once per instruction set by row_kernels_<isa>.cpp,
// inside its own namespace; see row_kernels.h.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "nn/kernels/row_kernels.h"
#include "nn/kernels/vector_math.h"

namespace speculators::nn {
namespace {

// f(begin, end, thread) over [0, count), split evenly; small work stays on the calling thread.
template <class Function>
void parallel_ranges(int64_t count, int64_t work_per_item, const Function& f) {
  constexpr int64_t kWorthAThread = 16384;
  if (count * work_per_item < 2 * kWorthAThread || omp_in_parallel() || omp_get_max_threads() == 1) {
    if (count > 0) f(int64_t{0}, count, 0);
    return;
  }
#pragma omp parallel
  {
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    if (begin < end) f(begin, end, static_cast<int>(thread));
  }
}

// Sums per-thread rows into `sum`. partial [threads, width]
void reduce_rows(const std::vector<float>& partial, int64_t width, float* sum) {
  std::fill(sum, sum + width, 0.0f);
  for (size_t offset = 0; offset < partial.size(); offset += width) {
    for (int64_t i = 0; i < width; ++i) sum[i] += partial[offset + i];
  }
}

float dot(const float* a, const float* b, int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void rms_norm(const float* x, const float* weight, int64_t num_rows, int64_t width, float eps, float* y, float* rstd) {
  parallel_ranges(num_rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = x + r * width;
      float* out = y + r * width;
      const float scale = 1.0f / std::sqrt(dot(row, row, width) / static_cast<float>(width) + eps);
      if (rstd) rstd[r] = scale;
      if (weight) {
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) out[i] = row[i] * scale * weight[i];
      } else {
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) out[i] = row[i] * scale;
      }
    }
  });
}

// One normed row: dx from dy, dw accumulated. x_hat = x * rstd.
void norm_row_backward(const float* dy, const float* x, const float* weight, float rstd, int64_t width, float* dx,
                       float* dw) {
  float mean = 0;
#pragma omp simd reduction(+ : mean)
  for (int64_t i = 0; i < width; ++i) mean += dy[i] * weight[i] * x[i];
  mean *= rstd * rstd / static_cast<float>(width);
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) {
    const float upstream = dy[i];
    dw[i] += upstream * x[i] * rstd;
    dx[i] = rstd * (upstream * weight[i] - x[i] * mean);
  }
}

void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* rstd, int64_t num_rows,
                       int64_t width, float* dx, float* dw) {
  std::vector<float> partial(omp_get_max_threads() * width, 0.0f);
  parallel_ranges(num_rows, width, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t r = begin; r < end; ++r) {
      norm_row_backward(dy + r * width, x + r * width, weight, rstd[r], width, dx + r * width,
                        partial.data() + thread * width);
    }
  });
  reduce_rows(partial, width, dw);
}

void rotate(const float* x, const float* cosines, const float* sines, int64_t half, float* y) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[half + i];
    y[i] = a * cosines[i] - b * sines[i];
    y[half + i] = b * cosines[i] + a * sines[i];
  }
}

void rotate_back(const float* dy, const float* cosines, const float* sines, int64_t half, float* dx) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float a = dy[i], b = dy[half + i];
    dx[i] = a * cosines[i] + b * sines[i];
    dx[half + i] = b * cosines[i] - a * sines[i];
  }
}

void head_rows(const HeadRows& rows, float* y, float* rstd) {
  const int64_t head_dim = rows.head_dim, half = head_dim / 2, heads = rows.num_heads;
  parallel_ranges(rows.num_rows, heads * head_dim, [&](int64_t begin, int64_t end, int) {
    std::vector<float> normed(head_dim);
    for (int64_t i = begin * heads; i < end * heads; ++i) {
      const int64_t r = i / heads;
      const float* x = rows.x + r * rows.stride + (i % heads) * head_dim;
      if (rows.weight) {
        const float scale = 1.0f / std::sqrt(dot(x, x, head_dim) / static_cast<float>(head_dim) + rows.eps);
        rstd[i] = scale;
        for (int64_t d = 0; d < head_dim; ++d) normed[d] = x[d] * scale * rows.weight[d];
        x = normed.data();
      }
      rotate(x, rows.cosines + r * half, rows.sines + r * half, half, y + i * head_dim);
    }
  });
}

void head_rows_backward(const HeadRows& rows, const float* dy, const float* rstd, float* dx, float* dw) {
  const int64_t head_dim = rows.head_dim, half = head_dim / 2, heads = rows.num_heads;
  std::vector<float> partial(omp_get_max_threads() * head_dim, 0.0f);
  parallel_ranges(rows.num_rows, heads * head_dim, [&](int64_t begin, int64_t end, int thread) {
    std::vector<float> turned(head_dim);
    for (int64_t i = begin * heads; i < end * heads; ++i) {
      const int64_t r = i / heads;
      float* out = rows.weight ? turned.data() : dx + i * head_dim;
      rotate_back(dy + i * head_dim, rows.cosines + r * half, rows.sines + r * half, half, out);
      if (!rows.weight) continue;
      const float* x = rows.x + r * rows.stride + (i % heads) * head_dim;
      norm_row_backward(turned.data(), x, rows.weight, rstd[i], head_dim, dx + i * head_dim,
                        partial.data() + thread * head_dim);
    }
  });
  if (rows.weight) reduce_rows(partial, head_dim, dw);
}

void silu_mul(const float* gate_up, int64_t num_rows, int64_t width, float* y) {
  parallel_ranges(num_rows, width * 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* gate = gate_up + r * 2 * width;
      const float* up = gate + width;
      float* out = y + r * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) out[i] = gate[i] / (1.0f + fast_exp(-gate[i])) * up[i];
    }
  });
}

void silu_mul_backward(const float* dy, const float* gate_up, int64_t num_rows, int64_t width, float* d_gate_up) {
  parallel_ranges(num_rows, width * 6, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* gate = gate_up + r * 2 * width;
      const float* up = gate + width;
      const float* upstream = dy + r * width;
      float* d_gate = d_gate_up + r * 2 * width;
      float* d_up = d_gate + width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        const float sigmoid = 1.0f / (1.0f + fast_exp(-gate[i]));
        const float silu = gate[i] * sigmoid;
        d_up[i] = upstream[i] * silu;
        d_gate[i] = upstream[i] * up[i] * (sigmoid + silu * (1.0f - sigmoid));
      }
    }
  });
}

// Threads split the columns, so that an index may repeat.
void add_rows(const float* rows, const int64_t* index, int64_t num_rows, int64_t width, float* sum) {
  parallel_ranges(width, num_rows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = 0; r < num_rows; ++r) {
      const float* from = rows + r * width;
      float* to = sum + index[r] * width;
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) to[i] += from[i];
    }
  });
}

}  // namespace
}  // namespace speculators::nn
