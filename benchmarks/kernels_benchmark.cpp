// How near the kernels come to what the machine allows, on SmolLM2-135M's shapes with weights too many for the caches.
// Repetitions are interleaved with the probes and the best counts, so that noise hits all alike.
// Usage: kernels_benchmark [seconds per table, default 3]; SPECULATORS_NUM_THREADS and SPECULATORS_ISA choose.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/compute_pool.h"
#include "kernels/isa.h"
#include "kernels/kv_cache.h"
#include "kernels/ops.h"
#include "kernels/packed_linear.h"
#include "machine_probe.h"

namespace speculators {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kHidden = 576, kIntermediate = 1536, kHeads = 9, kKvHeads = 3, kHeadDim = 64, kVocabulary = 49152;
constexpr int64_t kNumLayers = 30;
constexpr int64_t kRowCounts[] = {1, 2, 3, 4, 6, 8, 16, 128, 512};
constexpr int64_t kColdBytes = 96 << 20;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return seconds_since(start);
}

void keep_best(const MachineFigures& look, MachineFigures& best) {
  best.bytes_per_second = std::max(best.bytes_per_second, look.bytes_per_second);
  best.flops_per_second = std::max(best.flops_per_second, look.flops_per_second);
}

// Work that takes a known time: what a region of it takes longer is the barrier's cost.
void spin(double seconds) {
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
  }
}

std::vector<float> random_floats(int64_t count) {
  static std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(generator);
  return values;
}

PackedLinear random_linear(int64_t num_outputs, int64_t num_inputs) {
  static std::mt19937 generator(2);
  std::vector<Bf16> weight(static_cast<size_t>(num_outputs * num_inputs));
  for (Bf16& value : weight) value.bits = static_cast<uint16_t>(0x3c00 | (generator() & 0x80ff));  // around 0.01
  return PackedLinear(weight, num_outputs, num_inputs);
}

// One line: time against the larger of reading the bytes and doing the operations.
struct Product {
  double bytes, flops, seconds = 1e9;
  void print(const std::string& name, const MachineFigures& machine) const {
    const double memory_time = bytes / machine.bytes_per_second, compute_time = flops / machine.flops_per_second;
    fmt::print("{:<28} {:>10.1f} us {:>7.2f} GB/s {:>5.0f} % {:>8.1f} GFLOP/s {:>5.0f} % {:>7.2f}\n", name,
               seconds * 1e6, bytes / seconds / 1e9, 100 * memory_time / seconds, flops / seconds / 1e9,
               100 * compute_time / seconds, seconds / std::max(memory_time, compute_time));
  }
};

void print_header(const std::string& title) {
  fmt::print("\n{}\n{:<28} {:>13} {:>12} {:>7} {:>16} {:>7} {:>7}\n", title, "", "best time", "bandwidth", "share",
             "arithmetic", "share", "ratio");
}

class Bench {
 public:
  explicit Bench(double seconds_per_table) : seconds_per_table_(seconds_per_table) {
    for (int i = 0; i < 20; ++i) keep_best(probe_.look(compute_pool()), machine_);
  }

  void print_machine() {
    ComputePool single(1);
    MachineFigures one;
    for (int i = 0; i < 8; ++i) {
      keep_best(probe_.look(single), one);
      keep_best(probe_.look(compute_pool()), machine_);
    }
    fmt::print("kernels: {}, {} threads\n", isa_name(current_isa()), compute_pool().num_threads());
    fmt::print("1 thread : {:6.2f} GB/s read, {:7.1f} GFLOP/s fp32\n", one.bytes_per_second / 1e9,
               one.flops_per_second / 1e9);
    print_yardstick();
  }

  // The best so far: printed again at the end, since a busy machine shows its best late.
  void print_yardstick() const {
    fmt::print("{} threads: {:6.2f} GB/s read, {:7.1f} GFLOP/s fp32\n", compute_pool().num_threads(),
               machine_.bytes_per_second / 1e9, machine_.flops_per_second / 1e9);
  }

