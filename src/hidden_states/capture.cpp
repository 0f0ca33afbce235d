#include "hidden_states/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <numeric>
#include <utility>

#include "base/errors.h"
#include "base/progress.h"
#include "hidden_states/existing_files.h"
#include "hidden_states/hidden_states.h"

namespace speculators {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Empty when the verifier can run the sample.
std::string reason_against(const Sample& sample, const ModelConfig& config) {
  const auto length = static_cast<int64_t>(sample.token_ids.size());
  if (length == 0) return "the sample has no tokens";
  if (length > config.max_position_embeddings) {
    return fmt::format(
        "{} tokens are more than the verifier's context of {}; prepare the data with a smaller --seq-length", length,
        config.max_position_embeddings);
  }
  for (const int32_t id : sample.token_ids) {
    if (id >= 0 && id < config.vocab_size) continue;
    return fmt::format(
        "token id {} is outside the verifier's vocabulary of {}; was the data prepared for this verifier?", id,
        config.vocab_size);
  }
  return "";
}

class CaptureRun {
 public:
  CaptureRun(Verifier& verifier, std::span<const Sample> samples, const CaptureOptions& options, fs::path folder)
      : verifier_(verifier), samples_(samples), options_(options), folder_(std::move(folder)) {
    batch_.hidden_layer_ids = options_.layer_ids;
  }

  CaptureReport run(int64_t first, int64_t last) {
    find_rows(first, last);
    check_disk();
    Progress progress("capture", num_tokens_of(rows_), "tokens");
    while (!rows_.empty() || !running_.empty()) {
      check_stop(fmt::format("{} files are whole in {}; the same command goes on from there",
                             report_.num_kept + report_.num_captured, folder_.string()));
      fill_batch();
      if (batch_.sequences.empty()) continue;
      const auto start = Clock::now();
      const VerifierOutput output = verifier_.forward(batch_);
      report_.verify_seconds += seconds_since(start);
      const int64_t num_tokens = take_states(output.hidden_states);
      progress.advance(num_tokens, fmt::format("{} files", report_.num_captured));
    }
    return std::move(report_);
  }

 private:
  struct Running {
    int64_t row = 0;
    KvSequence kv;
    HiddenStates states;
    int64_t num_rows = 0;  // of the pass under way
  };

  // The rows that lack a valid file.
  void find_rows(int64_t first, int64_t last) {
    const auto start = Clock::now();
    for (int64_t row = first; row < last; ++row) {
      const fs::path path = hidden_states_path(folder_, row);
      if (!fs::exists(path)) {
        rows_.push_back(row);
        continue;
      }
      const std::string problem =
          find_problem(path, samples_[row], num_layers(), hidden_size(), options_.validate_outputs);
      if (problem.empty()) {
        ++report_.num_kept;
        continue;
      }
      report_.damaged.push_back({row, problem});
      rows_.push_back(row);
    }
    report_.check_seconds = seconds_since(start);
  }

  void check_disk() const {
    const auto needed = static_cast<uint64_t>(num_tokens_of(rows_) * (num_layers() * hidden_size() * 2 + 8));
    const auto free = fs::space(folder_).available;
    if (needed <= free) return;
    throw DataError(fmt::format(
        "{}: the hidden states of {} samples need {:.1f} GB, but {:.1f} GB are free; take another "
        "disk with --output, or fewer samples with --max-samples",
        folder_.string(), rows_.size(), static_cast<double>(needed) * 1e-9, static_cast<double>(free) * 1e-9));
  }

  // What is left of the samples under way, then new samples, up to batch_tokens rows.
  void fill_batch() {
    batch_.sequences.clear();
    int64_t rows_left = options_.batch_tokens;
    for (Running& running : running_) rows_left -= add_to_batch(running, rows_left);
    while (rows_left > 0 && !rows_.empty()) {
      const int64_t row = rows_.front();
      rows_.pop_front();
      const std::string reason = reason_against(samples_[row], verifier_.config());
      if (!reason.empty()) {
        fail(row, reason);
        continue;
      }
      running_.push_back({.row = row, .kv = KvSequence(*pool_), .states = {}});
      running_.back().states = {.num_layers = num_layers(), .hidden_size = hidden_size()};
      rows_left -= add_to_batch(running_.back(), rows_left);
    }
  }

