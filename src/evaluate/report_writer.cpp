#include "evaluate/report_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/version.h"
#include "kernels/compute_pool.h"

namespace speculators {
namespace {

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (at - static_cast<double>(low));
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

const char* instruction_set() {
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  return __builtin_cpu_supports("avx2") ? "AVX2" : "portable";
}

Json speed_json(const SpeedReport& speed) {
  const double rounds = std::max<double>(1, static_cast<double>(speed.num_rounds));
  const double other = speed.decode_seconds - speed.propose_seconds - speed.verify_seconds;
  return {
      {"answers", speed.num_answers},
      {"tokens", speed.num_tokens},
      {"rounds", speed.num_rounds},
      {"tokens_per_second", speed.tokens_per_second()},
      {"inter_token_latency_ms",
       {{"mean", 1e3 * mean(speed.inter_token_latencies)},
        {"p50", 1e3 * percentile(speed.inter_token_latencies, 0.5)},
        {"p90", 1e3 * percentile(speed.inter_token_latencies, 0.9)},
        {"p99", 1e3 * percentile(speed.inter_token_latencies, 0.99)}}},
      {"time_to_first_token_ms",
       {{"mean", 1e3 * mean(speed.times_to_first_token)}, {"p99", 1e3 * percentile(speed.times_to_first_token, 0.99)}}},
      {"round_ms",
       {{"total", 1e3 * speed.decode_seconds / rounds},
        {"propose", 1e3 * speed.propose_seconds / rounds},
        {"verify", 1e3 * speed.verify_seconds / rounds},
        {"other", 1e3 * other / rounds}}}};
}

Json kind_json(const KindReport& kind) {
  return {{"acceptance_length", kind.acceptance.acceptance_length()},
          {"acceptance_per_position", kind.acceptance.acceptance_rates()},
          {"accepted_share_per_position", kind.acceptance.accepted_shares()},
          {"rounds", kind.acceptance.num_rounds},
          {"speed_up", kind.speed_up()},
          {"greedy_identical", kind.greedy.num_identical},
          {"greedy_ties", kind.greedy.num_ties},
          {"greedy_prompts", kind.greedy.num_prompts},
          {"plain", speed_json(kind.plain)},
          {"speculative", speed_json(kind.speculative)}};
}

std::string rates_text(const std::vector<double>& rates) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(rates.size(), 8); ++i)
    text += fmt::format("{}{:.0f}%", i ? " " : "", 100 * rates[i]);
  return text;
}

std::string table_row(const std::string& name, const KindReport& kind) {
  return fmt::format("{:<14}{:>9.1f}{:>9.1f}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}   {}\n", name,
                     kind.plain.tokens_per_second(), kind.speculative.tokens_per_second(),
                     1e3 * mean(kind.plain.inter_token_latencies), 1e3 * mean(kind.speculative.inter_token_latencies),
                     kind.acceptance.acceptance_length(), kind.speed_up(),
                     rates_text(kind.acceptance.acceptance_rates()));
}

std::string greedy_line(const GreedyComparison& greedy) {
  std::string line = fmt::format("greedy answers identical: {} of {}", greedy.num_identical, greedy.num_prompts);
  if (greedy.num_ties > 0) line += fmt::format(" ({} more differ only after a tie within rounding)", greedy.num_ties);
  if (!greedy.different.empty()) line += fmt::format("; DIFFERENT: {}", fmt::join(greedy.different, ", "));
  return line + "\n";
}

}  // namespace

std::string report_table(const EvaluationReport& report, const EvaluationSetting& setting) {
  const auto& total = report.total;
  std::string text = fmt::format("{} speculator {} for {}, {} tokens proposed a round, {} user{}, temperature {}\n",
                                 setting.speculator_type, setting.checkpoint, setting.verifier, setting.proposal_length,
                                 setting.options.concurrency, setting.options.concurrency == 1 ? "" : "s",
                                 setting.options.sampling.temperature);
  text += fmt::format("{:<14}{:>18}{:>20}{:>10}{:>10}   {}\n", "", "tokens/s", "ms between tokens", "accept.", "",
                      "accepted at");
  text += fmt::format("{:<14}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}   {}\n", "kind", "plain", "spec.", "plain", "spec.",
                      "length", "speed-up", "position 1, 2, ...");
  for (const auto& [name, kind] : report.kinds) text += table_row(name, kind);
  text += table_row("all", total);
  if (setting.options.sampling.temperature == 0) text += greedy_line(total.greedy);
  return text;
}

Json report_json(const EvaluationReport& report, const EvaluationSetting& setting) {
  Json json = {{"speculator_type", setting.speculator_type},
               {"checkpoint", setting.checkpoint},
               {"verifier", setting.verifier},
               {"proposal_length", setting.proposal_length},
               {"min_confidence", setting.options.min_confidence},
               {"concurrency", setting.options.concurrency},
               {"max_tokens", setting.options.max_tokens},
               {"temperature", setting.options.sampling.temperature},
               {"top_k", setting.options.sampling.top_k},
               {"top_p", setting.options.sampling.top_p},
               {"min_p", setting.options.sampling.min_p},
               {"seed", setting.options.sampling.seed}};
  json.update(kind_json(report.total));
  json["greedy_different"] = report.total.greedy.different;
  json["kinds"] = Json::object();
  for (const auto& [name, kind] : report.kinds) json["kinds"][name] = kind_json(kind);
  json["machine"] = {{"processor", processor_name()},
                     {"instruction_set", instruction_set()},
                     {"threads", compute_pool().num_threads()}};
  json["versions"] = {{"speculators", kVersion}, {"format", kFormatVersion}, {"compiler", __VERSION__}};
  return json;
}

std::string answers_jsonl(const EvaluationReport& report) {
  std::string lines;
  for (const EvaluationAnswer& answer : report.answers) {
    const Json row = {{"id", answer.id},
                      {"kind", answer.kind},
                      {"prompt", answer.prompt},
                      {"plain", answer.plain},
                      {"speculative", answer.speculative}};
    lines += row.dump() + "\n";
  }
  return lines;
}

std::string report_csv(const EvaluationReport& report) {
  std::string text =
      "kind,answers,rounds,acceptance_length,speed_up,plain_tokens_per_second,speculative_tokens_per_second,"
      "plain_inter_token_latency_ms,speculative_inter_token_latency_ms,greedy_identical,greedy_prompts\n";
  const auto row = [](const std::string& name, const KindReport& kind) {
    return fmt::format("{},{},{},{:.4f},{:.4f},{:.3f},{:.3f},{:.4f},{:.4f},{},{}\n", name, kind.speculative.num_answers,
                       kind.acceptance.num_rounds, kind.acceptance.acceptance_length(), kind.speed_up(),
                       kind.plain.tokens_per_second(), kind.speculative.tokens_per_second(),
                       1e3 * mean(kind.plain.inter_token_latencies), 1e3 * mean(kind.speculative.inter_token_latencies),
                       kind.greedy.num_identical, kind.greedy.num_prompts);
  };
  for (const auto& [name, kind] : report.kinds) text += row(name, kind);
  return text + row("all", report.total);
}

}  // namespace speculators
