// The kernels of PackedLinear, written once over a vector type T (vector_portable.h says what T offers).
// A tile is R rows by P panels whose sums stay in registers while k runs from 0 to K: 2 R P accumulators hide the
// latency of the multiply-adds, and a weight loaded once serves R rows. While a panel is worked on, the next one is
// prefetched, so that reading memory goes on under the arithmetic.
// Dims: K inputs, L lanes.
#pragma once

#include "kernels/linear_kernels.h"

namespace speculators {
namespace {

template <class T>
struct LinearTiles {
  using V = typename T::V;
  static constexpr int kLanes = T::kLanes;
  static constexpr int kWidth = 2 * kLanes;  // outputs of a panel
  static constexpr int kUnroll = 8;
  static constexpr int kMaxRows = T::kRegisters == 32 ? 12 : 6;
  static constexpr int kMaxPanels = 6;

  // Panels of a tile of R rows: the sums, one panel's weights and R inputs must fit the registers.
  static constexpr int panels_for(int rows) {
    if (T::kRegisters == 32) return rows == 1 ? 6 : rows == 2 ? 4 : rows == 3 ? 3 : rows <= 6 ? 2 : 1;
    return rows == 1 ? 6 : rows == 2 ? 3 : rows == 3 ? 2 : 1;
  }

  // Weights to fetch while a tile is computed: the lines of a region of memory.
  struct Prefetch {
    const char* begin = nullptr;
    int64_t num_bytes = 0;
  };
  static constexpr int64_t kLine = 64;
  static constexpr int64_t kStepBytes = kUnroll * kWidth * static_cast<int64_t>(sizeof(Bf16));

  // Where the inputs of R rows lie: a pointer for every third row, since one stride register serves base, base + stride
  // and base + 2 stride.
  template <int R>
  struct Inputs {
    static constexpr int kBases = (R + 2) / 3;
    const float* bases[kBases];
    int64_t stride;

    Inputs(const float* x, int64_t stride) : stride(stride) {
      for (int i = 0; i < kBases; ++i) bases[i] = x + 3 * i * stride;
    }
    float at(int row, int k) const { return (bases[row / 3] + row % 3 * stride)[k]; }
  };

