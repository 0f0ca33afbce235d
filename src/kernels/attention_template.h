// Attention over pages, written once over a vector type T (vector_portable.h says what T offers).
// Up to kMaxQueries query heads go through the pages together, in tiles whose sums fit the registers: a key or value
// that was loaded serves all queries of a tile, and a page stays in the first-level cache for the next tile.
// Dims: H head dim, L lanes.
#pragma once

#include "kernels/attention_kernels.h"
#include "kernels/exp_template.h"
#include "kernels/kv_cache.h"

namespace speculators {
namespace {

template <class T>
struct Attention {
  using V = typename T::V;
  using Block = Lanes16<T>;
  static constexpr int kLanes = T::kLanes;
  static constexpr int kParts = Block::kParts;  // registers of a page's tokens
  static constexpr int kTile = 6;               // queries of a tile
  static constexpr int64_t kChunkPages = 4;
  static constexpr int kUnroll = 4;

  // Registers for sums: 12 of 16, 24 of 32.
  static constexpr int kSums = T::kRegisters == 32 ? 24 : 12;
  static constexpr int pages_for(int queries) {
    const int pages = kSums / kParts / queries;
    return pages > 4 ? 4 : pages;
  }
  static constexpr int columns_for(int queries) { return kSums / queries >= 8 ? 8 : kSums / queries >= 4 ? 4 : 2; }

  struct Range {
    int64_t begin, end;
  };

  // Pages are prefetched a chunk ahead, line by line between the multiply-adds, by the first tile of queries.
  static int64_t pages_ahead(const AttentionTask& task, int query, int64_t last_page) {
    const int64_t left = task.num_pages - 1 - last_page;
    return query > 0 ? 0 : left < kChunkPages ? left : kChunkPages;
  }

