// Loops over the slots of blocks for RowKernels: the causal convolution inside a block, and a few candidates out of a
// vocabulary row. Included once per instruction set; see row_kernels.h. Source: reference algorithms.md 8a.2, 8a.4.
#pragma once

#include <algorithm>
#include <vector>

#include "base/largest.h"
#include "nn/kernels/layer_kernels_impl.h"

namespace speculators::nn {
namespace {

// y += x * (base + change of the channel's group). [D]
void add_tap(const ConvolutionRows& rows, const float* x, const float* base, const float* change, float* y) {
  for (int64_t begin = 0; begin < rows.width; begin += rows.group_size) {
    const float by = *change++;
#pragma omp simd
    for (int64_t c = begin; c < begin + rows.group_size; ++c) y[c] += x[c] * (base[c] + by);
  }
}

void convolve(const ConvolutionRows& rows, const float* addend, float* y) {
  const int64_t width = rows.width, num_groups = width / rows.group_size;
  parallel_ranges(rows.num_rows, width * rows.num_taps * 2, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      float* out = y + r * width;
      if (addend) {
        std::copy_n(addend + r * width, width, out);
      } else {
        std::fill_n(out, width, 0.0f);
      }
      const int64_t num_taps = std::min(rows.num_taps, rows.offsets[r] + 1);
      for (int64_t t = 0; t < num_taps; ++t) {
        add_tap(rows, rows.x + (r - t) * width, rows.base + t * width,
                rows.change + r * rows.change_stride + t * num_groups, out);
      }
    }
  });
}

// One tap of one row: what base and change get. dy, x [D].
void tap_backward(const ConvolutionRows& rows, const float* dy, const float* x, float* d_change, float* d_base) {
  for (int64_t begin = 0; begin < rows.width; begin += rows.group_size) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = begin; c < begin + rows.group_size; ++c) {
      const float product = dy[c] * x[c];
      d_base[c] += product;
      sum += product;
    }
    *d_change++ = sum;
  }
}

// Every row gathers: from the rows behind it in its block what its x gets, from those before it what its change gets.
// So rows may be split anywhere.
void convolve_backward(const ConvolutionRows& rows, const float* dy, float* dx, float* d_change, float* d_base) {
  const int64_t width = rows.width, num_groups = width / rows.group_size, size = rows.num_taps * width;
  std::vector<float> partial(omp_get_max_threads() * size, 0.0f);
  parallel_ranges(rows.num_rows, size * 4, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t offset = rows.offsets[r];
      float *to = dx + r * width, *change_to = d_change + r * rows.num_taps * num_groups;
      std::fill_n(to, width, 0.0f);
      std::fill_n(change_to, rows.num_taps * num_groups, 0.0f);
      for (int64_t t = 0; t < rows.num_taps; ++t) {
        const int64_t later = r + t;
        if (later < rows.num_rows && rows.offsets[later] == offset + t) {
          add_tap(rows, dy + later * width, rows.base + t * width,
                  rows.change + later * rows.change_stride + t * num_groups, to);
        }
        if (t > offset) continue;
        tap_backward(rows, dy + r * width, rows.x + (r - t) * width, change_to + t * num_groups,
                     partial.data() + thread * size + t * width);
      }
    }
  });
  reduce_rows(partial, size, d_base);
}

void largest_rows(const float* values, int64_t num_rows, int64_t width, int64_t count, int64_t* ids) {
  parallel_ranges(num_rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) find_largest(values + r * width, width, count, ids + r * count);
  });
}

void gathered_dots(const GatheredRows& rows, const float* x, float* dots) {
  parallel_ranges(rows.num_rows, rows.count * rows.width, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * rows.count; i < end * rows.count; ++i)
      dots[i] += dot(x + i / rows.count * rows.width, rows.table + rows.ids[i] * rows.width, rows.width);
  });
}

void gathered_sums(const GatheredRows& rows, const float* factors, float* sums) {
  parallel_ranges(rows.num_rows, rows.count * rows.width, [&](int64_t begin, int64_t end, int) {
    std::fill(sums + begin * rows.width, sums + end * rows.width, 0.0f);
    for (int64_t i = begin * rows.count; i < end * rows.count; ++i) {
      const float* from = rows.table + rows.ids[i] * rows.width;
      float* to = sums + i / rows.count * rows.width;
      const float factor = factors[i];
#pragma omp simd
      for (int64_t c = 0; c < rows.width; ++c) to[c] += factor * from[c];
    }
  });
}

// Threads split the columns, so that an id may repeat.
void scattered_sums(const GatheredRows& rows, const float* factors, const float* x, float* table) {
  parallel_ranges(rows.width, rows.num_rows * rows.count, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = 0; i < rows.num_rows * rows.count; ++i) {
      const float* from = x + i / rows.count * rows.width;
      float* to = table + rows.ids[i] * rows.width;
      const float factor = factors[i];
#pragma omp simd
      for (int64_t c = begin; c < end; ++c) to[c] += factor * from[c];
    }
  });
}

}  // namespace
}  // namespace speculators::nn
