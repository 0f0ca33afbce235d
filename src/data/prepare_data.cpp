#include "data/prepare_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/errors.h"
#include "base/progress.h"
#include "checkpoint/pickle.h"
#include "data/arrow_dataset.h"

namespace speculators {
namespace {

// A sample and the id of the tokenised row it came from (empty for rendered ones).
struct PreparedRow {
  Sample sample;
  std::string id;
  bool clipped = false;
};

template <class T>
void shuffle(std::vector<T>& items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random() % i]);
}

int64_t num_supervised(const Sample& sample) { return std::count(sample.loss_mask.begin(), sample.loss_mask.end(), uint8_t{1}); }

void check_options(const PrepareDataOptions& options) {
  if (options.model.empty()) throw UsageError("--model: expected the verifier's folder");
  if (options.data.empty()) throw UsageError("--data: expected at least one file or folder");
  if (options.seq_length < 2) throw UsageError(fmt::format("--seq-length: expected at least 2, found {}", options.seq_length));
  if (options.minimum_valid_tokens.value_or(0) < 0) throw UsageError("--minimum-valid-tokens: expected 0 or more");
  if (options.max_samples.value_or(1) < 1) throw UsageError("--max-samples: expected at least 1");
}

uint64_t hash_bytes(std::string_view bytes, uint64_t hash) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

uint64_t hash_source(const fs::path& source, uint64_t hash) {
  if (!fs::is_directory(source)) return hash_bytes(read_file(source), hash);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) hash = hash_bytes(read_file(file), hash);
  return hash;
}

// What the data set is made from: contents of the sources and the tokenizer, and every option that changes rows.
std::string fingerprint_of(const PrepareDataOptions& options) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const std::string& source : options.data) {
    if (!fs::exists(source)) throw DataError(fmt::format("--data: {}: no such file or folder", source));
    hash = hash_source(source, hash);
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}) {
    const fs::path file = fs::path(options.model) / name;
    if (fs::exists(file)) hash = hash_bytes(read_file(file), hash);
  }
  hash = hash_bytes(fmt::format("{} {} {} {} {}", options.seq_length, options.max_samples.value_or(-1), options.minimum_valid_tokens.value_or(-1),
                                options.seed, options.chat_template_kwargs.value_or("")),
                    hash);
  return fmt::format("{:016x}", hash);
}

// True when the same data set is there already; throws when something else is.
bool check_output(const PrepareDataOptions& options, const std::string& fingerprint) {
  const fs::path output = options.output;
  if (!fs::exists(output) || fs::is_empty(output)) return false;
  if (!options.overwrite) {
    if (has_dataset(output) && read_fingerprint(output) == fingerprint) return true;
    throw UsageError(fmt::format("--output: {}: holds something else than this data set; choose another folder or pass --overwrite", output.string()));
  }
  auto known = dataset_files(output);
  known.push_back(output / "token_freq.pt");
  for (const auto& entry : fs::directory_iterator(output)) {
    if (std::find(known.begin(), known.end(), entry.path()) == known.end()) {
      throw UsageError(fmt::format("--overwrite: {}: not a file of a prepared data set; move it away first", entry.path().string()));
    }
  }
  return false;
}

std::vector<DataRow> read_sources(const PrepareDataOptions& options, PrepareDataReport& report) {
  std::mt19937_64 random(static_cast<uint64_t>(options.seed));
  std::vector<DataRow> rows;
  for (const std::string& source : options.data) {
    std::vector<DataRow> part;
    read_rows(source, report.rows, [&](DataRow row) { part.push_back(std::move(row)); });
    report.num_rows_in += static_cast<int64_t>(part.size());
    shuffle(part, random);
    // Each source is cut to three times the maximum before the costly rendering.
    if (options.max_samples) part.resize(std::min(part.size(), static_cast<size_t>(3 * *options.max_samples)));
    std::move(part.begin(), part.end(), std::back_inserter(rows));
  }
  return rows;
}

