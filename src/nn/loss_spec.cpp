#include "nn/loss_spec.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "base/nearest.h"

namespace speculators::nn {
namespace {

constexpr std::array<std::pair<LossKind, std::string_view>, 7> kNames = {{
    {LossKind::kKlDiv, "kl_div"},
    {LossKind::kReverseKl, "rkl"},
    {LossKind::kJsd, "jsd"},
    {LossKind::kCrossEntropy, "ce"},
    {LossKind::kTotalVariation, "tv"},
    {LossKind::kNegLogAcceptance, "nla"},
    {LossKind::kLkHybrid, "lk_hybrid"},
}};

LossKind kind_of(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [kind, text] : kNames) {
    if (text == name) return kind;
    known.emplace_back(text);
  }
  throw UsageError(fmt::format("--loss-fn: expected one of {}, found '{}'{}", fmt::join(known, ", "), name,
                               did_you_mean(name, known)));
}

}  // namespace

std::string_view name_of(LossKind kind) {
  for (const auto& [known, text] : kNames) {
    if (known == kind) return text;
  }
  return "unknown";
}

bool LossSpec::is_cross_entropy_only() const {
  return terms.size() == 1 && terms[0].kind == LossKind::kCrossEntropy && terms[0].weight == 1.0;
}

LossSpec parse_loss_spec(std::string_view text) {
  if (text.find('{') == std::string_view::npos) return {{{kind_of(std::string(text)), 1.0}}};
  Json value;
  try {
    value = parse_json(text, "--loss-fn");
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
  LossSpec spec;
  spec.terms.clear();
  for (const auto& [name, weight] : value.items()) {
    if (!weight.is_number()) {
      throw UsageError(fmt::format("--loss-fn: {}: expected a number as weight, found {}", name, weight.dump()));
    }
    spec.terms.push_back({kind_of(name), weight.get<double>()});
  }
  if (spec.terms.empty()) throw UsageError("--loss-fn: expected at least one loss, found {}");
  return spec;
}

}  // namespace speculators::nn
