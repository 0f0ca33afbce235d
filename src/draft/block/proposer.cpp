#include "draft/block/proposer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {

BlockProposer::BlockProposer(const BlockConfig& config, TensorFile weights, const fs::path& verifier_folder,
                             int64_t first_wanted, BlockStates states)
    : config_(config),
      first_wanted_(first_wanted),
      hidden_size_(config_.layer.hidden_size),
      window_(config_.layer.sliding_window.value_or(int64_t{1} << 40)),
      states_(states),
      eps_(static_cast<float>(config_.layer.rms_norm_eps)),
      fc_(load_linear(weights, {"fc"})),
      hidden_norm_(load_vector(weights, "hidden_norm.weight")),
      norm_(load_vector(weights, "norm.weight")),
      layers_(weights, config_.layer, hidden_size_),
      pool_(layers_.make_kv_pool()),
      vocabulary_(std::move(weights), verifier_folder, config_.layer, VocabularySource::kVerifier) {}

std::vector<Proposal> BlockProposer::propose(std::span<const ProposalRequest> requests) {
  for (const ProposalRequest& request : requests) check(request);
  store_context(requests);
  return draft(requests, run_blocks(requests));
}

void BlockProposer::check(const ProposalRequest& request) const {
  check_request(request, fc_.num_inputs(), config_.layer.vocab_size);
  if (request.num_tokens <= max_proposal_length()) return;
  throw UsageError(fmt::format("proposal length: expected at most {}, what one block of {} gives, found {}",
                               max_proposal_length(), config_.block_size, request.num_tokens));
}

void BlockProposer::store_context(std::span<const ProposalRequest> requests) {
  rows_.clear();
  int64_t num_rows = 0;
  for (const ProposalRequest& request : requests) num_rows += num_new_rows(request);
  if (num_rows == 0) return;
  float* aux = aux_.at_least(num_rows * fc_.num_inputs());
  for (const ProposalRequest& request : requests) {
    aux = std::copy(request.aux.begin(), request.aux.end(), aux);
    KvSequence& cache = cache_of(request);
    cache.extend(num_new_rows(request));
    for (int64_t i = request.first; i < cache.length(); ++i) {
      rows_.push_back({.sequence = &cache, .slot = i, .position = i});
    }
  }
  float* context = context_.at_least(num_rows * hidden_size_);
  fc_.forward(aux_.data(), num_rows, context);
  rms_norm(context, hidden_norm_.data(), num_rows, hidden_size_, eps_, context);
  layers_.store_context(rows_, context);
}

// All blocks in one pass.
BlockProposer::BlockOutput BlockProposer::run_blocks(std::span<const ProposalRequest> requests) {
  rows_.clear();
  float* embeds = embeds_.at_least(static_cast<int64_t>(requests.size()) * config_.block_size * hidden_size_);
  for (const ProposalRequest& request : requests) {
    if (request.num_tokens > 0) add_block(request, embeds + static_cast<int64_t>(rows_.size()) * hidden_size_);
  }
  if (rows_.empty()) return {};
  float* inputs = inputs_.at_least(static_cast<int64_t>(rows_.size()) * hidden_size_);
  layers_.first_input_norm(embeds, static_cast<int64_t>(rows_.size()), inputs);
  layers_.forward(rows_, inputs, embeds);
  for (const ProposalRequest& request : requests) cache_of(request).truncate(request.first + num_new_rows(request));

  auto num_slots = static_cast<int64_t>(rows_.size());
  rms_norm(embeds, norm_.data(), num_slots, hidden_size_, eps_, embeds);
  const float* predicting = embeds;
  if (states_ != BlockStates::kFromFirstWanted) {
    predicting = predicting_states(requests, embeds);
    num_slots = 0;
    for (const ProposalRequest& request : requests) num_slots += request.num_tokens;
  }
  float* logits = logits_.at_least(num_slots * vocabulary_.size());
  vocabulary_.logits(predicting, num_slots, logits);
  return {embeds, logits};
}

// Of whole blocks or starts of blocks, the rows that predict a token, one behind the other.
const float* BlockProposer::predicting_states(std::span<const ProposalRequest> requests, const float* states) {
  float* rows = inputs_.data();  // of every slot, used up by now
  for (const ProposalRequest& request : requests) {
    if (request.num_tokens == 0) continue;
    const float* first = states + config_.first_predicting_slot() * hidden_size_;
    rows = std::copy_n(first, request.num_tokens * hidden_size_, rows);
    const bool whole = states_ == BlockStates::kWholeBlock;
    states += (whole ? config_.block_size : config_.first_predicting_slot() + request.num_tokens) * hidden_size_;
  }
  return inputs_.data();
}

// The whole block as trained, even for a small K: on bidirectional layers the number of masks matters.
void BlockProposer::add_block(const ProposalRequest& request, float* embeds) {
  const int64_t end_wanted = config_.first_predicting_slot() + request.num_tokens;
  for (int64_t slot = 0; slot < config_.block_size; ++slot) {
    const int64_t token = slot == 0 ? request.tokens.back() : config_.mask_token_id;
    vocabulary_.embed(static_cast<int32_t>(token), embeds + slot * hidden_size_);
  }
  KvSequence& cache = cache_of(request);
  const int64_t num_verified = cache.length();
  cache.extend(config_.block_size);
  for (int64_t slot = 0; slot < config_.block_size; ++slot) {
    rows_.push_back(block_row(cache, num_verified, slot));
    rows_.back().block_offset = slot;
    rows_.back().wanted = states_ == BlockStates::kWholeBlock || (slot >= first_wanted_ && slot < end_wanted);
  }
}

DraftRow BlockProposer::block_row(KvSequence& cache, int64_t num_verified, int64_t slot) const {
  const int64_t position = num_verified + slot, end = num_verified + config_.block_size;
  DraftRow row = {.sequence = &cache, .slot = position, .position = position, .full_end = end};
  // The window counts context before the anchor and is the same for every slot of the block.
  row.sliding_begin = std::max<int64_t>(0, num_verified - window_);
  row.sliding_end = config_.sliding_window_non_causal ? end : position + 1;
  return row;
}

}  // namespace speculators