  int64_t add_to_batch(Running& running, int64_t rows_left) {
    const auto tokens = std::span(samples_[running.row].token_ids).subspan(running.kv.length());
    running.num_rows = std::min<int64_t>(rows_left, static_cast<int64_t>(tokens.size()));
    if (running.num_rows > 0) batch_.sequences.push_back({&running.kv, tokens.first(running.num_rows), 0});
    return running.num_rows;
  }

  // Hands the pass's rows to their samples and writes the complete ones. Returns the number of tokens.
  int64_t take_states(std::span<const float> states) {
    int64_t num_tokens = 0;
    const int64_t row_size = num_layers() * hidden_size();
    for (Running& running : running_) {
      const auto source = states.subspan(num_tokens * row_size, running.num_rows * row_size);
      num_tokens += running.num_rows;
      std::vector<Bf16>& values = running.states.values;
      const size_t before = values.size();
      values.resize(before + source.size());
      std::transform(source.begin(), source.end(), values.begin() + before, to_bf16);
      if (running.kv.length() == static_cast<int64_t>(samples_[running.row].token_ids.size())) finish(running);
    }
    std::erase_if(running_, [](const Running& running) { return running.row < 0; });
    return num_tokens;
  }

  void finish(Running& running) {
    const int64_t row = std::exchange(running.row, -1);
    running.states.token_ids = samples_[row].token_ids;
    const fs::path path = hidden_states_path(folder_, row);
    try {
      check_hidden_states(running.states, path.string());
    } catch (const DataError& error) {
      fail(row, error.what());
      return;
    }
    const auto start = Clock::now();
    write_hidden_states(path, running.states);
    report_.write_seconds += seconds_since(start);
    ++report_.num_captured;
    report_.num_tokens += static_cast<int64_t>(running.states.token_ids.size());
    report_.num_bytes += static_cast<int64_t>(fs::file_size(path));
    num_consecutive_ = 0;
  }

  void fail(int64_t row, const std::string& reason) {
    // A file that is known to be wrong must not be found later.
    std::error_code ignored;
    fs::remove(hidden_states_path(folder_, row), ignored);
    report_.failures.push_back({row, reason});
    if (!options_.fail_on_error && ++num_consecutive_ < options_.max_consecutive_errors) return;
    throw DataError(fmt::format("row {}: {}{}", row, reason,
                                options_.fail_on_error
                                    ? " (--fail-on-error)"
                                    : fmt::format("; {} samples one behind the other failed", num_consecutive_)));
  }

  template <class Rows>
  int64_t num_tokens_of(const Rows& rows) const {
    return std::accumulate(rows.begin(), rows.end(), int64_t{0}, [&](int64_t sum, int64_t row) {
      return sum + static_cast<int64_t>(samples_[row].token_ids.size());
    });
  }

  int64_t num_layers() const { return static_cast<int64_t>(options_.layer_ids.size()); }
  int64_t hidden_size() const { return verifier_.config().hidden_size; }

  Verifier& verifier_;
  std::span<const Sample> samples_;
  const CaptureOptions& options_;
  fs::path folder_;
  std::unique_ptr<KvPool> pool_ = verifier_.make_kv_pool();
  std::deque<int64_t> rows_;     // to do
  std::deque<Running> running_;  // in the order of their rows in the batch, which points into it
  VerifierBatch batch_;
  CaptureReport report_;
  int64_t num_consecutive_ = 0;
};

}  // namespace

std::vector<int64_t> capture_layer_ids(std::vector<int64_t> target_layer_ids, int64_t num_layers) {
  const bool is_default = target_layer_ids.empty();
  if (is_default) target_layer_ids = {2, num_layers / 2, num_layers - 3};
  for (size_t i = 0; i < target_layer_ids.size(); ++i) {
    const int64_t id = target_layer_ids[i];
    const bool repeats = i > 0 && id <= target_layer_ids[i - 1];
    if (id >= 0 && id <= num_layers && !repeats) continue;
    throw UsageError(fmt::format("--target-layer-ids: expected ascending ids in [0, {}], found [{}]{}", num_layers,
                                 fmt::join(target_layer_ids, ", "),
                                 is_default ? ", the default for so few layers; give them explicitly" : ""));
  }
  target_layer_ids.push_back(num_layers);
  return target_layer_ids;
}

CaptureReport capture(Verifier& verifier, std::span<const Sample> samples, int64_t first, int64_t last,
                      const CaptureOptions& options, const fs::path& folder) {
  return CaptureRun(verifier, samples, options, folder).run(first, last);
}

}  // namespace speculators