  // Measures until the time is up; `work` runs variant `i` once.
  void repeat(std::vector<Product>& products, const std::function<void(size_t)>& work) {
    const auto start = Clock::now();
    int repetition = 0;
    do {
      for (size_t i = 0; i < products.size(); ++i) {
        products[i].seconds = std::min(products[i].seconds, seconds_of([&] { work(i); }));
      }
      if (++repetition % 16 == 0) keep_best(probe_.look(compute_pool()), machine_);
    } while (seconds_since(start) < seconds_per_table_);
  }

  void linear(const std::string& name, int64_t num_outputs, int64_t num_inputs) {
    std::vector<PackedLinear> copies;
    const int64_t bytes = num_outputs * num_inputs * 2;
    for (int64_t i = 0; i < std::max<int64_t>(kColdBytes / bytes, 2); ++i) {
      copies.push_back(random_linear(num_outputs, num_inputs));
    }
    const std::vector<float> x = random_floats(512 * num_inputs);
    std::vector<float> y(static_cast<size_t>(512 * num_outputs));
    std::vector<Product> products;
    for (const int64_t rows : kRowCounts) {
      products.push_back({static_cast<double>(bytes), 2.0 * static_cast<double>(rows * num_outputs * num_inputs)});
    }
    size_t next = 0;
    repeat(products, [&](size_t i) { copies[next++ % copies.size()].forward(x.data(), kRowCounts[i], y.data()); });
    print_header(fmt::format("{} [{}, {}]", name, num_outputs, num_inputs));
    for (size_t i = 0; i < products.size(); ++i) products[i].print(fmt::format("{} rows", kRowCounts[i]), machine_);
  }

  void decode_step() {
    struct Layer {
      PackedLinear qkv, o, gate_up, down;
    };
    std::vector<Layer> layers;
    for (int64_t i = 0; i < kNumLayers; ++i) {
      layers.push_back({random_linear((kHeads + 2 * kKvHeads) * kHeadDim, kHidden), random_linear(kHidden, kHidden),
                        random_linear(2 * kIntermediate, kHidden), random_linear(kHidden, kIntermediate)});
    }
    const PackedLinear lm_head = random_linear(kVocabulary, kHidden);
    double bytes = static_cast<double>(lm_head.weight_bytes());
    for (const Layer& layer : layers) {
      bytes += static_cast<double>(layer.qkv.weight_bytes() + layer.o.weight_bytes() + layer.gate_up.weight_bytes() +
                                   layer.down.weight_bytes());
    }
    const std::vector<int64_t> row_counts = {1, 2, 3, 4, 6, 8, 16};
    const std::vector<float> x = random_floats(16 * kIntermediate);
    std::vector<float> y(static_cast<size_t>(16 * kVocabulary));
    std::vector<Product> products;
    for (const int64_t rows : row_counts) products.push_back({bytes, bytes * static_cast<double>(rows)});
    repeat(products, [&](size_t i) {
      for (const Layer& layer : layers) {
        layer.qkv.forward(x.data(), row_counts[i], y.data());
        layer.o.forward(x.data(), row_counts[i], y.data());
        layer.gate_up.forward(x.data(), row_counts[i], y.data());
        layer.down.forward(x.data(), row_counts[i], y.data());
      }
      lm_head.forward(x.data(), row_counts[i], y.data());
    });
    print_header(fmt::format("all linears of a step, {:.0f} MB of weights", bytes / 1e6));
    for (size_t i = 0; i < products.size(); ++i) products[i].print(fmt::format("{} rows", row_counts[i]), machine_);
  }

