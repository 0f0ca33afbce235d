// What is wrong with a saved speculator, found before vLLM does - or does not: much of this it loads silently, and then
// nothing is accepted. Source: reference vllm_contract.md section 8, checked against vLLM 0.32 where that runs on a
// CPU.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace speculators {

struct Finding {
  enum class Severity {
    kFault,   // it does not load, or it loads and drafts wrongly
    kAdvice,  // it works here; elsewhere perhaps not
  };
  Severity severity = Severity::kFault;
  std::string text;  // place, expected, found, cure
};

struct Diagnosis {
  std::string algorithm;  // empty when config.json does not even say that
  std::vector<Finding> findings;
  std::vector<std::string> needs;  // what serves it: "vLLM with ..."
  bool has_faults() const;
};

// Reads config, tensors (every value) and the verifier's folder. Never throws for a damaged speculator: that is a
// finding. Rules that need what an earlier rule found damaged are left out.
Diagnosis diagnose(const fs::path& folder);

}  // namespace speculators
