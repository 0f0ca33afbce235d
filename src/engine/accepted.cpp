#include "engine/accepted.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/sampling.h"

namespace speculators {
namespace {

// Where the draft's distribution keeps verifier id `token`: -1 when the draft's vocabulary lacks it.
int64_t find_draft_id(int32_t token, std::span<const int32_t> draft_to_verifier) {
  if (draft_to_verifier.empty()) return token;
  const auto place = std::lower_bound(draft_to_verifier.begin(), draft_to_verifier.end(), token);
  return place != draft_to_verifier.end() && *place == token ? place - draft_to_verifier.begin() : -1;
}

// A token from max(p - q, 0), normalised. `residual` starts as p.
int32_t draw_residual(std::vector<float> residual, std::span<const float> q, std::span<const int32_t> draft_to_verifier,
                      std::mt19937_64& random) {
  const std::vector<float> p = residual;
  for (size_t i = 0; i < q.size(); ++i) {
    float& value = residual[draft_to_verifier.empty() ? i : static_cast<size_t>(draft_to_verifier[i])];
    value = std::max(value - q[i], 0.0f);
  }
  const bool is_empty = std::all_of(residual.begin(), residual.end(), [](float value) { return value <= 0; });
  return draw(is_empty ? p : residual,
              random);  // empty only when p = q and rounding rejected: any draw from p is right
}

// The residual of a point mass: p without the proposed token.
int32_t draw_without(std::vector<float> p, int32_t token, std::mt19937_64& random) {
  p[token] = 0;
  const bool is_empty = std::all_of(p.begin(), p.end(), [](float value) { return value <= 0; });
  return is_empty ? token : draw(p, random);
}

}  // namespace

Accepted accept_greedy(std::span<const int32_t> proposal, std::span<const int32_t> verifier) {
  Accepted accepted;
  size_t matching = 0;
  while (matching < proposal.size() && proposal[matching] == verifier[matching]) ++matching;
  accepted.num_accepted = static_cast<int64_t>(matching);
  accepted.tokens.assign(verifier.begin(), verifier.begin() + matching + 1);
  return accepted;
}

Accepted accept_sampled(const Proposal& proposal, std::span<const float> target, int64_t vocab_size,
                        std::span<const int32_t> draft_to_verifier, std::mt19937_64& random) {
  const auto length = static_cast<int64_t>(proposal.tokens.size());
  const bool point_mass = proposal.probabilities.empty();
  const int64_t draft_vocab_size = length == 0 ? 0 : static_cast<int64_t>(proposal.probabilities.size()) / length;
  Accepted accepted;
  for (int64_t k = 0; k < length; ++k) {
    const int32_t token = proposal.tokens[k];
    const auto p = target.subspan(k * vocab_size, vocab_size);
    const auto q = std::span(proposal.probabilities).subspan(k * draft_vocab_size, draft_vocab_size);
    const int64_t draft_id = find_draft_id(token, draft_to_verifier);
    if (!point_mass && (draft_id < 0 || draft_id >= draft_vocab_size)) {
      throw std::logic_error(fmt::format("accept_sampled: token {} is not in the draft's vocabulary", token));
    }
    const double chance = point_mass ? 1.0 : q[draft_id];
    if (draw_uniform(random) * chance < p[token]) {
      accepted.tokens.push_back(token);
      ++accepted.num_accepted;
      continue;
    }
    const std::vector<float> whole(p.begin(), p.end());
    accepted.tokens.push_back(point_mass ? draw_without(whole, token, random)
                                         : draw_residual(whole, q, draft_to_verifier, random));
    return accepted;
  }
  accepted.tokens.push_back(draw(target.subspan(length * vocab_size, vocab_size), random));
  return accepted;
}

}  // namespace speculators
