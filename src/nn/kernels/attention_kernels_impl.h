// Attention of RowKernels: tiles of queries against a range of base keys (matrix products) and each query's own keys
// (dot products), one softmax over both. Memory is one tile of scores per thread. Included once per instruction set.
// Source: reference algorithms.md 5.4, 7.4, 23. Dims: N heads, Nk key/value heads, g = N/Nk, H head dim, n keys of a
// tile.
#pragma once

#include <atomic>

#include "nn/kernels/gemm.h"
#include "nn/kernels/layer_kernels_impl.h"

namespace speculators::nn {
namespace {

constexpr int64_t kTileScores = 96 * 1024;  // floats of scores in a tile: what stays in the second-level cache
constexpr int64_t kMostTileQueries = 64;

// Consecutive queries of one task under one key/value head.
struct Tile {
  const int64_t* queries = nullptr;
  int64_t num_queries = 0, kv_head = 0;
  int64_t first = 0, last = 0;  // base keys that any of them sees
};

// f(item) for every item, handed out one by one: tiles differ in size. `work` is in multiply-adds.
template <class Function>
void parallel_items(int64_t count, int64_t work, const Function& f) {
  constexpr int64_t kWorthThreads = 200000;
  std::atomic<int64_t> next{0};
#pragma omp parallel if (work > kWorthThreads)
  {
    for (int64_t item = next++; item < count; item = next++) f(item);
  }
}

void append_tiles(const AttentionRows& rows, const AttentionTask& task, int64_t kv_head, std::vector<Tile>& tiles) {
  const int64_t group = rows.shape.num_heads / rows.shape.num_kv_heads;
  const auto total = static_cast<int64_t>(task.queries.size());
  for (int64_t begin = 0; begin < total;) {
    Tile tile{task.queries.data() + begin, 0, kv_head, rows.first[task.queries[begin]], rows.last[task.queries[begin]]};
    while (begin + tile.num_queries < total && tile.num_queries < kMostTileQueries) {
      const int64_t query = task.queries[begin + tile.num_queries];
      const int64_t first = std::min(tile.first, rows.first[query]), last = std::max(tile.last, rows.last[query]);
      if (tile.num_queries >= 8 && (tile.num_queries + 1) * group * (last - first) > kTileScores) break;
      tile.first = first;
      tile.last = last;
      ++tile.num_queries;
    }
    begin += tile.num_queries;
    tiles.push_back(tile);
  }
}

// One thread's working memory for a tile.
struct TileBuffers {
  std::vector<float> q, scores, out, d_out, d_scores, d_q, own, d_own;
};

struct TileRows {
  const AttentionRows& rows;
  const Tile& tile;
  int64_t group, head_dim, width, num_keys, kv_width;
  TileRows(const AttentionRows& r, const Tile& t)
      : rows(r),
        tile(t),
        group(r.shape.num_heads / r.shape.num_kv_heads),
        head_dim(r.shape.head_dim),
        width(r.shape.num_heads * r.shape.head_dim),
        num_keys(t.last - t.first),
        kv_width(r.shape.num_kv_heads * r.shape.head_dim) {}
  int64_t num_rows() const { return tile.num_queries * group; }  // (query, head of the group)
  int64_t query(int64_t row) const { return tile.queries[row / group]; }
  int64_t head(int64_t row) const { return tile.kv_head * group + row % group; }
  int64_t column() const { return tile.kv_head * head_dim; }
  Matrix keys(bool transposed) const {
    return {rows.base_keys + tile.first * rows.base_key_stride + column(), rows.base_key_stride, transposed};
  }
  Matrix values(bool transposed) const {
    return {rows.base_values + tile.first * rows.base_value_stride + column(), rows.base_value_stride, transposed};
  }
  const float* own_key(int64_t i) const { return rows.own_keys + rows.own_index[i] * rows.own_key_stride + column(); }
  const float* own_value(int64_t i) const {
    return rows.own_values + rows.own_index[i] * rows.own_value_stride + column();
  }
};

// q of the tile, scaled. [rows, H]
void pack_queries(const TileRows& t, std::vector<float>& q) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(t.head_dim));
  q.resize(t.num_rows() * t.head_dim);
  for (int64_t r = 0; r < t.num_rows(); ++r) {
    const float* from = t.rows.q + t.query(r) * t.width + t.head(r) * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) q[r * t.head_dim + d] = from[d] * scale;
  }
}

