// Drafts of other projects -> the speculators format, and back. Nothing is trained or invented: tensors are renamed,
// config keys translated, and what the source leaves to the verifier is taken from the verifier.
// Source: reference pipeline.md section 4 (upstream's speculators/convert).
#pragma once

#include <nlohmann/json.hpp>  // ConvertRequest holds a Json by value
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace speculators {

struct ConvertRequest {
  fs::path model;         // the folder to convert
  std::string verifier;   // its folder, as it shall stand in config.json
  std::string algorithm;  // "eagle3" (SafeAILab, SpecForge, AngelSlim) or "dflash" (z-lab, Laguna)
  Json overrides;         // `--algorithm-kwargs`: config fields by upstream's names; null for none
};

// What was done besides renaming, a line each ("embed_tokens.weight: taken from the verifier").
using ConvertNotes = std::vector<std::string>;

// Writes a speculator to `output`, whole or not at all. Throws UsageError for an unknown algorithm or override,
// DataError for a source that does not fit, listing every tensor that is missing, unexpected or misshapen.
ConvertNotes convert_to_speculator(const ConvertRequest& request, const fs::path& output);

// The way back: the speculator in `folder` as its own project writes it. Throws DataError for an algorithm that has no
// other format.
ConvertNotes convert_from_speculator(const fs::path& folder, const fs::path& output);

// What convert_to_speculator would take a folder for: "eagle3", "dflash", or nothing for a speculator or anything else.
std::string find_foreign_algorithm(const fs::path& folder);

}  // namespace speculators