  // Scores of Q queries against P pages.
  template <int Q, int P>
  static __attribute__((noinline)) void score_tile(const AttentionTask& task, int query, int64_t page,
                                                   float* const* scores) {
    const int64_t ahead = pages_ahead(task, query, page + P - 1);
    const float* next[P];
    V sums[Q][P][kParts];
    const float* inputs[Q];
    const float* keys[P];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) inputs[q] = task.queries[query + q].q;
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      keys[p] = task.pages[page + p];
      next[p] = task.pages[page + p + ahead];
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        for (int i = 0; i < kParts; ++i) sums[q][p][i] = T::zero();
      }
    }
    const int64_t head_dim = task.head_dim;
    int64_t d = 0;
    for (; d + kUnroll <= head_dim; d += kUnroll) {
#pragma GCC unroll 4
      for (int i = 0; i < kUnroll; ++i) score_step<Q, P>(sums, inputs, keys, next, d + i);
    }
    for (; d < head_dim; ++d) score_step<Q, P>(sums, inputs, keys, next, d);
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        float* target = scores[query + q] + (page + p) * kPageTokens;
        for (int i = 0; i < kParts; ++i) T::store(target + i * kLanes, sums[q][p][i]);
      }
    }
  }

  template <int Q, int P>
  static inline __attribute__((always_inline)) void score_step(V (&sums)[Q][P][kParts], const float* const (&inputs)[Q],
                                                               const float* const (&keys)[P],
                                                               const float* const (&next)[P], int64_t d) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      T::prefetch(next[p] + d * kPageTokens);
      V key[kParts];
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) key[i] = T::load(keys[p] + d * kPageTokens + i * kLanes);
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        const V input = T::broadcast(inputs[q][d]);
#pragma GCC unroll 2
        for (int i = 0; i < kParts; ++i) sums[q][p][i] = T::fma(input, key[i], sums[q][p][i]);
        T::pin(sums[q][p][0], sums[q][p][kParts - 1]);
      }
    }
  }

  template <int Q>
  static void score_pages(const AttentionTask& task, int query, Range pages, float* const* scores) {
    constexpr int P = pages_for(Q);
    int64_t page = pages.begin;
    for (; page + P <= pages.end; page += P) score_tile<Q, P>(task, query, page, scores);
    for (; page < pages.end; ++page) score_tile<Q, 1>(task, query, page, scores);
  }

  // Replaces scores by e^(scale * score - max), 0 outside the query's range. Returns 1 / sum.
  static float exponentiate(const AttentionQuery& query, float scale, float* scores) {
    const int64_t first = query.begin / kPageTokens * kPageTokens;
    const int64_t last = (query.end + kPageTokens - 1) / kPageTokens * kPageTokens;
    const V factor = T::broadcast(scale);
    Block best = Block::broadcast(-__builtin_inff());
    for (int64_t t = first; t < last; t += kPageTokens) {
      const Block block = Block::load(scores + t);
      Block::map([&](int i) { return T::multiply(block.part[i], factor); }).store(scores + t);
      if (t < query.begin || t + kPageTokens > query.end) mask(query, t, scores);
      const Block scaled = Block::load(scores + t);
      best = Block::map([&](int i) { return T::max(best.part[i], scaled.part[i]); });
    }
    const V highest = T::broadcast(best.max());
    Block sums = Block::broadcast(0.0f);
    for (int64_t t = first; t < last; t += kPageTokens) {
      const Block block = Block::load(scores + t);
      const Block powers = Block::map([&](int i) { return exp_lanes<T>(T::subtract(block.part[i], highest)); });
      sums = Block::map([&](int i) { return T::add(sums.part[i], powers.part[i]); });
      powers.store(scores + t);
    }
    return 1.0f / sums.sum();
  }

  static void mask(const AttentionQuery& query, int64_t page_start, float* scores) {
    for (int64_t t = page_start; t < page_start + kPageTokens; ++t) {
      if (t < query.begin || t >= query.end) scores[t] = -__builtin_inff();
    }
  }

  // out[q][column ..] += sum over the tokens of probability * value.
  template <int Q, int C>
  static __attribute__((noinline)) void value_tile(const AttentionTask& task, int query, Range tokens, int64_t column,
                                                   float* const* scores) {
    V sums[Q][C];
    const float* weights[Q];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      weights[q] = scores[query + q];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[q][c] = T::load(task.queries[query + q].out + column + c * kLanes);
    }
    const int64_t head_dim = task.head_dim;
    for (int64_t t = tokens.begin; t < tokens.end;) {
      const int64_t page_end = (t / kPageTokens + 1) * kPageTokens;
      const int64_t stop = page_end < tokens.end ? page_end : tokens.end;
      const int64_t page = t / kPageTokens, offset = (kPageTokens + t % kPageTokens) * head_dim + column;
      const float* value = task.pages[page] + offset;
      const float* next = task.pages[page + pages_ahead(task, query, page)] + offset;
      for (; t < stop; ++t, value += head_dim, next += head_dim) {
        for (int c = 0; c < C; c += 16 / kLanes) T::prefetch(next + c * kLanes);
        value_step<Q, C>(sums, weights, value, t);
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) T::store(task.queries[query + q].out + column + c * kLanes, sums[q][c]);
    }
  }

  // The smaller of the two sets of factors stays in registers.
  template <int Q, int C>
  static inline __attribute__((always_inline)) void value_step(V (&sums)[Q][C], const float* const (&weights)[Q],
                                                               const float* value, int64_t t) {
    if constexpr (Q <= C) {
      V probabilities[Q];
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) probabilities[q] = T::broadcast(weights[q][t]);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        const V column = T::load(value + c * kLanes);
#pragma GCC unroll 8
        for (int q = 0; q < Q; ++q) sums[q][c] = T::fma(probabilities[q], column, sums[q][c]);
        T::pin(sums[0][c], sums[Q - 1][c]);
      }
    } else {
      V values[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) values[c] = T::load(value + c * kLanes);
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        const V probability = T::broadcast(weights[q][t]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sums[q][c] = T::fma(probability, values[c], sums[q][c]);
        T::pin(sums[q][0], sums[q][C - 1]);
      }
    }
  }

  static void value_column(const AttentionTask& task, int query, Range tokens, int64_t column, float* const* scores) {
    float sum = task.queries[query].out[column];
    for (int64_t t = tokens.begin; t < tokens.end; ++t) {
      const float* values = task.pages[t / kPageTokens] + kPageTokens * task.head_dim;
      sum = __builtin_fmaf(scores[query][t], values[t % kPageTokens * task.head_dim + column], sum);
    }
    task.queries[query].out[column] = sum;
  }

  // Columns from `column` on, C registers at a time, then half as many, and the last few one by one.
  template <int Q, int C>
  static void add_columns(const AttentionTask& task, int query, Range tokens, int64_t column, float* const* scores) {
    for (; column + C * kLanes <= task.head_dim; column += C * kLanes) {
      value_tile<Q, C>(task, query, tokens, column, scores);
    }
    if (column >= task.head_dim) return;
    if constexpr (C > 1) {
      add_columns<Q, C / 2>(task, query, tokens, column, scores);
    } else {
      for (; column < task.head_dim; ++column) {
        for (int q = query; q < query + Q; ++q) value_column(task, q, tokens, column, scores);
      }
    }
  }

  template <int Q>
  static void add_values(const AttentionTask& task, int query, Range tokens, float* const* scores) {
    if (tokens.begin < tokens.end) add_columns<Q, columns_for(Q)>(task, query, tokens, 0, scores);
  }

  // Calls function.template operator()<Q>(first query) for tiles of nearly equal size.
  template <class Function>
  static void for_tiles(int num_queries, Function&& function) {
    const int num_tiles = (num_queries + kTile - 1) / kTile;
    for (int tile = 0; tile < num_tiles; ++tile) {
      const int query = num_queries * tile / num_tiles;
      switch (num_queries * (tile + 1) / num_tiles - query) {
        case 1:
          function.template operator()<1>(query);
          break;
        case 2:
          function.template operator()<2>(query);
          break;
        case 3:
          function.template operator()<3>(query);
          break;
        case 4:
          function.template operator()<4>(query);
          break;
        case 5:
          function.template operator()<5>(query);
          break;
        default:
          function.template operator()<6>(query);
          break;
      }
    }
  }

  static void add_all_values(const AttentionTask& task, float* const* scores) {
    // Tokens that every query sees are taken together; what lies before and behind is each query's own.
    Range common{task.queries[0].begin, task.queries[0].end};
    for (int q = 1; q < task.num_queries; ++q) {
      const AttentionQuery& query = task.queries[q];
      common.begin = query.begin > common.begin ? query.begin : common.begin;
      common.end = query.end < common.end ? query.end : common.end;
    }
    const bool is_shared = common.begin < common.end;
    for (int q = 0; q < task.num_queries; ++q) {
      const AttentionQuery& query = task.queries[q];
      add_values<1>(task, q, {query.begin, is_shared ? common.begin : query.end}, scores);
    }
    if (!is_shared) return;
    for (int64_t t = common.begin; t < common.end;) {
      const int64_t chunk_end = (t / kPageTokens + kChunkPages) * kPageTokens;
      const int64_t stop = chunk_end < common.end ? chunk_end : common.end;
      for_tiles(task.num_queries, [&]<int Q>(int query) { add_values<Q>(task, query, {t, stop}, scores); });
      t = stop;
    }
    for (int q = 0; q < task.num_queries; ++q) add_values<1>(task, q, {common.end, task.queries[q].end}, scores);
  }

  static void attend(const AttentionTask& task) {
    float* scores[AttentionTask::kMaxQueries];
    for (int q = 0; q < task.num_queries; ++q) scores[q] = task.scores + q * task.num_pages * kPageTokens;
    for (int64_t page = 0; page < task.num_pages; page += kChunkPages) {
      const int64_t stop = page + kChunkPages < task.num_pages ? page + kChunkPages : task.num_pages;
      for_tiles(task.num_queries, [&]<int Q>(int query) { score_pages<Q>(task, query, {page, stop}, scores); });
    }
    float scales[AttentionTask::kMaxQueries];
    for (int q = 0; q < task.num_queries; ++q) {
      scales[q] = exponentiate(task.queries[q], task.scale, scores[q]);
      for (int64_t d = 0; d < task.head_dim; ++d) task.queries[q].out[d] = 0;
    }
    add_all_values(task, scores);
    for (int q = 0; q < task.num_queries; ++q) {
      for (int64_t d = 0; d < task.head_dim; ++d) task.queries[q].out[d] *= scales[q];
    }
  }
};

}  // namespace
}  // namespace speculators