void score_tile(const TileRows& t, TileBuffers& b) {
  pack_queries(t, b.q);
  b.scores.resize(t.num_rows() * t.num_keys);
  if (t.num_keys == 0) return;
  multiply({t.num_rows(), t.num_keys, t.head_dim, {b.q.data(), t.head_dim}, t.keys(true)}, b.scores.data(), t.num_keys);
}

// Scores become exp(score - maximum) where visible, 0 elsewhere; own scores likewise. Gives sum and maximum.
struct SoftmaxSums {
  float sum, maximum;
};
SoftmaxSums exponentiate(const TileRows& t, int64_t r, float* scores, const float* q, std::vector<float>& own) {
  const int64_t query = t.query(r);
  const int64_t lo = t.rows.first[query] - t.tile.first, hi = t.rows.last[query] - t.tile.first;
  const int64_t own_begin = t.rows.own_begin[query], num_own = t.rows.own_begin[query + 1] - own_begin;
  own.resize(num_own);
  float maximum = -INFINITY;
#pragma omp simd reduction(max : maximum)
  for (int64_t i = lo; i < hi; ++i) maximum = scores[i] > maximum ? scores[i] : maximum;
  for (int64_t i = 0; i < num_own; ++i) {
    own[i] = dot(q, t.own_key(own_begin + i), t.head_dim);
    maximum = std::max(maximum, own[i]);
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = lo; i < hi; ++i) {
    scores[i] = fast_exp(scores[i] - maximum);
    sum += scores[i];
  }
  for (float& score : own) {
    score = std::exp(score - maximum);
    sum += score;
  }
  std::fill(scores, scores + lo, 0.0f);
  std::fill(scores + std::max(lo, hi), scores + t.num_keys, 0.0f);
  return {sum, maximum};
}

int64_t work_of(const AttentionRows& rows) {
  int64_t keys = 0;
  for (const AttentionTask& task : *rows.tasks) {
    for (const int64_t query : task.queries) keys += rows.last[query] - rows.first[query];
  }
  return keys * rows.shape.num_heads * rows.shape.head_dim;
}

void attend_tile(const AttentionRows& rows, const Tile& tile, TileBuffers& b, float* out, float* lse) {
  const TileRows t(rows, tile);
  score_tile(t, b);
  std::vector<SoftmaxSums> sums(t.num_rows());
  b.out.assign(t.num_rows() * t.head_dim, 0.0f);
  for (int64_t r = 0; r < t.num_rows(); ++r) {
    sums[r] = exponentiate(t, r, b.scores.data() + r * t.num_keys, b.q.data() + r * t.head_dim, b.own);
    float* mixed = b.out.data() + r * t.head_dim;
    const int64_t own_begin = rows.own_begin[t.query(r)];
    for (size_t i = 0; i < b.own.size(); ++i) {
      const float* value = t.own_value(own_begin + static_cast<int64_t>(i));
      for (int64_t d = 0; d < t.head_dim; ++d) mixed[d] += b.own[i] * value[d];
    }
  }
  if (t.num_keys > 0) {
    multiply({t.num_rows(), t.head_dim, t.num_keys, {b.scores.data(), t.num_keys}, t.values(false), true}, b.out.data(),
             t.head_dim);
  }
  for (int64_t r = 0; r < t.num_rows(); ++r) {
    const float inverse = sums[r].sum > 0 ? 1.0f / sums[r].sum : 0.0f;
    float* to = out + t.query(r) * t.width + t.head(r) * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) to[d] = b.out[r * t.head_dim + d] * inverse;
    lse[t.query(r) * rows.shape.num_heads + t.head(r)] =
        sums[r].sum > 0 ? sums[r].maximum + std::log(sums[r].sum) : 0.0f;
  }
}

void attention(const AttentionRows& rows, float* out, float* lse) {
  std::vector<Tile> tiles;
  for (const AttentionTask& task : *rows.tasks) {
    for (int64_t head = 0; head < rows.shape.num_kv_heads; ++head) append_tiles(rows, task, head, tiles);
  }
  parallel_items(static_cast<int64_t>(tiles.size()), work_of(rows), [&](int64_t i) {
    static thread_local TileBuffers buffers;
    attend_tile(rows, tiles[i], buffers, out, lse);
  });
}

