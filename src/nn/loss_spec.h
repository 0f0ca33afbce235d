// Which element losses a draft trains on, and with what weights: a bare name ("kl_div") or a JSON object of name ->
// weight
// ({"ce": 0.1, "tv": 0.9}). Source: reference algorithms.md 10.1, 10.2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace speculators::nn {

enum class LossKind { kKlDiv, kReverseKl, kJsd, kCrossEntropy, kTotalVariation, kNegLogAcceptance, kLkHybrid };

std::string_view name_of(LossKind kind);  // "kl_div", "rkl", "jsd", "ce", "tv", "nla", "lk_hybrid"

struct LossTerm {
  LossKind kind = LossKind::kKlDiv;
  double weight = 1.0;
};

struct LossSpec {
  std::vector<LossTerm> terms = {LossTerm{}};
  bool is_cross_entropy_only() const;  // exactly `ce` with weight 1: what D-PACE asks for
};

// Throws UsageError naming the text and the known losses.
LossSpec parse_loss_spec(std::string_view text);

}  // namespace speculators::nn
