// An EvaluationReport as the table people read, as JSON (quickstart/report.json) and as CSV.
#pragma once

#include <string>

#include "base/json.h"
#include "evaluate/evaluation.h"

namespace speculators {

// What was measured, with what, where.
struct EvaluationSetting {
  std::string speculator_type, checkpoint, verifier;
  int64_t proposal_length = 0;
  EvaluationOptions options;
};

std::string report_table(const EvaluationReport& report, const EvaluationSetting& setting);
// Keys: docs/formats/report.md. Holds machine, versions and seeds.
Json report_json(const EvaluationReport& report, const EvaluationSetting& setting);
// One JSON object a line: id, kind, prompt, plain and speculative token ids.
std::string answers_jsonl(const EvaluationReport& report);
std::string report_csv(const EvaluationReport& report);

}  // namespace speculators