  // `num_rows` rows at the end of a context, in a cache of several layers so that pages are cold.
  void attention_step() {
    print_header("attention (fp32 cache), one layer");
    for (const int64_t context : {128, 512, 2048, 8192}) {
      KvPool pool(std::max<int64_t>(65536 / context, 2), kKvHeads, kHeadDim);
      KvSequence sequence(pool);
      sequence.extend(context);
      const std::vector<float> row = random_floats(kKvHeads * kHeadDim);
      for (int64_t layer = 0; layer < pool.num_layers(); ++layer) {
        for (int64_t t = 0; t < context; ++t) sequence.store(layer, t, row.data(), row.data());
      }
      const std::vector<int64_t> row_counts = {1, 4, 8, 128};
      const std::vector<float> q = random_floats(128 * kHeads * kHeadDim);
      std::vector<float> out(q.size());
      std::vector<Product> products;
      std::vector<std::vector<AttentionRow>> batches;
      const double kv_bytes = static_cast<double>(context * kKvHeads * kHeadDim) * 2 * 4;
      for (const int64_t rows : row_counts) {
        products.push_back({kv_bytes, 4.0 * static_cast<double>(rows * context * kHeads * kHeadDim)});
        batches.emplace_back();
        for (int64_t m = 0; m < rows; ++m) batches.back().push_back({&sequence, 0, context - rows + m + 1});
      }
      int64_t layer = 0;
      repeat(products, [&](size_t i) {
        attention(q.data(), kHeads * kHeadDim, batches[i], layer++ % pool.num_layers(), kHeads, 0.125f, out.data());
      });
      for (size_t i = 0; i < products.size(); ++i) {
        products[i].print(fmt::format("{} keys, {} rows", context, row_counts[i]), machine_);
      }
    }
  }

  void small_things() {
    const std::vector<float> weight = random_floats(kHidden), source = random_floats(8 * kVocabulary);
    std::vector<float> x = random_floats(8 * kVocabulary), y(x.size());
    RopeTable table{random_floats(64 * 32), random_floats(64 * 32), 32};
    const std::vector<int64_t> positions = {5, 6, 7, 8, 9, 10, 11, 12};
    struct Item {
      std::string name;
      std::function<void()> work;
    };
    const std::vector<Item> items = {
        {"empty parallel region", [] { compute_pool().parallel_for(1000, 1, [](int64_t, int64_t) {}); }},
        {"region of 5 us a thread", [] { compute_pool().parallel_for(1000, 1, [](int64_t, int64_t) { spin(5e-6); }); }},
        {"rms_norm [1, 576]", [&] { rms_norm(x.data(), weight.data(), 1, kHidden, 1e-5f, y.data()); }},
        {"add_rms_norm [8, 576]",
         [&] { add_rms_norm(x.data(), source.data(), weight.data(), 8, kHidden, 1e-5f, y.data()); }},
        {"silu_mul [1, 1536]", [&] { silu_mul(source.data(), 1, kIntermediate, y.data()); }},
        {"silu_mul [8, 1536]", [&] { silu_mul(source.data(), 8, kIntermediate, y.data()); }},
        {"apply_rope [8, 9, 64]",
         [&] { apply_rope(x.data(), positions.data(), 8, kHeads, kHeadDim, kHeads * kHeadDim, table); }},
        {"argmax [49152]", [&] { y[0] = static_cast<float>(argmax(source.data(), kVocabulary)); }},
        {"softmax [49152]",
         [&] {
           std::copy_n(source.data(), kVocabulary, y.data());
           softmax(y.data(), kVocabulary, 1.0f);
         }},
    };
    fmt::print("\nsmall things, best time of one call\n");
    for (const Item& item : items) {
      double best = 1e9;
      const auto start = Clock::now();
      while (seconds_since(start) < seconds_per_table_ / 8) {
        best = std::min(best, seconds_of([&] {
                                for (int i = 0; i < 50; ++i) item.work();
                              }) / 50);
      }
      fmt::print("{:<28} {:>10.2f} us\n", item.name, best * 1e6);
    }
  }

 private:
  double seconds_per_table_;
  MachineProbe probe_;
  MachineFigures machine_;
};

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  using namespace speculators;
  Bench bench(argc > 1 ? std::atof(argv[1]) : 3.0);
  bench.print_machine();
  bench.linear("q, k, v", (kHeads + 2 * kKvHeads) * kHeadDim, kHidden);
  bench.linear("o", kHidden, kHidden);
  bench.linear("gate, up", 2 * kIntermediate, kHidden);
  bench.linear("down", kHidden, kIntermediate);
  bench.linear("lm_head", kVocabulary, kHidden);
  bench.decode_step();
  bench.attention_step();
  bench.small_things();
  bench.print_yardstick();
  return 0;
}