// Renders rows on several threads; results keep the rows' order.
class Preparer {
 public:
  explicit Preparer(const PrepareDataOptions& options)
      : options_(options), tokenizer_(Tokenizer::load(options.model)), template_(ChatTemplate::load(options.model)) {
    if (!options.chat_template_kwargs) return;
    variables_ = parse_json(*options.chat_template_kwargs, "--chat-template-kwargs");
    if (!variables_.is_object()) throw UsageError("--chat-template-kwargs: expected a JSON object");
  }

  std::vector<PreparedRow> run(const std::vector<DataRow>& rows, PrepareDataReport& report) {
    std::vector<std::vector<PreparedRow>> results(rows.size());
    std::vector<MaskCounts> counts(rows.size());
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      for (size_t i = next++; i < rows.size() && !stop_requested(); i = next++) results[i] = prepare(rows[i], counts[i]);
    };
    std::vector<std::jthread> threads;
    const int64_t workers = options_.num_preprocessing_workers > 0 ? options_.num_preprocessing_workers : std::thread::hardware_concurrency();
    for (int64_t i = 1; i < workers; ++i) threads.emplace_back(work);
    work();
    threads.clear();
    check_stop("nothing was written");

    std::vector<PreparedRow> prepared;
    for (size_t i = 0; i < rows.size(); ++i) {
      report.mask.add(counts[i]);
      report.num_without_samples += results[i].empty();
      std::move(results[i].begin(), results[i].end(), std::back_inserter(prepared));
    }
    return prepared;
  }

  // Supervised tokens in blue, the rest in grey.
  std::string coloured(const Sample& sample) const {
    std::string text;
    size_t begin = 0;
    while (begin < sample.token_ids.size()) {
      size_t end = begin;
      while (end < sample.token_ids.size() && sample.loss_mask[end] == sample.loss_mask[begin]) ++end;
      const auto part = std::span(sample.token_ids).subspan(begin, end - begin);
      text += fmt::format("\033[{}m{}\033[0m", sample.loss_mask[begin] ? "34" : "90", tokenizer_.decode(part));
      begin = end;
    }
    return text;
  }

  int64_t vocab_size() const { return tokenizer_.vocab_size(); }

 private:
  std::vector<PreparedRow> prepare(const DataRow& row, MaskCounts& counts) const {
    std::vector<PreparedRow> prepared;
    if (const auto* tokenised = std::get_if<TokenisedRow>(&row)) {
      PreparedRow result{.sample = tokenised->sample, .id = tokenised->id};
      ++counts.num_turns;
      clip(result, counts);
      prepared.push_back(std::move(result));
      return prepared;
    }
    const MaskOptions mask{.seq_length = options_.seq_length, .variables = variables_.is_object() ? &variables_ : nullptr};
    for (Sample& sample : make_samples(std::get<Conversation>(row), tokenizer_, template_, mask, counts)) prepared.push_back({std::move(sample), ""});
    return prepared;
  }

  void clip(PreparedRow& row, MaskCounts& counts) const {
    const auto limit = static_cast<size_t>(options_.seq_length);
    if (row.sample.token_ids.size() <= limit) return;
    row.clipped = true;
    ++counts.num_clipped;
    row.sample.token_ids.resize(limit);
    row.sample.loss_mask.resize(limit);
  }

  const PrepareDataOptions& options_;
  Tokenizer tokenizer_;
  ChatTemplate template_;
  Json variables_;
};

void filter_rows(const PrepareDataOptions& options, std::vector<PreparedRow>& rows, PrepareDataReport& report) {
  const auto drop_if = [&](auto&& condition) {
    const size_t before = rows.size();
    std::erase_if(rows, condition);
    return static_cast<int64_t>(before - rows.size());
  };
  report.num_unsupervised = drop_if([](const PreparedRow& row) { return num_supervised(row.sample) == 0; });
  report.num_below_minimum = drop_if([&](const PreparedRow& row) { return num_supervised(row.sample) < options.minimum_valid_tokens.value_or(0); });
  std::mt19937_64 random(static_cast<uint64_t>(options.seed) + 1);
  shuffle(rows, random);
  if (options.max_samples && static_cast<int64_t>(rows.size()) > *options.max_samples) {
    report.num_beyond_maximum = static_cast<int64_t>(rows.size()) - *options.max_samples;
    rows.resize(static_cast<size_t>(*options.max_samples));
  }
}

