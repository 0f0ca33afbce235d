#include "data/row_preparer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "base/errors.h"
#include "base/progress.h"

namespace speculators {
namespace {

// Runs work(0) ... work(count - 1) on `num_workers` threads, each index once.
// When some throw, the error of the lowest index is thrown: indices are handed
// out in order, so all below it were finished.
template <class Work>
void run_in_order(size_t count, int64_t num_workers, Progress& progress, Work&& work) {
  std::atomic<size_t> next = 0, done = 0, failed = count;
  std::vector<std::exception_ptr> errors(count);
  const auto loop = [&](auto&& after_each) {
    for (size_t i = next++; i < std::min(count, failed.load()) && !stop_requested(); i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
        size_t lowest = failed;
        while (i < lowest && !failed.compare_exchange_weak(lowest, i)) {
        }
      }
      ++done;
      after_each();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 1; i < num_workers; ++i) threads.emplace_back([&] { loop([] {}); });
    size_t shown = 0;
    loop([&] {
      const size_t now = done;
      progress.advance(static_cast<int64_t>(now - shown));
      shown = now;
    });
  }
  if (failed < count) std::rethrow_exception(errors[failed]);
  check_stop("nothing was written");
}

int64_t worker_count(const PrepareDataOptions& options) {
  constexpr int64_t kMaxWorkers = 1024;  // above any machine; threads that cannot start would end the run
  if (options.num_preprocessing_workers > 0) return std::min(options.num_preprocessing_workers, kMaxWorkers);
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

int64_t num_supervised(const Sample& sample) {
  return std::count(sample.loss_mask.begin(), sample.loss_mask.end(), uint8_t{1});
}

RowPreparer::RowPreparer(const PrepareDataOptions& options)
    : options_(options), tokenizer_(Tokenizer::load(options.model)) {
  if (options.chat_template_kwargs) {
    variables_ = parse_json(*options.chat_template_kwargs, "--chat-template-kwargs");
    if (!variables_.is_object()) throw UsageError("--chat-template-kwargs: expected a JSON object");
  }
  load_template();
}

// A base model has no template; that matters only once a conversation comes.
void RowPreparer::load_template() {
  try {
    template_ = ChatTemplate::load(options_.model);
    joins_parts_ = !reads_text_parts(*template_);
  } catch (const DataError& error) {
    template_error_ = error.what();
  }
}

PreparedRow RowPreparer::prepare(const TokenisedRow& row, MaskCounts& counts) const {
  PreparedRow result{.sample = row.sample, .id = row.id};
  ++counts.num_turns;
  const auto limit = static_cast<size_t>(options_.seq_length);
  if (row.sample.token_ids.size() > limit) {
    result.clipped = true;
    result.sample.token_ids.resize(limit);
    result.sample.loss_mask.resize(limit);
    // Only what remains supervised was clipped inside its answer; the rest is
    // dropped later.
    counts.num_clipped += num_supervised(result.sample) > 0;
  }
  return result;
}

RowPreparer::Result RowPreparer::prepare(const RowSource& source, size_t index) const {
  Result result;
  try {
    DataRow row = source.read(index, result.warnings);
    if (const auto* tokenised = std::get_if<TokenisedRow>(&row)) {
      result.rows.push_back(prepare(*tokenised, result.mask));
      return result;
    }
    if (!template_) throw DataError(template_error_);
    auto& conversation = std::get<Conversation>(row);
    if (joins_parts_) join_text_parts(conversation.messages);
    const MaskOptions mask{.seq_length = options_.seq_length,
                           .variables = variables_.is_object() ? &variables_ : nullptr};
    for (Sample& sample : make_samples(conversation, tokenizer_, *template_, mask, result.mask)) {
      result.rows.push_back({.sample = std::move(sample), .id = ""});
    }
  } catch (const RowError& error) {
    result.unusable = error.what();
  }
  return result;
}

std::vector<PreparedRow> RowPreparer::run(const RowSource& source, const std::vector<size_t>& order,
                                          PrepareDataReport& report) {
  std::vector<Result> results(order.size());
  Progress progress("prepare", static_cast<int64_t>(order.size()), "rows");
  run_in_order(order.size(), worker_count(options_), progress,
               [&](size_t i) { results[i] = prepare(source, order[i]); });

  std::vector<PreparedRow> prepared;
  for (Result& result : results) {
    report.mask.add(result.mask);
    report.rows.add(result.warnings);
    if (!result.unusable.empty()) {
      if (report.num_unusable++ == 0) report.first_unusable = result.unusable;
      continue;
    }
    report.num_without_samples += result.rows.empty();
    std::move(result.rows.begin(), result.rows.end(), std::back_inserter(prepared));
  }
  return prepared;
}

std::string coloured_text(const Sample& sample, const Tokenizer& tokenizer) {
  constexpr const char* kBlue = "\033[38;5;153m";
  constexpr const char* kGrey = "\033[90m";
  std::string text;
  size_t begin = 0;
  while (begin < sample.token_ids.size()) {
    size_t end = begin;
    while (end < sample.token_ids.size() && sample.loss_mask[end] == sample.loss_mask[begin]) ++end;
    text += sample.loss_mask[begin] ? kBlue : kGrey;
    text += tokenizer.decode(std::span(sample.token_ids).subspan(begin, end - begin));
    begin = end;
  }
  return text + "\033[0m";
}

}  // namespace speculators