// One row's probabilities and score gradients: scores and d_scores [n] in place, own keys directly.
void backward_row(const TileRows& t, const AttentionGradients& g, int64_t r, TileBuffers& b) {
  const int64_t query = t.query(r), head = t.head(r), at = query * t.width + head * t.head_dim;
  const float lse = g.lse[query * t.rows.shape.num_heads + head];
  const float *q = b.q.data() + r * t.head_dim, *d_out = g.d_out + at;
  const float share = dot(d_out, g.out + at, t.head_dim);
  const int64_t lo = t.rows.first[query] - t.tile.first, hi = t.rows.last[query] - t.tile.first;
  float *scores = b.scores.data() + r * t.num_keys, *d_scores = b.d_scores.data() + r * t.num_keys;
#pragma omp simd
  for (int64_t i = lo; i < hi; ++i) {
    scores[i] = fast_exp(scores[i] - lse);
    d_scores[i] = scores[i] * (d_scores[i] - share);
  }
  for (float* row : {scores, d_scores}) {
    std::fill(row, row + lo, 0.0f);
    std::fill(row + std::max(lo, hi), row + t.num_keys, 0.0f);
  }
  float* d_q = b.d_q.data() + r * t.head_dim;
  for (int64_t i = t.rows.own_begin[query]; i < t.rows.own_begin[query + 1]; ++i) {
    const float *key = t.own_key(i), *value = t.own_value(i);
    const float p = std::exp(dot(q, key, t.head_dim) - lse);
    const float d_score = p * (dot(d_out, value, t.head_dim) - share);
    const int64_t offset = t.rows.own_index[i] * t.kv_width + t.column();
    float *d_key = g.d_own_keys + offset, *d_value = g.d_own_values + offset;
#pragma omp simd
    for (int64_t d = 0; d < t.head_dim; ++d) {
      d_q[d] += d_score * key[d];
      d_key[d] += d_score * q[d];
      d_value[d] += p * d_out[d];
    }
  }
}

void backward_tile(const AttentionRows& rows, const Tile& tile, const AttentionGradients& g, TileBuffers& b) {
  const TileRows t(rows, tile);
  const int64_t num_rows = t.num_rows(), n = t.num_keys, head_dim = t.head_dim;
  score_tile(t, b);
  b.d_out.resize(num_rows * head_dim);
  b.d_scores.resize(num_rows * n);
  b.d_q.assign(num_rows * head_dim, 0.0f);
  for (int64_t r = 0; r < num_rows; ++r) {
    const float* from = g.d_out + t.query(r) * t.width + t.head(r) * head_dim;
    std::copy(from, from + head_dim, b.d_out.data() + r * head_dim);
  }
  if (n > 0) multiply({num_rows, n, head_dim, {b.d_out.data(), head_dim}, t.values(true)}, b.d_scores.data(), n);
  for (int64_t r = 0; r < num_rows; ++r) backward_row(t, g, r, b);
  if (n > 0) {
    const int64_t offset = tile.first * t.kv_width + t.column();
    multiply({num_rows, head_dim, n, {b.d_scores.data(), n}, t.keys(false), true}, b.d_q.data(), head_dim);
    multiply({n, head_dim, num_rows, {b.d_scores.data(), n, true}, {b.q.data(), head_dim}, true},
             g.d_base_keys + offset, t.kv_width);
    multiply({n, head_dim, num_rows, {b.scores.data(), n, true}, {b.d_out.data(), head_dim}, true},
             g.d_base_values + offset, t.kv_width);
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  for (int64_t r = 0; r < num_rows; ++r) {
    float* to = g.d_q + t.query(r) * t.width + t.head(r) * head_dim;
    for (int64_t d = 0; d < head_dim; ++d) to[d] = b.d_q[r * head_dim + d] * scale;
  }
}

// A task's keys under one key/value head belong to one thread, so that gradients of keys need no lock.
void attention_backward(const AttentionRows& rows, const AttentionGradients& gradients) {
  const auto num_tasks = static_cast<int64_t>(rows.tasks->size()), heads = rows.shape.num_kv_heads;
  parallel_items(num_tasks * heads, work_of(rows), [&](int64_t i) {
    static thread_local TileBuffers buffers;
    std::vector<Tile> tiles;
    append_tiles(rows, (*rows.tasks)[i / heads], i % heads, tiles);
    for (const Tile& tile : tiles) backward_tile(rows, tile, gradients, buffers);
  });
}

}  // namespace
}  // namespace speculators::nn
