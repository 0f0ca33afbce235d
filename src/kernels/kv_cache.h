// Keys and values of many sequences in fixed-size pages from one pool. Keys are stored transposed inside a page
// ([H, kPageTokens]) so that scores of a page's tokens fill SIMD lanes without horizontal sums; values are
// [kPageTokens, H].
// Dims: N query heads, Nk key/value heads, H head dim.
// Not thread-safe, except that attention kernels read pages from worker threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/aligned.h"

namespace speculators {

inline constexpr int64_t kPageTokens = 16;

// All pages of one model: every layer's keys and values of kPageTokens tokens. A new page holds zeros, a reused one
// holds what its last owner stored.
class KvPool {
 public:
  // Throws ShapeError when a size is not positive.
  KvPool(int64_t num_layers, int64_t num_kv_heads, int64_t head_dim);

  int32_t allocate_page();  // grows the pool when no page is free
  void free_page(int32_t page);
  int64_t num_pages_in_use() const;

  int64_t num_layers() const { return num_layers_; }
  int64_t num_kv_heads() const { return num_kv_heads_; }
  int64_t head_dim() const { return head_dim_; }
  float* keys(int32_t page, int64_t layer, int64_t kv_head);    // [H, kPageTokens]
  float* values(int32_t page, int64_t layer, int64_t kv_head);  // [kPageTokens, H]

 private:
  int64_t num_layers_, num_kv_heads_, head_dim_, page_floats_;
  std::vector<AlignedArray<float>> slabs_;  // several pages each, so that huge pages fit
  std::vector<float*> pages_;
  std::vector<int32_t> free_;
};

// One sequence's pages. Frees them when it goes; the pool must outlive it.
class KvSequence {
 public:
  explicit KvSequence(KvPool& pool) : pool_(&pool) {}
  KvSequence(KvSequence&& other) noexcept;
  KvSequence& operator=(KvSequence&& other) noexcept;
  ~KvSequence();

  int64_t length() const { return length_; }  // tokens whose keys and values are kept
  void extend(int64_t num_tokens);            // makes room for tokens [length, length + num_tokens) and counts them
  void truncate(int64_t length);              // forgets rejected tokens; frees pages behind. Throws ShapeError
  const std::vector<int32_t>& pages() const { return pages_; }
  KvPool& pool() const { return *pool_; }
  // Stores one token's key and value rows, [Nk, H] each, at `position` < length.
  void store(int64_t layer, int64_t position, const float* key, const float* value);

 private:
  KvPool* pool_;
  std::vector<int32_t> pages_;
  int64_t length_ = 0;
};

// One query row: it sees keys [begin, end) of its sequence. Rows of one sequence may see different ranges.
struct AttentionRow {
  const KvSequence* sequence;
  int64_t begin = 0, end = 0;
};

// out[m] = softmax(q[m] K^T * scale) V over the row's keys, grouped-query heads, exact. q [M, N, H] with `q_stride`
// floats between rows, out [M, N*H] dense. Runs on compute_pool(); a row's bits do not depend on the other rows. A row
// without keys gives zeros. Consecutive rows of one sequence share its reads. Throws ShapeError: N no multiple of Nk,
// keys outside.
void attention(const float* q, int64_t q_stride, const std::vector<AttentionRow>& rows, int64_t layer,
               int64_t num_heads, float scale, float* out);
void attention_plain(const float* q, int64_t q_stride, const std::vector<AttentionRow>& rows, int64_t layer,
                     int64_t num_heads, float scale, float* out);

}  // namespace speculators
