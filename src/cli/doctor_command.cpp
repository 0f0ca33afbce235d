// `speculators doctor CHECKPOINT`: what is wrong with a saved speculator, and how to mend it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "draft/doctor/doctor.h"

namespace speculators {
namespace {

struct DoctorCommand {
  std::string checkpoint;
  bool json = false;
  static CommandText text() {
    return {"doctor", "Say what is wrong with a saved speculator, and how to mend it.",
            "The first argument is the speculator's folder. Exit code 1 when there is a fault."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("checkpoint", checkpoint, "the speculator's folder (or the first argument)");
    option("json", json, "print one JSON object instead of lines");
  }
  int run() {
    if (checkpoint.empty()) throw UsageError("doctor: expected the speculator's folder: speculators doctor DIR");
    const Diagnosis diagnosis = diagnose(checkpoint);
    json ? print_json(diagnosis) : print_lines(diagnosis);
    return diagnosis.has_faults() ? 1 : 0;
  }
  static const char* name_of(Finding::Severity severity) {
    return severity == Finding::Severity::kFault ? "fault" : "advice";
  }
  void print_lines(const Diagnosis& diagnosis) const {
    for (const Finding& finding : diagnosis.findings) fmt::print("{}: {}\n", name_of(finding.severity), finding.text);
    for (const std::string& need : diagnosis.needs) fmt::print("served by: {}\n", need);
    const char* verdict = diagnosis.has_faults() ? "has faults" : "is well";
    fmt::print("{}: {}{}{}\n", checkpoint, diagnosis.algorithm, diagnosis.algorithm.empty() ? "" : " ", verdict);
  }
  void print_json(const Diagnosis& diagnosis) const {
    Json findings = Json::array();
    for (const Finding& finding : diagnosis.findings) {
      findings.push_back({{"severity", name_of(finding.severity)}, {"text", finding.text}});
    }
    const Json result = {{"checkpoint", checkpoint},
                         {"speculator_type", diagnosis.algorithm},
                         {"well", !diagnosis.has_faults()},
                         {"findings", findings},
                         {"served_by", diagnosis.needs}};
    fmt::print("{}\n", result.dump(2));
  }
};

}  // namespace

int run_doctor_command(Arguments arguments) {
  std::vector<std::string> all(arguments.begin(), arguments.end());
  if (!all.empty() && !all.front().starts_with("-")) all.insert(all.begin(), "--checkpoint");
  return run_command<DoctorCommand>(all);
}

}  // namespace speculators
