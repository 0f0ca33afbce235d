#include "kernels/kv_cache.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr int64_t kSlabFloats = int64_t{4} << 20;  // 16 MB

int64_t pages_for(int64_t num_tokens) { return (num_tokens + kPageTokens - 1) / kPageTokens; }

}  // namespace

KvPool::KvPool(int64_t num_layers, int64_t num_kv_heads, int64_t head_dim)
    : num_layers_(num_layers),
      num_kv_heads_(num_kv_heads),
      head_dim_(head_dim),
      page_floats_(num_layers * num_kv_heads * head_dim * kPageTokens * 2) {
  if (num_layers < 1 || num_kv_heads < 1 || head_dim < 1) {
    throw ShapeError("KvPool: expected positive sizes, got " + std::to_string(num_layers) + " layers, " +
                     std::to_string(num_kv_heads) + " key/value heads, head dim " + std::to_string(head_dim));
  }
}

int32_t KvPool::allocate_page() {
  if (!free_.empty()) {
    const int32_t page = free_.back();
    free_.pop_back();
    return page;
  }
  const size_t pages_per_slab = static_cast<size_t>(std::max<int64_t>(kSlabFloats / page_floats_, 1));
  const size_t page = pages_.size();
  if (page % pages_per_slab == 0) {
    slabs_.push_back(make_aligned_array<float>(pages_per_slab * static_cast<size_t>(page_floats_)));
  }
  float* memory = slabs_.back().get() + static_cast<int64_t>(page % pages_per_slab) * page_floats_;
  std::fill_n(memory, page_floats_, 0.0f);
  pages_.push_back(memory);
  free_.reserve(pages_.size());  // so that free_page cannot fail
  return static_cast<int32_t>(page);
}

void KvPool::free_page(int32_t page) { free_.push_back(page); }

int64_t KvPool::num_pages_in_use() const { return static_cast<int64_t>(pages_.size() - free_.size()); }

float* KvPool::keys(int32_t page, int64_t layer, int64_t kv_head) {
  return pages_[static_cast<size_t>(page)] + (layer * num_kv_heads_ + kv_head) * 2 * head_dim_ * kPageTokens;
}

float* KvPool::values(int32_t page, int64_t layer, int64_t kv_head) {
  return keys(page, layer, kv_head) + head_dim_ * kPageTokens;
}

KvSequence::KvSequence(KvSequence&& other) noexcept
    : pool_(other.pool_), pages_(std::exchange(other.pages_, {})), length_(std::exchange(other.length_, 0)) {}

KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(pages_, other.pages_);
  std::swap(length_, other.length_);
  return *this;
}

KvSequence::~KvSequence() {
  for (const int32_t page : pages_) pool_->free_page(page);
}

void KvSequence::extend(int64_t num_tokens) {
  const int64_t wanted = pages_for(length_ + num_tokens);
  while (static_cast<int64_t>(pages_.size()) < wanted) pages_.push_back(pool_->allocate_page());
  length_ += num_tokens;
}

void KvSequence::truncate(int64_t length) {
  if (length < 0 || length > length_) {
    throw ShapeError("KvSequence::truncate: expected a length from 0 to " + std::to_string(length_) + ", got " +
                     std::to_string(length));
  }
  while (static_cast<int64_t>(pages_.size()) > pages_for(length)) {
    pool_->free_page(pages_.back());
    pages_.pop_back();
  }
  length_ = length;
}

void KvSequence::store(int64_t layer, int64_t position, const float* key, const float* value) {
  if (position < 0 || position >= length_) {
    throw ShapeError("KvSequence::store: expected a position below " + std::to_string(length_) + ", got " +
                     std::to_string(position) + "; extend() first");
  }
  const int32_t page = pages_[static_cast<size_t>(position / kPageTokens)];
  const int64_t token = position % kPageTokens;
  const int64_t head_dim = pool_->head_dim();
  for (int64_t head = 0; head < pool_->num_kv_heads(); ++head) {
    float* keys = pool_->keys(page, layer, head) + token;
    for (int64_t d = 0; d < head_dim; ++d) keys[d * kPageTokens] = key[head * head_dim + d];
    std::copy_n(value + head * head_dim, head_dim, pool_->values(page, layer, head) + token * head_dim);
  }
}

}  // namespace speculators
