// The row operations of ops.h, written once over a vector type T (vector_portable.h says what T offers).
#pragma once

#include "kernels/exp_template.h"
#include "kernels/ops_kernels.h"

namespace speculators {
namespace {

template <class T>
struct Ops {
  using V = typename T::V;
  using Block = Lanes16<T>;
  static constexpr float kMinusInfinity = -__builtin_inff();

  static void norm_row(const NormRows& rows, float* x, const float* delta, float* y) {
    const int64_t width = rows.width;
    Block squares = Block::broadcast(0.0f);
    for (int64_t i = 0; i < width; i += 16) {
      Block values = Block::load_some(x + i, width - i, 0.0f);
      if (delta != nullptr) {
        const Block change = Block::load_some(delta + i, width - i, 0.0f);
        values = Block::map([&](int p) { return T::add(values.part[p], change.part[p]); });
        values.store_some(x + i, width - i);
      }
      squares = Block::map([&](int p) { return T::fma(values.part[p], values.part[p], squares.part[p]); });
    }
    const V scale = T::broadcast(1.0f / __builtin_sqrtf(squares.sum() / static_cast<float>(width) + rows.eps));
    for (int64_t i = 0; i < width; i += 16) {
      const Block values = Block::load_some(x + i, width - i, 0.0f);
      const Block weights = Block::load_some(rows.weight + i, width - i, 0.0f);
      Block::map([&](int p) {
        return T::multiply(T::multiply(values.part[p], scale), weights.part[p]);
      }).store_some(y + i, width - i);
    }
  }

  static void norm(const NormRows& rows, int64_t row_begin, int64_t row_end) {
    for (int64_t m = row_begin; m < row_end; ++m) {
      const int64_t start = m * rows.width;
      norm_row(rows, rows.x + start, rows.delta == nullptr ? nullptr : rows.delta + start, rows.y + start);
    }
  }

  static void silu_mul(const float* gate, const float* up, int64_t count, float* y) {
    const V one = T::broadcast(1.0f);
    for (int64_t i = 0; i < count; i += 16) {
      const Block gates = Block::load_some(gate + i, count - i, 0.0f);
      const Block ups = Block::load_some(up + i, count - i, 0.0f);
      Block::map([&](int p) {
        const V denominator = T::add(one, exp_lanes<T>(T::subtract(T::zero(), gates.part[p])));
        return T::multiply(T::divide(gates.part[p], denominator), ups.part[p]);
      }).store_some(y + i, count - i);
    }
  }

  static void add(float* x, const float* delta, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) {
      const Block values = Block::load_some(x + i, count - i, 0.0f);
      const Block change = Block::load_some(delta + i, count - i, 0.0f);
      Block::map([&](int p) { return T::add(values.part[p], change.part[p]); }).store_some(x + i, count - i);
    }
  }

  static void rope(const RopeRow& row) {
    for (int64_t head = 0; head < row.num_heads; ++head) {
      float* first = row.x + head * row.head_dim;
      float* second = first + row.half;
      int64_t i = 0;
      for (; i + T::kLanes <= row.half; i += T::kLanes) {
        const V a = T::load(first + i), b = T::load(second + i);
        const V cosine = T::load(row.cosines + i), sine = T::load(row.sines + i);
        T::store(first + i, T::subtract(T::multiply(a, cosine), T::multiply(b, sine)));
        T::store(second + i, T::add(T::multiply(b, cosine), T::multiply(a, sine)));
      }
      for (; i < row.half; ++i) {
        const float a = first[i], b = second[i];
        first[i] = a * row.cosines[i] - b * row.sines[i];
        second[i] = b * row.cosines[i] + a * row.sines[i];
      }
    }
  }

  static float max_of(const float* values, int64_t count) {
    Block best = Block::broadcast(kMinusInfinity);
    for (int64_t i = 0; i < count; i += 16) {
      const Block block = Block::load_some(values + i, count - i, kMinusInfinity);
      best = Block::map([&](int p) { return T::max(best.part[p], block.part[p]); });
    }
    return best.max();
  }

  static void softmax(float* logits, int64_t count, float inverse_temperature) {
    const V temperature = T::broadcast(inverse_temperature);
    const V highest = T::broadcast(max_of(logits, count) * inverse_temperature);
    Block sums = Block::broadcast(0.0f);
    for (int64_t i = 0; i < count; i += 16) {
      const Block block = Block::load_some(logits + i, count - i, kMinusInfinity);
      const Block powers = Block::map(
          [&](int p) { return exp_lanes<T>(T::subtract(T::multiply(block.part[p], temperature), highest)); });
      sums = Block::map([&](int p) { return T::add(sums.part[p], powers.part[p]); });
      powers.store_some(logits + i, count - i);
    }
    const V scale = T::broadcast(1.0f / sums.sum());
    for (int64_t i = 0; i < count; i += 16) {
      const Block block = Block::load_some(logits + i, count - i, 0.0f);
      Block::map([&](int p) { return T::multiply(block.part[p], scale); }).store_some(logits + i, count - i);
    }
  }

  static int64_t argmax(const float* values, int64_t count) {
    const float best = max_of(values, count);
    const V wanted = T::broadcast(best);
    int64_t i = 0;
    while (i + T::kLanes <= count && !T::any_equal(T::load(values + i), wanted)) i += T::kLanes;
    for (; i < count; ++i) {
      if (values[i] == best) return i;
    }
    return 0;
  }

  static constexpr OpsKernels table() { return {&norm, &silu_mul, &add, &rope, &softmax, &argmax}; }
};

}  // namespace
}  // namespace speculators
