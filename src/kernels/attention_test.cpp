#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/errors.h"
#include "kernels/attention_kernels.h"
#include "kernels/kv_cache.h"
#include "kernels/test_data.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Sizes {
  int64_t num_heads, num_kv_heads, head_dim;
};

// Keys and values of one layer as plain rows, beside the pages that hold the same.
struct Cache {
  Cache(const Sizes& sizes, int64_t length, uint32_t seed)
      : pool(2, sizes.num_kv_heads, sizes.head_dim), sequence(pool), sizes(sizes) {
    const int64_t width = sizes.num_kv_heads * sizes.head_dim;
    keys = random_floats(length * width, seed);
    values = random_floats(length * width, seed + 1);
    sequence.extend(length);
    for (int64_t t = 0; t < length; ++t) sequence.store(1, t, keys.data() + t * width, values.data() + t * width);
  }

  double key(int64_t t, int64_t head, int64_t d) const { return at(keys, t, head, d); }
  double value(int64_t t, int64_t head, int64_t d) const { return at(values, t, head, d); }
  float at(const std::vector<float>& rows, int64_t t, int64_t head, int64_t d) const {
    return rows[static_cast<size_t>((t * sizes.num_kv_heads + head) * sizes.head_dim + d)];
  }

  KvPool pool;
  KvSequence sequence;
  Sizes sizes;
  std::vector<float> keys, values;
};

// The definition, in double precision.
std::vector<double> reference(const Cache& cache, const float* q, int64_t head, int64_t begin, int64_t end,
                              double scale) {
  const int64_t head_dim = cache.sizes.head_dim;
  const int64_t kv_head = head / (cache.sizes.num_heads / cache.sizes.num_kv_heads);
  std::vector<double> out(static_cast<size_t>(head_dim));
  double sum = 0;
  for (int64_t t = begin; t < end; ++t) {
    double score = 0;
    for (int64_t d = 0; d < head_dim; ++d) score += q[head * head_dim + d] * cache.key(t, kv_head, d);
    const double weight = std::exp(score * scale);
    sum += weight;
    for (int64_t d = 0; d < head_dim; ++d) out[static_cast<size_t>(d)] += weight * cache.value(t, kv_head, d);
  }
  for (double& value : out) value /= sum;
  return out;
}

// Row m sees [begins[m], ends[m]) of one sequence.
std::vector<AttentionRow> rows_of(const KvSequence& sequence, std::vector<std::pair<int64_t, int64_t>> ranges) {
  std::vector<AttentionRow> rows;
  for (const auto& [begin, end] : ranges) rows.push_back({&sequence, begin, end});
  return rows;
}

class AttentionSizes : public ::testing::TestWithParam<Sizes> {};
INSTANTIATE_TEST_SUITE_P(Models, AttentionSizes,
                         ::testing::Values(Sizes{1, 1, 1}, Sizes{2, 1, 2}, Sizes{2, 2, 4}, Sizes{3, 1, 20},
                                           Sizes{9, 3, 64}, Sizes{4, 1, 96}, Sizes{8, 1, 128}, Sizes{16, 1, 40},
                                           Sizes{5, 1, 33}),
                         [](const auto& info) {
                           return std::to_string(info.param.num_heads) + "x" + std::to_string(info.param.num_kv_heads) +
                                  "x" + std::to_string(info.param.head_dim);
                         });

TEST_P(AttentionSizes, IsTheSoftmaxOfTheScoresTimesTheValues) {
  const Sizes sizes = GetParam();
  const Cache cache(sizes, 150, 1);
  const int64_t width = sizes.num_heads * sizes.head_dim;
  const auto rows = rows_of(cache.sequence, {{0, 1}, {0, 16}, {3, 77}, {0, 150}, {149, 150}});
  const std::vector<float> q = random_floats(static_cast<int64_t>(rows.size()) * width, 2);
  const float scale = 1 / std::sqrt(static_cast<float>(sizes.head_dim));
  std::vector<float> out(q.size(), NAN);
  attention(q.data(), width, rows, 1, sizes.num_heads, scale, out.data());
  for (size_t m = 0; m < rows.size(); ++m) {
    const int64_t start = static_cast<int64_t>(m) * width;
    for (int64_t head = 0; head < sizes.num_heads; ++head) {
      const std::vector<double> truth = reference(cache, q.data() + start, head, rows[m].begin, rows[m].end, scale);
      for (int64_t d = 0; d < sizes.head_dim; ++d) {
        ASSERT_NEAR(out[static_cast<size_t>(start + head * sizes.head_dim + d)], truth[static_cast<size_t>(d)], 3e-6)
            << "row " << m << ", head " << head << ", " << d;
      }
    }
  }
}

TEST_P(AttentionSizes, EqualsItsPlainTwinBitForBit) {
  const Sizes sizes = GetParam();
  const Cache cache(sizes, 90, 3);
  const int64_t width = sizes.num_heads * sizes.head_dim, stride = width + 5;
  // Prefixes that grow by one (as prefill and verification have them), windows, disjoint ranges and an empty one.
  auto rows = rows_of(cache.sequence, {{0, 1}, {7, 7}, {0, 90}, {60, 70}, {5, 9}, {31, 33}, {16, 32}, {80, 90}});
  for (int64_t end = 40; end < 60; ++end) rows.push_back({&cache.sequence, end % 3, end});
  const std::vector<float> q = random_floats(static_cast<int64_t>(rows.size()) * stride, 4, 2.0f);
  std::vector<float> fast(rows.size() * static_cast<size_t>(width), NAN), plain = fast;
  attention(q.data(), stride, rows, 1, sizes.num_heads, 0.3f, fast.data());
  attention_plain(q.data(), stride, rows, 1, sizes.num_heads, 0.3f, plain.data());
  EXPECT_EQ(fast, plain);
}

