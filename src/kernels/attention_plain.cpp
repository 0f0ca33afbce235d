// The plain twin of attention: scalar loops that define the bits.
#include <cmath>
#include <limits>

#include "kernels/kv_cache.h"
#include "kernels/plain_math.h"

namespace speculators {
namespace {

struct Head {
  const KvSequence* sequence;
  int64_t layer, kv_head;

  const float* key(int64_t position) const {  // stride kPageTokens
    return sequence->pool().keys(page(position), layer, kv_head) + position % kPageTokens;
  }
  const float* value(int64_t position) const {
    return sequence->pool().values(page(position), layer, kv_head) +
           position % kPageTokens * sequence->pool().head_dim();
  }
  int32_t page(int64_t position) const { return sequence->pages()[static_cast<size_t>(position / kPageTokens)]; }
};

void attend(const Head& head, const AttentionRow& row, const float* q, float scale, float* out) {
  const int64_t head_dim = head.sequence->pool().head_dim();
  std::vector<float> scores(static_cast<size_t>(row.end - row.begin));
  float highest = -std::numeric_limits<float>::infinity();
  for (int64_t t = row.begin; t < row.end; ++t) {
    const float* key = head.key(t);
    float score = 0;
    for (int64_t d = 0; d < head_dim; ++d) score = std::fma(q[d], key[d * kPageTokens], score);
    score *= scale;
    highest = score > highest ? score : highest;
    scores[static_cast<size_t>(t - row.begin)] = score;
  }
  float lanes[16] = {};
  for (int64_t t = row.begin; t < row.end; ++t) {
    const float probability = plain_exp(scores[static_cast<size_t>(t - row.begin)] - highest);
    lanes[t % 16] += probability;
    const float* value = head.value(t);
    for (int64_t d = 0; d < head_dim; ++d) out[d] = std::fma(probability, value[d], out[d]);
  }
  const float inverse = 1.0f / plain_sum_16_lanes(lanes);
  for (int64_t d = 0; d < head_dim; ++d) out[d] *= inverse;
}

}  // namespace

void attention_plain(const float* q, int64_t q_stride, const std::vector<AttentionRow>& rows, int64_t layer,
                     int64_t num_heads, float scale, float* out) {
  for (size_t m = 0; m < rows.size(); ++m) {
    const KvPool& pool = rows[m].sequence->pool();
    const int64_t head_dim = pool.head_dim();
    const int64_t group = num_heads / pool.num_kv_heads();
    for (int64_t n = 0; n < num_heads; ++n) {
      float* target = out + (static_cast<int64_t>(m) * num_heads + n) * head_dim;
      for (int64_t d = 0; d < head_dim; ++d) target[d] = 0;
      if (rows[m].begin >= rows[m].end) continue;
      attend({rows[m].sequence, layer, n / group}, rows[m], q + static_cast<int64_t>(m) * q_stride + n * head_dim,
             scale, target);
    }
  }
}

}  // namespace speculators
