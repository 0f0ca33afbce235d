#include "data/prepare_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/errors.h"
#include "base/leftovers.h"
#include "checkpoint/pickle.h"
#include "data/arrow_dataset.h"
#include "data/permutation.h"
#include "data/row_preparer.h"
#include "data/row_source.h"

namespace speculators {
namespace {

void check_options(const PrepareDataOptions& options) {
  const auto check_at_least = [](const char* flag, int64_t value, int64_t least) {
    if (value < least) throw UsageError(fmt::format("--{}: expected at least {}, found {}", flag, least, value));
  };
  if (options.model.empty()) throw UsageError("--model: expected the verifier's folder");
  if (options.data.empty()) throw UsageError("--data: expected at least one file or folder");
  if (options.output.empty()) throw UsageError("--output: expected a folder");
  check_at_least("seq-length", options.seq_length, 2);
  check_at_least("minimum-valid-tokens", options.minimum_valid_tokens.value_or(0), 0);
  check_at_least("max-samples", options.max_samples.value_or(1), 1);
  check_at_least("seed", options.seed, 0);
  check_at_least("num-preprocessing-workers", options.num_preprocessing_workers, 0);
}

// Absolute and without a slash at the end: temporary folders stand beside it.
fs::path output_folder(const PrepareDataOptions& options) {
  const fs::path folder = fs::absolute(options.output).lexically_normal();
  return folder.has_filename() ? folder : folder.parent_path();
}

uint64_t hash_bytes(std::string_view bytes, uint64_t hash) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

// What the data set is made from: contents of the sources and the tokenizer,
// and every option that changes rows.
std::string fingerprint_of(const PrepareDataOptions& options, const std::vector<RowSource>& sources) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const RowSource& source : sources) {
    hash = hash_bytes(fmt::format("source of {} rows;", source.size()), hash);
    source.for_each_file([&](std::string_view content) { hash = hash_bytes(content, hash); });
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}) {
    const fs::path file = fs::path(options.model) / name;
    if (fs::exists(file)) hash = hash_bytes(read_file(file), hash);
  }
  const std::string settings =
      fmt::format("{} {} {} {} {} {}", options.seq_length, options.max_samples.value_or(-1),
                  options.minimum_valid_tokens.value_or(-1), options.seed, options.chat_template_kwargs.value_or(""),
                  options.hidden_states_from.value_or(""));
  return fmt::format("{:016x}", hash_bytes(settings, hash));
}

// True when the same data set is there already; throws when something else is.
bool check_output(const PrepareDataOptions& options, const fs::path& output, const std::string& fingerprint) {
  if (!fs::exists(output)) return false;
  if (!fs::is_directory(output)) throw UsageError(fmt::format("--output: {}: expected a folder", output.string()));
  if (fs::is_empty(output)) return false;
  if (!options.overwrite) {
    if (has_dataset(output) && read_fingerprint(output) == fingerprint) return true;
    throw UsageError(
        fmt::format("--output: {}: holds something else than this data set; "
                    "choose another folder or pass --overwrite",
                    output.string()));
  }
  auto known = dataset_files(output);
  known.push_back(output / "token_freq.pt");
  for (const auto& entry : fs::directory_iterator(output)) {
    if (std::find(known.begin(), known.end(), entry.path()) == known.end()) {
      throw UsageError(
          fmt::format("--overwrite: {}: not a file of a prepared "
                      "data set; move it away first",
                      entry.path().string()));
    }
  }
  return false;
}

// Shuffled rows of one source; with --max-samples three times as many as
// wanted, since some will be dropped.
std::vector<size_t> choose_rows(const PrepareDataOptions& options, const RowSource& source, PrepareDataReport& report) {
  auto order = numpy_permutation(static_cast<uint64_t>(options.seed), source.size());
  report.num_rows_in += static_cast<int64_t>(order.size());
  const auto wanted = static_cast<size_t>(3 * std::min(options.max_samples.value_or(INT64_MAX / 3), INT64_MAX / 3));
  if (order.size() > wanted) {
    report.num_rows_unread += static_cast<int64_t>(order.size() - wanted);
    order.resize(wanted);
  }
  return order;
}

void drop_rows(const PrepareDataOptions& options, std::vector<PreparedRow>& rows, PrepareDataReport& report) {
  report.num_unsupervised =
      report.mask.num_unsupervised +
      static_cast<int64_t>(std::erase_if(rows, [](const PreparedRow& row) { return num_supervised(row.sample) == 0; }));
  report.num_below_minimum = static_cast<int64_t>(std::erase_if(rows, [&](const PreparedRow& row) {
    return num_supervised(row.sample) < options.minimum_valid_tokens.value_or(0);
  }));
}

// Shuffles all sources together and keeps --max-samples.
std::vector<PreparedRow> shuffle_and_cut(const PrepareDataOptions& options, std::vector<PreparedRow> rows,
                                         PrepareDataReport& report) {
  rows = shuffled(std::move(rows), static_cast<uint64_t>(options.seed));
  if (options.max_samples && static_cast<int64_t>(rows.size()) > *options.max_samples) {
    report.num_beyond_maximum = static_cast<int64_t>(rows.size()) - *options.max_samples;
    rows.resize(static_cast<size_t>(*options.max_samples));
  }
  return rows;
}