  template <int R, int P>
  static inline __attribute__((always_inline)) void step(V (&sums)[R][P][2], const Inputs<R>& inputs,
                                                         const Bf16* const (&panels)[P], int k) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      V low, high;
      T::widen(panels[p] + k * kWidth, low, high);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V input = T::broadcast(inputs.at(r, k));
        sums[r][p][0] = T::fma(input, low, sums[r][p][0]);
        sums[r][p][1] = T::fma(input, high, sums[r][p][1]);
        T::pin(sums[r][p][0], sums[r][p][1]);
      }
    }
  }

  template <int R, int P>
  static inline __attribute__((always_inline)) void advance(Inputs<R>& inputs, const Bf16* (&panels)[P], int k) {
    // The empty statements keep the compiler from one pointer for every row, panel and unrolled k.
#pragma GCC unroll 16
    for (int i = 0; i < Inputs<R>::kBases; ++i) {
      inputs.bases[i] += k;
      asm("" : "+r"(inputs.bases[i]));
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      panels[p] += k * kWidth;
      asm("" : "+r"(panels[p]));
    }
  }

  static inline __attribute__((always_inline)) void store_panel(const LinearProduct& product, int64_t row,
                                                                int64_t panel, V low, V high) {
    const int64_t output = panel * kWidth;
    float* y = product.y + row * product.num_outputs + output;
    if (output + kWidth <= product.num_outputs) {
      T::store(y, low);
      T::store(y + kLanes, high);
      return;
    }
    float padded[kWidth];
    T::store(padded, low);
    T::store(padded + kLanes, high);
    for (int64_t j = 0; j < product.num_outputs - output; ++j) y[j] = padded[j];
  }

  // One run of kUnroll inputs after the other; of each of P streams `F` lines are fetched in a run, evenly between the
  // multiply-adds, since a burst of prefetches fills the queue of misses and is dropped.
  template <int R, int P, int F>
  static inline __attribute__((always_inline)) void steps(V (&sums)[R][P][2], Inputs<R>& inputs,
                                                          const Bf16* (&panels)[P], const float* end,
                                                          Prefetch prefetch) {
    [[maybe_unused]] const int64_t stream = prefetch.num_bytes / P;
    [[maybe_unused]] int64_t pace = 0;
    [[maybe_unused]] const char* next = prefetch.begin;
    if constexpr (F > 0) {
      pace = stream * kUnroll / ((end - inputs.bases[0]) * F);
      if (pace > kLine) pace = kLine;
    }
    for (const float* last = end - (kUnroll - 1); inputs.bases[0] < last;) {
#pragma GCC unroll 8
      for (int i = 0; i < kUnroll; ++i) {
        if constexpr (F > 0) {
          if (i % (kUnroll / F) == 0) {
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) T::prefetch(next + p * stream);
            next += pace;
          }
        }
        step<R, P>(sums, inputs, panels, i);
      }
      advance<R, P>(inputs, panels, kUnroll);
    }
  }

  template <int R, int P>
  static void tile(const LinearProduct& product, int64_t row, int64_t panel, Prefetch prefetch) {
    const int64_t num_inputs = product.num_inputs;
    const int64_t panel_size = num_inputs * kWidth;
    const float* x = product.x + row * num_inputs;
    const Bf16* panels[P];
    V sums[R][P][2];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      panels[p] = product.panels + (panel + p) * panel_size;
      const float* bias = product.bias == nullptr ? nullptr : product.bias + (panel + p) * kWidth;
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sums[r][p][0] = bias == nullptr ? T::zero() : T::load(bias);
        sums[r][p][1] = bias == nullptr ? T::zero() : T::load(bias + kLanes);
      }
    }
    Inputs<R> inputs(x, num_inputs);
    const float* const end = x + num_inputs;
    constexpr int kFull = kStepBytes / kLine;
    if (prefetch.num_bytes == 0) {
      steps<R, P, 0>(sums, inputs, panels, end, prefetch);
    } else if (prefetch.num_bytes * 2 <= P * panel_size * static_cast<int64_t>(sizeof(Bf16))) {
      steps<R, P, kFull / 2>(sums, inputs, panels, end, prefetch);
    } else {
      steps<R, P, kFull>(sums, inputs, panels, end, prefetch);
    }
    while (inputs.bases[0] < end) {
      step<R, P>(sums, inputs, panels, 0);
      advance<R, P>(inputs, panels, 1);
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) store_panel(product, row + r, panel + p, sums[r][p][0], sums[r][p][1]);
    }
  }

  using Tile = void (*)(const LinearProduct&, int64_t row, int64_t panel, Prefetch);
  struct TileTable {
    Tile tiles[kMaxRows + 1][kMaxPanels + 1] = {};
    template <int R, int P>
    constexpr void fill() {
      tiles[R][P] = &tile<R, P>;
      if constexpr (P < panels_for(R)) {
        fill<R, P + 1>();
      } else if constexpr (R < kMaxRows) {
        fill<R + 1, 1>();
      }
    }
    constexpr TileTable() { fill<1, 1>(); }
  };
  static constexpr TileTable kTable{};

  // Blocks of nearly equal height: eight rows are 4 + 4, not 6 + 2.
  struct Blocks {
    int64_t num_rows, count;
    explicit Blocks(int64_t num_rows) : num_rows(num_rows), count((num_rows + kMaxRows - 1) / kMaxRows) {}
    int64_t begin(int64_t block) const { return num_rows * block / count; }
    int smallest() const { return static_cast<int>(num_rows / count); }
  };

  // What a block of rows fetches of the next panels [begin, end) while it works: its share of them. One row leaves it
  // to the processor, which follows the tile's streams best alone.
  static Prefetch plan_prefetch(const LinearProduct& product, int64_t begin, int64_t end, int64_t block,
                                Blocks blocks) {
    if (blocks.num_rows == 1) return {};
    const int64_t panel_bytes = product.num_inputs * kWidth * static_cast<int64_t>(sizeof(Bf16));
    const char* next = reinterpret_cast<const char*>(product.panels) + begin * panel_bytes;
    const int64_t num_bytes = (end - begin) * panel_bytes;
    return {next + num_bytes * block / blocks.count, num_bytes / blocks.count};
  }

  static void multiply(const LinearProduct& product, const LinearRange& range) {
    const Blocks blocks(range.row_end - range.row_begin);
    const int64_t group = panels_for(blocks.smallest());
    for (int64_t panel = range.panel_begin; panel < range.panel_end; panel += group) {
      const int64_t group_end = panel + group < range.panel_end ? panel + group : range.panel_end;
      const int64_t next_end = group_end + group < range.panel_end ? group_end + group : range.panel_end;
      for (int64_t block = 0; block < blocks.count; ++block) {
        multiply_block(
            product,
            {range.row_begin + blocks.begin(block), range.row_begin + blocks.begin(block + 1), panel, group_end},
            plan_prefetch(product, group_end, next_end, block, blocks));
      }
    }
  }

  static void multiply_block(const LinearProduct& product, const LinearRange& range, Prefetch prefetch) {
    const int rows = static_cast<int>(range.row_end - range.row_begin);
    for (int64_t panel = range.panel_begin; panel < range.panel_end;) {
      const int64_t left = range.panel_end - panel;
      const int64_t panels = left < panels_for(rows) ? left : panels_for(rows);
      kTable.tiles[rows][panels](product, range.row_begin, panel, prefetch);
      prefetch = {};
      panel += panels;
    }
  }
};

}  // namespace
}  // namespace speculators
