// Splits attention into tasks: query heads of neighbouring rows that read the same key/value head go together, and
// threads take shares of equal cost, cut between any two query heads.
#include <algorithm>
#include <string>

#include "base/errors.h"
#include "kernels/attention_kernels.h"
#include "kernels/compute_pool.h"
#include "kernels/kv_cache.h"

namespace speculators {
namespace {

// Costs are counted in pages read by one query head; starting one costs about as much as kStartCost pages.
constexpr int64_t kStartCost = 2;
constexpr int64_t kMinCostPerThread = 16;
// Rows share a task while their pages together are at most this many more than each one's own.
constexpr int64_t kMaxForeignPages = 2;

struct Pages {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

Pages pages_of(const AttentionRow& row) { return {row.begin / kPageTokens, (row.end + kPageTokens - 1) / kPageTokens}; }

bool is_empty(const AttentionRow& row) { return row.begin >= row.end; }

int64_t cost_of(const AttentionRow& row) { return kStartCost + (is_empty(row) ? 0 : pages_of(row).count()); }

// Everything that a call's tasks have in common.
struct Call {
  const float* q;
  int64_t q_stride;
  const std::vector<AttentionRow>& rows;
  int64_t layer, num_heads, group, head_dim;
  float scale;
  float* out;
  AttentionKernel kernel;
};

// Collects query heads into a task and runs it when the next one does not fit.
class TaskBuilder {
 public:
  explicit TaskBuilder(const Call& call) : call_(call) {}

  void add(int64_t row_index, int64_t head) {
    const AttentionRow& row = call_.rows[static_cast<size_t>(row_index)];
    float* out = call_.out + (row_index * call_.num_heads + head) * call_.head_dim;
    if (is_empty(row)) {
      std::fill_n(out, call_.head_dim, 0.0f);
      return;
    }
    if (task_.num_queries > 0 && !fits(row, head / call_.group)) run();
    const Pages pages = pages_of(row);
    if (task_.num_queries == 0) {
      sequence_ = row.sequence;
      kv_head_ = head / call_.group;
      pages_ = pages;
      smallest_ = pages.count();
    }
    pages_ = {std::min(pages_.begin, pages.begin), std::max(pages_.end, pages.end)};
    smallest_ = std::min(smallest_, pages.count());
    const float* q = call_.q + row_index * call_.q_stride + head * call_.head_dim;
    task_.queries[task_.num_queries++] = {q, out, row.begin, row.end};
  }

  void run() {
    if (task_.num_queries == 0) return;
    thread_local std::vector<const float*> pages;
    thread_local AlignedVector<float> scores;
    KvPool& pool = sequence_->pool();
    pages.clear();
    for (int64_t page = pages_.begin; page < pages_.end; ++page) {
      pages.push_back(pool.keys(sequence_->pages()[static_cast<size_t>(page)], call_.layer, kv_head_));
    }
    const size_t num_scores = static_cast<size_t>(task_.num_queries * pages_.count() * kPageTokens);
    if (scores.size() < num_scores) scores.resize(num_scores + num_scores / 2);
    for (int q = 0; q < task_.num_queries; ++q) {
      task_.queries[q].begin -= pages_.begin * kPageTokens;
      task_.queries[q].end -= pages_.begin * kPageTokens;
    }
    task_.pages = pages.data();
    task_.num_pages = pages_.count();
    task_.head_dim = call_.head_dim;
    task_.scale = call_.scale;
    task_.scores = scores.data();
    call_.kernel(task_);
    task_.num_queries = 0;
  }

 private:
  bool fits(const AttentionRow& row, int64_t kv_head) const {
    if (task_.num_queries == AttentionTask::kMaxQueries) return false;
    if (row.sequence != sequence_ || kv_head != kv_head_) return false;
    const Pages pages = pages_of(row);
    const int64_t together = std::max(pages_.end, pages.end) - std::min(pages_.begin, pages.begin);
    return together <= std::min(smallest_, pages.count()) + kMaxForeignPages;
  }

  const Call& call_;
  AttentionTask task_;
  const KvSequence* sequence_ = nullptr;
  int64_t kv_head_ = 0;
  Pages pages_{};
  int64_t smallest_ = 0;  // pages of the query with the fewest
};

// Runs the query heads whose cost begins in [cost_begin, cost_end). Order: runs of rows of one sequence; in them
// key/value heads, so that a head's pages stay in the cache; in them rows; in them query heads.
void run_share(const Call& call, int64_t cost_begin, int64_t cost_end) {
  TaskBuilder builder(call);
  const int64_t num_rows = static_cast<int64_t>(call.rows.size());
  int64_t cost = 0;
  for (int64_t first = 0, last = 0; first < num_rows; first = last) {
    const KvSequence* sequence = call.rows[static_cast<size_t>(first)].sequence;
    while (last < num_rows && call.rows[static_cast<size_t>(last)].sequence == sequence) ++last;
    for (int64_t head = 0; head < call.num_heads; head += call.group) {
      for (int64_t row = first; row < last; ++row) {
        const int64_t row_cost = cost_of(call.rows[static_cast<size_t>(row)]);
        for (int64_t i = 0; i < call.group; ++i, cost += row_cost) {
          if (cost >= cost_begin && cost < cost_end) builder.add(row, head + i);
        }
      }
    }
  }
  builder.run();
}

void check_rows(const std::vector<AttentionRow>& rows, int64_t num_heads) {
  const KvPool& pool = rows.front().sequence->pool();
  if (num_heads < 1 || num_heads % pool.num_kv_heads() != 0) {
    throw ShapeError("attention: expected a multiple of " + std::to_string(pool.num_kv_heads()) + " query heads, got " +
                     std::to_string(num_heads));
  }
  for (const AttentionRow& row : rows) {
    if (is_empty(row) || (row.begin >= 0 && row.end <= row.sequence->length())) continue;
    throw ShapeError("attention: expected keys within [0, " + std::to_string(row.sequence->length()) + "), got [" +
                     std::to_string(row.begin) + ", " + std::to_string(row.end) + ")");
  }
}

}  // namespace

void attention(const float* q, int64_t q_stride, const std::vector<AttentionRow>& rows, int64_t layer,
               int64_t num_heads, float scale, float* out) {
  if (rows.empty()) return;
  check_rows(rows, num_heads);
  const KvPool& pool = rows.front().sequence->pool();
  static const AttentionKernel kernel = attention_kernel(current_isa());
  const Call call{q,     q_stride, rows,  layer, num_heads, num_heads / pool.num_kv_heads(), pool.head_dim(),
                  scale, out,      kernel};
  int64_t total = 0;
  for (const AttentionRow& row : rows) total += cost_of(row) * num_heads;
  const int64_t shares = std::clamp<int64_t>(total / kMinCostPerThread, 1, compute_pool().num_threads());
  compute_pool().parallel_for(
      shares, 1, [&](int64_t begin, int64_t end) { run_share(call, total * begin / shares, total * end / shares); });
}

}  // namespace speculators
