#include "draft/choose_token.h"

#include <cmath>

#include "kernels/ops.h"

namespace speculators {
namespace {

// Inverse CDF. The last id with a probability catches what rounding leaves of the sum.
int64_t sample(std::span<const float> probabilities, std::mt19937_64& random) {
  const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
  double sum = 0;
  int64_t last = 0;
  for (size_t id = 0; id < probabilities.size(); ++id) {
    if (probabilities[id] <= 0) continue;
    sum += probabilities[id];
    last = static_cast<int64_t>(id);
    if (uniform < sum) break;
  }
  return last;
}

}  // namespace

int32_t choose_token(std::span<float> logits, const ProposalRequest& request,
                     std::span<const int32_t> draft_to_verifier, Proposal& proposal) {
  const auto count = static_cast<int64_t>(logits.size());
  int64_t id = 0;
  if (request.temperature > 0) {
    softmax(logits.data(), count, 1 / request.temperature);
    id = sample(logits, *request.random);
    proposal.probabilities.insert(proposal.probabilities.end(), logits.begin(), logits.end());
  } else {
    id = argmax(logits.data(), count);
  }
  proposal.tokens.push_back(draft_to_verifier.empty() ? static_cast<int32_t>(id) : draft_to_verifier[id]);
  return proposal.tokens.back();
}

int32_t choose_candidate(std::span<const int32_t> ids, std::span<float> scores, const ProposalRequest& request,
                         int64_t vocab_size, Proposal& proposal) {
  const auto count = static_cast<int64_t>(scores.size());
  int64_t chosen = 0;
  if (request.temperature > 0) {
    softmax(scores.data(), count, 1 / request.temperature);
    chosen = sample(scores, *request.random);
    const size_t begin = proposal.probabilities.size();
    proposal.probabilities.resize(begin + vocab_size, 0.0f);
    for (size_t k = 0; k < ids.size(); ++k) proposal.probabilities[begin + ids[k]] = scores[k];
  } else {
    chosen = argmax(scores.data(), count);
  }
  proposal.tokens.push_back(ids[chosen]);
  return proposal.tokens.back();
}

bool is_unlikely(std::span<const float> logits, const ProposalRequest& request, float& chance) {
  if (request.min_confidence <= 0) return false;
  const float largest = logits[argmax(logits.data(), static_cast<int64_t>(logits.size()))];
  const float inverse_temperature = request.temperature > 0 ? 1 / request.temperature : 1;
  float sum = 0;
  for (const float logit : logits) sum += std::exp((logit - largest) * inverse_temperature);
  chance /= sum;
  return chance < request.min_confidence;
}

}  // namespace speculators
