// One row of draft/registry.cpp: an algorithm under one name. Adding an algorithm = one folder + one row here and one
// in draft/trainable_registry.cpp (the half that needs libtorch).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "draft/proposer.h"
#include "draft/speculator.h"
#include "draft/weight_table.h"

namespace speculators {

struct DraftAlgorithm {
  std::string_view name;          // "eagle3"
  std::string_view summary;       // one line for `speculators list`
  std::string_view architecture;  // class name that upstream writes: "Eagle3DraftModel"
  // The tensors of model.safetensors. Parses and checks the algorithm's own fields: throws DataError naming `place`.
  WeightTable (*weight_table)(const Speculator& speculator, const std::string& place);
  // Opens the weights of a saved speculator. `verifier_folder` serves the tensors that a checkpoint leaves out
  // (the DFlash family saves no embedding). Throws DataError listing every tensor that is missing or misshapen.
  std::unique_ptr<Proposer> (*make_proposer)(const Speculator& speculator, const fs::path& verifier_folder);
};

std::span<const DraftAlgorithm> draft_algorithms();
// Null for an unknown name.
const DraftAlgorithm* find_draft_algorithm(std::string_view name);
// Throws UsageError listing the known names, the nearest first.
const DraftAlgorithm& get_draft_algorithm(std::string_view name);
// load_speculator, find_verifier_folder and make_proposer in one.
std::unique_ptr<Proposer> load_proposer(const fs::path& speculator_folder);

}  // namespace speculators
