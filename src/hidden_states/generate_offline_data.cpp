#include "hidden_states/generate_offline_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "base/leftovers.h"
#include "checkpoint/safetensors.h"
#include "data/arrow_dataset.h"

namespace speculators {
namespace {

constexpr const char* kManifest = "hidden_states.json";
constexpr size_t kMaxListed = 10;

void check_options(const GenerateOfflineDataOptions& options) {
  if (options.model.empty()) throw UsageError("--model: expected the verifier's folder");
  const auto check_positive = [](const char* flag, int64_t value) {
    if (value < 1) throw UsageError(fmt::format("--{}: expected at least 1, got {}", flag, value));
  };
  check_positive("batch-tokens", options.batch_tokens);
  check_positive("max-consecutive-errors", options.max_consecutive_errors);
  check_positive("world-size", options.world_size);
  check_positive("max-samples", options.max_samples.value_or(1));
  if (options.last_layer_only && !options.target_layer_ids.empty()) {
    throw UsageError("--last-layer-only: expected no --target-layer-ids with it, since it keeps none of them");
  }
  if (options.rank < 0 || options.rank >= options.world_size) {
    throw UsageError(fmt::format("--rank: expected 0 to {}, got {}", options.world_size - 1, options.rank));
  }
}

// FNV-1a over config.json and the first bytes of every tensor: tells verifiers apart without reading gigabytes.
std::string fingerprint_of(const fs::path& folder) {
  constexpr size_t kBytesOfEach = 4096;
  uint64_t hash = 0xcbf29ce484222325ull;
  const auto add = [&](std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3ull;
  };
  const std::string config = read_file(folder / "config.json");
  add(std::as_bytes(std::span(config)));
  const TensorFile weights = TensorFile::open_folder(folder);
  for (const auto& [name, tensor] : weights.tensors()) {
    add(std::as_bytes(std::span(name)));
    add(tensor.bytes.first(std::min(tensor.bytes.size(), kBytesOfEach)));
  }
  return fmt::format("{:016x}", hash);
}

Json make_manifest(const GenerateOfflineDataOptions& options, const std::vector<int64_t>& layer_ids) {
  return {
      {"verifier", options.model}, {"verifier_fingerprint", fingerprint_of(options.model)}, {"layer_ids", layer_ids}};
}

// One folder, one verifier, one list of layers. True when the folder's manifest says so already.
bool is_claimed(const fs::path& folder, const Json& manifest) {
  const fs::path path = folder / kManifest;
  if (!fs::exists(path)) return false;
  const Json found = read_json(path);
  for (const char* key : {"verifier_fingerprint", "layer_ids"}) {
    const Json value = found.is_object() && found.contains(key) ? found.at(key) : Json(nullptr);
    if (value == manifest.at(key)) continue;
    throw UsageError(fmt::format(
        "{}: {}: expected {} for this run, found {}; the files here were made with another verifier or other "
        "--target-layer-ids: give another --output, or delete the folder",
        path.string(), key, manifest.at(key).dump(), value.dump()));
  }
  return true;
}

// Another tokenizer's ids would be found row by row, after hours maybe.
void check_vocabulary(const std::vector<Sample>& samples, int64_t vocab_size, const std::string& place) {
  for (size_t row = 0; row < samples.size(); ++row) {
    for (const int32_t id : samples[row].token_ids) {
      if (id >= 0 && id < vocab_size) continue;
      throw DataError(fmt::format(
          "{}: row {}: expected token ids below {}, the verifier's vocabulary, found {}; was the data prepared for "
          "this verifier?",
          place, row, vocab_size, id));
    }
  }
}

std::string list_failures(const std::string& title, const std::vector<CaptureFailure>& failures) {
  if (failures.empty()) return "";
  std::string lines = fmt::format("{} {}:\n", failures.size(), title);
  for (size_t i = 0; i < std::min(failures.size(), kMaxListed); ++i) {
    lines += fmt::format("  row {}: {}\n", failures[i].row, failures[i].reason);
  }
  if (failures.size() > kMaxListed) lines += fmt::format("  and {} more\n", failures.size() - kMaxListed);
  return lines;
}

}  // namespace

std::pair<int64_t, int64_t> rows_of_rank(int64_t num_rows, int64_t world_size, int64_t rank) {
  const int64_t each = num_rows / world_size, remainder = num_rows % world_size;
  const int64_t first = rank * each + std::min(rank, remainder);
  return {first, first + each + (rank < remainder ? 1 : 0)};
}

GenerateOfflineDataReport generate_offline_data(const GenerateOfflineDataOptions& options) {
  check_options(options);
  const std::vector<Sample> samples = read_dataset(options.preprocessed_data);
  const fs::path folder =
      options.output ? fs::path(*options.output) : fs::path(options.preprocessed_data) / "hidden_states";
  const ModelConfig config = read_model_config(options.model);
  check_vocabulary(samples, config.vocab_size, options.preprocessed_data);

  GenerateOfflineDataReport report;
  report.output = folder.string();
  report.layer_ids = options.last_layer_only ? std::vector<int64_t>{config.num_hidden_layers}
                                             : capture_layer_ids(options.target_layer_ids, config.num_hidden_layers);
  const auto num_rows = static_cast<int64_t>(samples.size());
  const auto [first, last] =
      rows_of_rank(std::min(num_rows, options.max_samples.value_or(num_rows)), options.world_size, options.rank);
  report.num_rows = last - first;

  // Everything is read before anything is written.
  const Json manifest = make_manifest(options, report.layer_ids);
  const bool claimed = is_claimed(folder, manifest);
  const auto verifier = load_verifier(options.model);
  make_folders(folder);
  // Other machines may be writing here at this moment.
  if (options.world_size == 1) remove_leftovers_in(folder);
  if (!claimed) write_json(folder / kManifest, manifest);
  const CaptureOptions capture_options{.layer_ids = report.layer_ids,
                                       .batch_tokens = options.batch_tokens,
                                       .validate_outputs = options.validate_outputs,
                                       .fail_on_error = options.fail_on_error,
                                       .max_consecutive_errors = options.max_consecutive_errors};
  report.capture = capture(*verifier, samples, first, last, capture_options, folder);
  return report;
}

std::string describe(const GenerateOfflineDataReport& report) {
  const CaptureReport& capture = report.capture;
  const double seconds = capture.verify_seconds + capture.write_seconds;
  std::string text =
      fmt::format("hidden states of layers [{}] in {}\n", fmt::join(report.layer_ids, ", "), report.output);
  text += fmt::format("{} of {} rows: {} captured, {} were there\n", capture.num_captured + capture.num_kept,
                      report.num_rows, capture.num_captured, capture.num_kept);
  if (capture.num_captured > 0) {
    text +=
        fmt::format("{} tokens, {:.1f} MB; verifier {:.1f} s, writing {:.1f} s, checking {:.1f} s; {:.0f} tokens/s\n",
                    capture.num_tokens, static_cast<double>(capture.num_bytes) * 1e-6, capture.verify_seconds,
                    capture.write_seconds, capture.check_seconds,
                    static_cast<double>(capture.num_tokens) / std::max(seconds, 1e-9));
  }
  text += list_failures("files were damaged or did not fit and were made again", capture.damaged);
  text += list_failures("rows have no hidden states", capture.failures);
  return text;
}

}  // namespace speculators
