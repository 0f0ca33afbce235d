#include "draft/chain/chain_proposer.h"

#include <algorithm>

#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {

ChainProposer::ChainProposer(ChainConfig config, int64_t speculative_tokens, TensorFile weights,
                             const fs::path& verifier_folder)
    : config_(std::move(config)),
      speculative_tokens_(speculative_tokens),
      hidden_size_(config_.layer.hidden_size),
      window_(config_.layer.sliding_window.value_or(int64_t{1} << 40)),
      eps_(static_cast<float>(config_.layer.rms_norm_eps)),
      fusion_(weights, config_),
      layers_(weights, config_.layer, 2 * hidden_size_),
      hidden_norm_(load_vector(weights, "layers.0.hidden_norm.weight")),
      norm_(load_vector(weights, "norm.weight")),
      pool_(layers_.make_kv_pool()),
      vocabulary_(std::move(weights), verifier_folder, config_.layer, VocabularySource::kSpeculator) {}

int64_t ChainProposer::start_verified_rows(std::span<const ProposalRequest> requests, int64_t num_more) {
  int64_t num_rows = 0;
  for (const ProposalRequest& request : requests) num_rows += num_new_rows(request);
  float* aux = aux_.at_least(num_rows * fusion_.width());
  float* embed = embeds_.at_least((num_rows + num_more) * hidden_size_);
  rows_.clear();
  for (const ProposalRequest& request : requests) {
    aux = std::copy(request.aux.begin(), request.aux.end(), aux);
    for (int32_t token : request.tokens.subspan(1)) {
      vocabulary_.embed(token, embed);
      embed += hidden_size_;
    }
    add_verified_rows(request);
  }
  float* hidden = hidden_.at_least((num_rows + num_more) * hidden_size_);
  if (num_rows > 0) fusion_.forward(aux_.data(), num_rows, hidden);
  return num_rows;
}

void ChainProposer::add_verified_rows(const ProposalRequest& request) {
  KvSequence& cache = cache_of(request);
  const int64_t count = num_new_rows(request);
  cache.extend(count);
  for (int64_t j = request.first; j < request.first + count; ++j) {
    rows_.push_back({.sequence = &cache, .slot = j, .position = j + 1, .full_end = j + 1});
    rows_.back().sliding_begin = std::max<int64_t>(0, j + 1 - window_);  // the window counts the row itself
    rows_.back().sliding_end = j + 1;
  }
  if (count > 0) rows_.back().wanted = request.num_tokens > 0;
}

void ChainProposer::add_chain_row(KvSequence& cache, int64_t num_verified, int64_t advance) {
  const int64_t slot = cache.length();
  cache.extend(1);
  rows_.push_back({.sequence = &cache, .slot = slot, .position = slot + 1, .full_end = slot + 1});
  // The chain's own entries begin with the row it started from, which is in sight whatever the window.
  const int64_t begin = std::min(num_verified - window_ + advance, num_verified - 1);
  rows_.back().sliding_begin = std::max<int64_t>(0, begin);
  rows_.back().sliding_end = slot + 1;
  rows_.back().wanted = true;
}

void ChainProposer::run_rows(float* hidden) {
  const auto num_rows = static_cast<int64_t>(rows_.size());
  if (num_rows == 0) return;
  float* inputs = inputs_.at_least(num_rows * 2 * hidden_size_);  // [M, 2D]: embedding, hidden
  for (int64_t m = 0; m < num_rows; ++m) {
    float* left = inputs + m * 2 * hidden_size_;
    float* right = left + hidden_size_;
    float* state = hidden + m * hidden_size_;
    layers_.first_input_norm(embeds_.data() + m * hidden_size_, 1, left);
    rms_norm(state, hidden_norm_.data(), 1, hidden_size_, eps_, right);
    if (config_.norm_before_residual) std::copy_n(right, hidden_size_, state);
  }
  layers_.forward(rows_, inputs, hidden);
  const auto num_wanted = static_cast<int64_t>(rows_.size());
  if (num_wanted == 0) return;
  rms_norm(hidden, norm_.data(), num_wanted, hidden_size_, eps_, normed_.at_least(num_wanted * hidden_size_));
}

}  // namespace speculators
