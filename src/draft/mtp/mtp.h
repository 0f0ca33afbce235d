// MTP as one row of draft/registry.cpp: its tensors and its proposer.
#pragma once

#include "draft/draft_algorithm.h"

namespace speculators {

DraftAlgorithm mtp_algorithm();
std::unique_ptr<Proposer> make_mtp_proposer(const Speculator& speculator, const fs::path& verifier_folder);

}  // namespace speculators
