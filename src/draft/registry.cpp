#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/errors.h"
#include "draft/dflash/dflash.h"
#include "draft/dflash2/dflash2.h"
#include "draft/draft_algorithm.h"
#include "draft/dspark/dspark.h"
#include "draft/eagle3/eagle3.h"
#include "draft/mtp/mtp.h"
#include "draft/peagle/peagle.h"
#include "draft/xpress/xpress.h"

namespace speculators {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

std::vector<std::string_view> nearest_first(std::string_view name) {
  std::vector<std::string_view> names;
  for (const DraftAlgorithm& algorithm : draft_algorithms()) names.push_back(algorithm.name);
  std::stable_sort(names.begin(), names.end(), [&](std::string_view a, std::string_view b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
  return names;
}

}  // namespace

std::span<const DraftAlgorithm> draft_algorithms() {
  static const std::array algorithms = {eagle3_algorithm(), peagle_algorithm(), dflash_algorithm(), dflash2_algorithm(),
                                        dspark_algorithm(), xpress_algorithm(), mtp_algorithm()};
  return algorithms;
}

const DraftAlgorithm* find_draft_algorithm(std::string_view name) {
  const auto all = draft_algorithms();
  const auto found = std::find_if(all.begin(), all.end(), [&](const DraftAlgorithm& row) { return row.name == name; });
  return found == all.end() ? nullptr : &*found;
}

const DraftAlgorithm& get_draft_algorithm(std::string_view name) {
  if (const DraftAlgorithm* found = find_draft_algorithm(name)) return *found;
  throw UsageError(fmt::format("algorithm \"{}\": expected one of {}", name, fmt::join(nearest_first(name), ", ")));
}

std::unique_ptr<Proposer> load_proposer(const fs::path& speculator_folder) {
  const Speculator speculator = load_speculator(speculator_folder);
  return get_draft_algorithm(speculator.algorithm).make_proposer(speculator, find_verifier_folder(speculator));
}

}  // namespace speculators