// Gives the hidden states of regenerated rows their place as hs_<row>; clipped
// rows are made anew by generate-offline-data.
int64_t link_hidden_states(const fs::path& from, const fs::path& folder, const std::vector<PreparedRow>& rows) {
  make_folders(folder / "hidden_states");
  int64_t count = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const fs::path source = from / (rows[i].id + ".safetensors");
    if (rows[i].id.empty() || rows[i].clipped || !fs::exists(source)) continue;
    const fs::path target = folder / "hidden_states" / fmt::format("hs_{}.safetensors", i);
    std::error_code error;
    fs::create_hard_link(source, target, error);
    if (error) fs::copy_file(source, target);
    ++count;
  }
  return count;
}

std::map<int64_t, int64_t> count_tokens(const std::vector<Sample>& samples) {
  std::map<int64_t, int64_t> counts;
  for (const Sample& sample : samples) {
    for (size_t i = 0; i < sample.token_ids.size(); ++i) {
      if (sample.loss_mask[i]) ++counts[sample.token_ids[i]];
    }
  }
  return counts;
}

void check_vocabulary(const std::vector<Sample>& samples, int64_t vocab_size) {
  for (const Sample& sample : samples) {
    for (const int32_t id : sample.token_ids) {
      if (id < vocab_size) continue;
      throw DataError(
          fmt::format("--data: token id {} is outside the tokenizer's "
                      "vocabulary of {}; is this the right "
                      "--model?",
                      id, vocab_size));
    }
  }
}

// Frequencies outside the output folder, or missing in it, are written even
// when the data set is there already: a run may have been stopped in between,
// and a file elsewhere may belong to other data.
void complete_token_freq(const PrepareDataOptions& options, const fs::path& output) {
  if (options.skip_token_freq) return;
  const fs::path path = options.token_freq_path ? fs::path(*options.token_freq_path) : output / "token_freq.pt";
  remove_leftovers(path);
  if (!options.token_freq_path && fs::exists(path)) return;
  write_token_freq(path, count_tokens(read_dataset(output)));
}

// Where the counts go while the data set still has its temporary name.
fs::path token_freq_target(const PrepareDataOptions& options, const fs::path& output, const fs::path& temporary) {
  if (!options.token_freq_path) return temporary / "token_freq.pt";
  const fs::path wanted = fs::absolute(*options.token_freq_path).lexically_normal();
  const fs::path inside = wanted.lexically_relative(output);
  return inside.empty() || *inside.begin() == ".." ? wanted : temporary / inside;
}

std::vector<PreparedRow> prepare_rows(const PrepareDataOptions& options, const std::vector<RowSource>& sources,
                                      RowPreparer& preparer, PrepareDataReport& report) {
  std::vector<PreparedRow> rows;
  for (const RowSource& source : sources) {
    auto part = preparer.run(source, choose_rows(options, source, report), report);
    std::move(part.begin(), part.end(), std::back_inserter(rows));
  }
  drop_rows(options, rows, report);
  if (rows.empty() && !options.allow_empty_output) {
    const std::string& reason = report.mask.first_failure.empty() ? report.first_unusable : report.mask.first_failure;
    throw DataError(
        fmt::format("--data: no row has a supervised token{}; pass "
                    "--allow-empty-output if that is meant",
                    reason.empty() ? "" : " (" + reason + ")"));
  }
  return shuffle_and_cut(options, std::move(rows), report);
}

}  // namespace

PrepareDataReport prepare_data(const PrepareDataOptions& options) {
  check_options(options);
  PrepareDataReport report;
  const fs::path output = output_folder(options);
  const std::vector<RowSource> sources(options.data.begin(), options.data.end());
  const std::string fingerprint = fingerprint_of(options, sources);
  remove_leftovers(output);
  if (check_output(options, output, fingerprint)) {
    report.already_there = true;
    complete_token_freq(options, output);
    return report;
  }
  RowPreparer preparer(options);
  std::vector<PreparedRow> rows = prepare_rows(options, sources, preparer, report);
  std::vector<Sample> samples;
  for (PreparedRow& row : rows) samples.push_back(std::move(row.sample));
  check_vocabulary(samples, preparer.tokenizer().vocab_size());

  write_folder(output, [&](const fs::path& folder) {
    if (options.hidden_states_from) {
      report.num_hidden_states = link_hidden_states(*options.hidden_states_from, folder, rows);
    }
    write_dataset(folder, samples, fingerprint);
    // Last and inside: when the counts cannot be written, there is no data set either.
    if (!options.skip_token_freq) write_token_freq(token_freq_target(options, output, folder), count_tokens(samples));
  });

  report.num_samples = static_cast<int64_t>(samples.size());
  for (const Sample& sample : samples) {
    report.num_tokens += static_cast<int64_t>(sample.token_ids.size());
    report.num_supervised += num_supervised(sample);
  }
  if (!samples.empty()) report.first_sample = coloured_text(samples.front(), preparer.tokenizer());
  return report;
}

}  // namespace speculators