TEST_P(AttentionSizes, EveryInstructionSetGivesTheSameBits) {
  const Sizes sizes = GetParam();
  const Cache cache(sizes, 70, 5);
  const int64_t group = std::min<int64_t>(sizes.num_heads / sizes.num_kv_heads, AttentionTask::kMaxQueries);
  const std::vector<float> q = random_floats(group * sizes.head_dim, 6);
  std::vector<const float*> pages;
  for (const int32_t page : cache.sequence.pages()) pages.push_back(cache.sequence.pool().keys(page, 1, 0));
  std::vector<float> scores(static_cast<size_t>(group) * pages.size() * kPageTokens);
  std::vector<std::vector<float>> outputs;
  for (const Isa isa : list_usable_isas()) {
    outputs.emplace_back(q.size(), NAN);
    AttentionTask task;
    for (int64_t i = 0; i < group; ++i) {
      const int64_t start = i * sizes.head_dim;
      task.queries[task.num_queries++] = {q.data() + start, outputs.back().data() + start, i, 60 + i % 10};
    }
    task.pages = pages.data();
    task.num_pages = static_cast<int64_t>(pages.size());
    task.head_dim = sizes.head_dim;
    task.scale = 0.5f;
    task.scores = scores.data();
    attention_kernel(isa)(task);
    EXPECT_EQ(outputs.back(), outputs.front()) << isa_name(isa);
  }
}

TEST(Attention, ARowsBitsDoNotDependOnTheOtherRows) {
  const Sizes sizes{9, 3, 64};
  const Cache first(sizes, 300, 7), second(sizes, 40, 8);
  const int64_t width = sizes.num_heads * sizes.head_dim;
  std::vector<AttentionRow> rows;
  for (int64_t end = 250; end < 300; ++end) rows.push_back({&first.sequence, 0, end});
  for (int64_t end = 30; end < 40; ++end) rows.push_back({&second.sequence, 2, end});
  const std::vector<float> q = random_floats(static_cast<int64_t>(rows.size()) * width, 9);
  std::vector<float> together(q.size()), alone(q.size());
  attention(q.data(), width, rows, 1, sizes.num_heads, 0.125f, together.data());
  for (size_t m = 0; m < rows.size(); ++m) {
    const int64_t start = static_cast<int64_t>(m) * width;
    attention(q.data() + start, width, {rows[m]}, 1, sizes.num_heads, 0.125f, alone.data() + start);
  }
  EXPECT_EQ(together, alone);
}

TEST(Attention, DoesNotReadKeysThatTheRowMayNotSee) {
  const Sizes sizes{2, 1, 8};
  Cache cache(sizes, 40, 10);
  const std::vector<float> q = random_floats(16, 11), poison(8, NAN);
  std::vector<float> before(16), after(16);
  const std::vector<AttentionRow> rows = rows_of(cache.sequence, {{5, 35}});
  attention(q.data(), 16, rows, 1, 2, 1.0f, before.data());
  for (const int64_t t : {0, 4, 35, 39}) cache.sequence.store(1, t, poison.data(), poison.data());
  attention(q.data(), 16, rows, 1, 2, 1.0f, after.data());
  EXPECT_EQ(before, after);
}

TEST(Attention, StaysExactForLargeScores) {
  const Sizes sizes{1, 1, 1};
  KvPool pool(1, 1, 1);
  KvSequence sequence(pool);
  sequence.extend(20);
  for (int64_t t = 0; t < 20; ++t) {
    const float key = static_cast<float>(1000 * t), value = static_cast<float>(t);
    sequence.store(0, t, &key, &value);
  }
  const float q = 5;
  float out = NAN;
  attention(&q, 1, rows_of(sequence, {{0, 20}}), 0, sizes.num_heads, 1.0f, &out);
  EXPECT_EQ(out, 19);  // all weight on the last key
}

TEST(Attention, ARowWithoutKeysGivesZeros) {
  const Cache cache({2, 1, 4}, 10, 12);
  const std::vector<float> q = random_floats(8, 13);
  std::vector<float> out(8, NAN);
  attention(q.data(), 8, rows_of(cache.sequence, {{3, 3}}), 1, 2, 1.0f, out.data());
  EXPECT_EQ(out, std::vector<float>(8, 0.0f));
}

TEST(Attention, RejectsKeysBehindTheSequence) {
  const Cache cache({2, 1, 4}, 10, 14);
  const std::vector<float> q(8);
  std::vector<float> out(8);
  EXPECT_THAT(
      [&] {
        attention(q.data(), 8, rows_of(cache.sequence, {{0, 11}}), 1, 2, 1.0f, out.data());
      },
      ThrowsMessage<ShapeError>(HasSubstr("expected keys within [0, 10), got [0, 11)")));
}

TEST(Attention, RejectsQueryHeadsThatDoNotDivide) {
  const Cache cache({4, 2, 4}, 10, 15);
  const std::vector<float> q(12);
  std::vector<float> out(12);
  EXPECT_THAT(
      [&] {
        attention(q.data(), 12, rows_of(cache.sequence, {{0, 5}}), 1, 3, 1.0f, out.data());
      },
      ThrowsMessage<ShapeError>(HasSubstr("multiple of 2 query heads, got 3")));
}

}  // namespace
}  // namespace speculators
