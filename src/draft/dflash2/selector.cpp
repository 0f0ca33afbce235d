#include "draft/dflash2/selector.h"

#include <fmt/format.h>

#include "base/largest.h"
#include "draft/load_weights.h"

namespace speculators {
namespace {

EmbeddingTable load_codebook(const TensorFile& weights, const std::string& name) {
  const std::string key = "candidate_selector." + name;
  return EmbeddingTable(weights.get(key), fmt::format("{}: {}", weights.path().string(), key));
}

}  // namespace

CandidateSelector::CandidateSelector(const TensorFile& weights, const DFlash2Config& config)
    : predecessors_(load_codebook(weights, "predecessor_codebook")),
      successors_(load_codebook(weights, "successor_codebook")),
      hidden_projection_(load_linear(weights, {"candidate_selector.hidden_projection"})),
      ids_(config.selector_top_k),
      scores_(config.selector_top_k),
      context_(config.selector_rank),
      row_(config.selector_rank) {}

ScoredCandidates CandidateSelector::score(std::span<const float> logits, const float* projected, int32_t token_before) {
  find_largest(logits.data(), static_cast<int64_t>(logits.size()), static_cast<int64_t>(ids_.size()), ids_.data());
  predecessors_.copy_finite_row(token_before, context_.data());
  for (size_t i = 0; i < context_.size(); ++i) context_[i] *= projected[i];
  for (size_t k = 0; k < ids_.size(); ++k) {
    successors_.copy_finite_row(ids_[k], row_.data());
    float sum = 0;
    for (size_t i = 0; i < row_.size(); ++i) sum += context_[i] * row_[i];
    scores_[k] = logits[ids_[k]] + sum;
  }
  return {ids_, scores_};
}

}  // namespace speculators
