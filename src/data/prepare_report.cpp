// describe(): what prepare-data did, for people.
#include <fmt/format.h>

#include "data/prepare_data.h"

namespace speculators {

std::string describe(const PrepareDataReport& report, const std::string& output) {
  if (report.already_there) return fmt::format("{}: this data set is there already; nothing to do\n", output);
  std::string text = fmt::format("{}: {} samples from {} rows, {} tokens, {} of them supervised\n", output,
                                 report.num_samples, report.num_rows_in, report.num_tokens, report.num_supervised);
  const auto line = [&](int64_t count, const std::string& what, const std::string& detail = "") {
    if (count == 0) return;
    text += fmt::format("  {} {}\n", count, what);
    if (!detail.empty()) text += fmt::format("    the first: {}\n", detail);
  };
  line(report.num_rows_unread, "rows not read: --max-samples needs no more");
  line(report.num_unusable, "rows left out: not usable as conversations", report.first_unusable);
  line(report.mask.num_failed, "conversations left out: they did not render", report.mask.first_failure);
  line(report.num_without_samples, "usable rows gave no sample");
  line(report.mask.num_context_full, "turns left out: the history alone fills --seq-length");
  line(report.num_unsupervised,
       "turns dropped: no supervised token is left; a "
       "larger --seq-length keeps more");
  line(report.num_below_minimum, "samples dropped: fewer supervised tokens than --minimum-valid-tokens");
  line(report.num_beyond_maximum, "samples left out by --max-samples");
  line(report.mask.num_clipped, "samples clipped inside the answer by --seq-length (kept)");
  line(report.rows.num_unknown_roles, "turns with an unknown role became assistant turns",
       report.rows.first_unknown_role);
  line(report.rows.num_invalid_tools, "rows with invalid `tools`; used without");
  line(report.num_hidden_states, "samples got the hidden states kept by regenerate-responses");
  if (!report.first_sample.empty()) text += "first sample (supervised tokens in blue):\n" + report.first_sample + "\n";
  return text;
}

}  // namespace speculators
