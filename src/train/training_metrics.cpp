#include "train/training_metrics.h"

#include <fmt/format.h>

namespace speculators {
namespace {

double value_of(const MetricPair& pair) { return pair.total > 0 ? pair.sum / pair.total : 0; }

// Values of make_name(0), make_name(1), ...; a leading gap is allowed (DFlash's slot 0 predicts nothing).
template <class MakeName>
std::vector<double> numbered(const MetricPairs& pool, MakeName make_name) {
  std::vector<double> values;
  for (int i = 0;; ++i) {
    const auto found = pool.find(make_name(i));
    if (found == pool.end() && i > 0) return values;
    if (found != pool.end() && (i > 0 || found->second.total > 0)) values.push_back(value_of(found->second));
  }
}

}  // namespace

void add_pairs(MetricPairs& pool, const MetricPairs& pairs) {
  for (const auto& [name, pair] : pairs) {
    pool[name].sum += pair.sum;
    pool[name].total += pair.total;
  }
}

Metrics values_of(const MetricPairs& pool, const std::string& prefix, const std::string& suffix) {
  Metrics values;
  for (const auto& [name, pair] : pool) values[prefix + name + suffix] = value_of(pair);
  return values;
}

std::vector<double> position_accuracies(const MetricPairs& pool) {
  auto chains = numbered(pool, [](int i) { return fmt::format("full_acc_{}", i); });
  if (!chains.empty()) return chains;
  return numbered(pool, [](int i) { return fmt::format("position_{}_acc", i); });
}

std::optional<double> estimated_acceptance_length(const MetricPairs& pool) {
  if (const auto found = pool.find("eal"); found != pool.end()) return value_of(found->second);
  const auto chains = numbered(pool, [](int i) { return fmt::format("full_acc_{}", i); });
  if (chains.empty()) return std::nullopt;
  double length = 1;
  for (const double accuracy : chains) length += accuracy;
  return length;
}

}  // namespace speculators