// Gives the hidden states of regenerated rows their place as hs_<row>; clipped rows are made anew by generate-offline-data.
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
      if (id >= vocab_size) {
        throw DataError(fmt::format("--data: token id {} is outside the tokenizer's vocabulary of {}; is this the right --model?", id, vocab_size));
      }
    }
  }
}

}  // namespace

PrepareDataReport prepare_data(const PrepareDataOptions& options) {
  check_options(options);
  PrepareDataReport report;
  const std::string fingerprint = fingerprint_of(options);
  if (check_output(options, fingerprint)) {
    report.already_there = true;
    return report;
  }
  Preparer preparer(options);
  std::vector<PreparedRow> rows = preparer.run(read_sources(options, report), report);
  filter_rows(options, rows, report);
  if (rows.empty() && !options.allow_empty_output) {
    throw DataError(fmt::format("--data: no row has a supervised token{}; pass --allow-empty-output if that is meant",
                                report.mask.first_failure.empty() ? "" : " (" + report.mask.first_failure + ")"));
  }

  std::vector<Sample> samples;
  for (const PreparedRow& row : rows) samples.push_back(row.sample);
  check_vocabulary(samples, preparer.vocab_size());
  const auto counts = count_tokens(samples);
  write_folder(options.output, [&](const fs::path& folder) {
    if (options.hidden_states_from) report.num_hidden_states = link_hidden_states(*options.hidden_states_from, folder, rows);
    if (!options.skip_token_freq && !options.token_freq_path) write_token_freq(folder / "token_freq.pt", counts);
    write_dataset(folder, samples, fingerprint);
  });
  if (!options.skip_token_freq && options.token_freq_path) write_token_freq(*options.token_freq_path, counts);

  report.num_samples = static_cast<int64_t>(samples.size());
  for (const Sample& sample : samples) {
    report.num_tokens += static_cast<int64_t>(sample.token_ids.size());
    report.num_supervised += num_supervised(sample);
  }
  if (!samples.empty()) report.first_sample = preparer.coloured(samples.front());
  return report;
}

std::string describe(const PrepareDataReport& report, const std::string& output) {
  if (report.already_there) return fmt::format("{}: this data set is there already; nothing to do\n", output);
  std::string text = fmt::format("{}: {} samples from {} rows, {} tokens, {} of them supervised\n", output, report.num_samples, report.num_rows_in,
                                 report.num_tokens, report.num_supervised);
  const auto line = [&](int64_t count, const char* what) {
    if (count > 0) text += fmt::format("  {} {}\n", count, what);
  };
  line(report.num_unsupervised, "rows dropped: no supervised token");
  line(report.num_below_minimum, "rows dropped: fewer supervised tokens than --minimum-valid-tokens");
  line(report.num_beyond_maximum, "rows left out by --max-samples");
  line(report.num_without_samples, "conversations gave no row");
  line(report.mask.num_context_full, "turns skipped: the history alone fills --seq-length");
  line(report.mask.num_clipped, "rows clipped inside the answer");
  line(report.mask.num_failed, "conversations skipped: they did not render");
  if (!report.mask.first_failure.empty()) text += fmt::format("    the first: {}\n", report.mask.first_failure);
  line(report.rows.num_unknown_roles, "turns with an unknown role became assistant turns");
  line(report.rows.num_invalid_tools, "rows with invalid `tools`; left out");
  line(report.num_hidden_states, "samples got the hidden states kept by regenerate-responses");
  if (!report.first_sample.empty()) text += "first sample (supervised tokens in blue):\n" + report.first_sample + "\n";
  return text;
}

}  // namespace speculators
