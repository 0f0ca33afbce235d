#include "machine_probe.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>

#include "kernels/isa.h"

namespace speculators {
namespace {

constexpr int64_t kFmaSteps = 20'000;
constexpr int kNumSums = 12;

template <int Bytes>
struct Vector {
  typedef float Type __attribute__((vector_size(Bytes)));
};

// Several streams at once: a core draws more from memory than along a single one.
template <int Bytes>
inline __attribute__((always_inline)) float read_all(const float* data, int64_t count) {
  using V = typename Vector<Bytes>::Type;
  constexpr int kStreams = 8;
  const int64_t stream_length = count / kStreams / 16 * 16;
  V sums[kStreams] = {};
  for (int64_t i = 0; i < stream_length; i += Bytes / 4) {
#pragma GCC unroll 8
    for (int j = 0; j < kStreams; ++j) {
      V value;
      __builtin_memcpy(&value, data + j * stream_length + i, Bytes);
      sums[j] += value;
    }
  }
  float total = 0;
#pragma GCC unroll 8
  for (int j = 0; j < kStreams; ++j) total += sums[j][0];
  return total;
}

// `kNumSums` registers: more than enough to hide the latency.
template <int Bytes>
inline __attribute__((always_inline)) float multiply_add(float seed) {
  using V = typename Vector<Bytes>::Type;
  V sums[kNumSums];
  const V factor = V{} + seed;
#pragma GCC unroll 12
  for (int j = 0; j < kNumSums; ++j) sums[j] = V{} + static_cast<float>(j);
  for (int64_t i = 0; i < kFmaSteps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kNumSums; ++j) sums[j] = sums[j] * factor + factor;
#pragma GCC unroll 12
    for (int j = 0; j < kNumSums; ++j) asm volatile("" : "+x"(sums[j]));
  }
  float total = 0;
#pragma GCC unroll 12
  for (int j = 0; j < kNumSums; ++j) total += sums[j][0];
  return total;
}

struct Probes {
  float (*read)(const float*, int64_t);
  float (*compute)(float);
  int lanes;
};

float read_plain(const float* data, int64_t count) { return read_all<16>(data, count); }
float compute_plain(float seed) { return multiply_add<16>(seed); }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float read_avx2(const float* data, int64_t count) {
  return read_all<32>(data, count);
}
__attribute__((target("avx2,fma"))) float compute_avx2(float seed) { return multiply_add<32>(seed); }
__attribute__((target("avx512f"))) float read_avx512(const float* data, int64_t count) {
  return read_all<64>(data, count);
}
__attribute__((target("avx512f"))) float compute_avx512(float seed) { return multiply_add<64>(seed); }
#endif

Probes choose_probes() {
#if defined(__x86_64__)
  const Isa best = list_usable_isas().back();
  if (best == Isa::kAvx512) return {&read_avx512, &compute_avx512, 16};
  if (best == Isa::kAvx2) return {&read_avx2, &compute_avx2, 8};
#endif
  return {&read_plain, &compute_plain, 4};
}

double seconds_of(ComputePool& pool, int64_t count, const std::function<float(int64_t, int64_t)>& body, float& sink) {
  std::mutex mutex;
  const auto start = std::chrono::steady_clock::now();
  pool.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    const float result = body(begin, end);
    const std::lock_guard lock(mutex);
    sink += result;
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

MachineProbe::MachineProbe(int64_t num_bytes) : memory_(static_cast<size_t>(num_bytes) / sizeof(float), 1.0f) {}

MachineFigures MachineProbe::look(ComputePool& pool) {
  static const Probes probes = choose_probes();
  const int num_threads = pool.num_threads();
  const auto count = static_cast<int64_t>(memory_.size());
  const double read_seconds = seconds_of(
      pool, count, [&](int64_t begin, int64_t end) { return probes.read(memory_.data() + begin, end - begin); }, sink_);
  const double fma_seconds = seconds_of(
      pool, num_threads,
      [&](int64_t begin, int64_t end) {
        float sum = 0;
        for (int64_t i = begin; i < end; ++i) sum += probes.compute(0.5f);
        return sum;
      },
      sink_);
  return {sizeof(float) * static_cast<double>(count) / read_seconds,
          2.0 * kFmaSteps * kNumSums * probes.lanes * num_threads / fma_seconds};
}

}  // namespace speculators
