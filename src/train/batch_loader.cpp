#include "train/batch_loader.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "base/errors.h"
#include "train/collate.h"

namespace speculators {
namespace {

std::vector<int64_t> lengths_of(const SampleSource& source, RowRange rows) {
  std::vector<int64_t> lengths;
  for (int64_t row = rows.first; row < rows.last; ++row) lengths.push_back(source.length(row));
  return lengths;
}

}  // namespace

// Threads that build rows first ... last of one epoch, at most `num_prefetched` ahead of the reader, each its own row.
class BatchLoader::Workers {
 public:
  Workers(const BatchLoader& loader, int64_t epoch, int64_t first_batch)
      : loader_(loader),
        epoch_(epoch),
        batches_(loader.sampler_.batches(epoch)),
        built_(first_batch),
        taken_(first_batch) {
    const int64_t count = std::clamp<int64_t>(loader.options_.num_workers, 1, num_batches());
    for (int64_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }

  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  std::optional<LoadedBatch> take() {
    std::unique_lock lock(mutex_);
    if (taken_ >= num_batches()) return std::nullopt;
    changed_.wait(lock, [&] { return ready_.contains(taken_); });
    auto node = ready_.extract(taken_++);
    changed_.notify_all();
    if (auto* error = std::get_if<std::exception_ptr>(&node.mapped())) std::rethrow_exception(*error);
    return std::move(std::get<LoadedBatch>(node.mapped()));
  }

 private:
  int64_t num_batches() const { return static_cast<int64_t>(batches_.size()); }

  void work() {
    at::set_num_threads(1);  // of this thread: the cores belong to the trainer
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || built_ >= num_batches() || built_ < taken_ + limit(); });
      if (stopping_ || built_ >= num_batches()) return;
      const int64_t mine = built_++;
      lock.unlock();
      auto result = build(mine);
      lock.lock();
      ready_.emplace(mine, std::move(result));
      changed_.notify_all();
    }
  }

  int64_t limit() const { return std::max<int64_t>(1, loader_.options_.num_prefetched); }

  std::variant<LoadedBatch, std::exception_ptr> build(int64_t batch) const {
    try {
      return loader_.build(epoch_, batches_[batch]);
    } catch (...) {
      return std::current_exception();
    }
  }

  const BatchLoader& loader_;
  int64_t epoch_;
  std::vector<std::vector<int64_t>> batches_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, std::variant<LoadedBatch, std::exception_ptr>> ready_;
  int64_t built_, taken_;  // the next row to build, to hand out
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

BatchLoader::BatchLoader(const SampleSource& source, RowRange rows, const MultipackOptions& packing, Prepare prepare,
                         LoaderOptions options)
    : source_(source),
      rows_(rows),
      packing_(packing),
      sampler_(lengths_of(source, rows), packing),
      prepare_(std::move(prepare)),
      options_(options) {}

BatchLoader::~BatchLoader() = default;

int64_t BatchLoader::num_batches(int64_t epoch) const { return static_cast<int64_t>(sampler_.batches(epoch).size()); }

void BatchLoader::start(int64_t epoch, int64_t first_batch) {
  workers_.reset();  // join the old ones before new ones read
  workers_ = std::make_unique<Workers>(*this, epoch, first_batch);
}

std::optional<LoadedBatch> BatchLoader::next() {
  const auto started = std::chrono::steady_clock::now();
  auto loaded = workers_ ? workers_->take() : std::nullopt;
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (loaded) count_failures(*loaded);
  return loaded;
}

void BatchLoader::count_failures(const LoadedBatch& loaded) {
  consecutive_failures_ = loaded.num_tokens > 0 ? 0 : consecutive_failures_ + loaded.num_dropped;
  if (consecutive_failures_ < options_.max_consecutive_failures) return;
  throw DataError(
      fmt::format("{} samples in a row could not be used; the last one: {}", consecutive_failures_,
                  loaded.problems.empty() ? "left out without a word (--on-missing skip)" : loaded.problems.back()));
}

LoadedBatch BatchLoader::build(int64_t epoch, const std::vector<int64_t>& samples) const {
  LoadedBatch result;
  std::vector<TrainDocument> documents;
  for (const int64_t sample : samples) {
    const int64_t row = rows_.first + sample;
    LoadedDocument loaded = source_.load(row);
    if (!loaded.document) {
      ++result.num_dropped;
      if (!loaded.problem.empty()) result.problems.push_back(std::move(loaded.problem));
      continue;
    }
    documents.push_back(prepare_(add_noise(std::move(*loaded.document), epoch, row)));
    result.num_tokens += documents.back().input_ids.size(0);
    result.batch.sample_rows.push_back(row);
  }
  if (documents.empty()) documents.push_back(source_.empty_document());
  auto rows = std::move(result.batch.sample_rows);
  result.batch = pack_documents(documents, packing_.row_length, options_.dtype);
  result.batch.sample_rows = std::move(rows);
  result.num_tokens = std::min(result.num_tokens, packing_.row_length);
  return result;
}

// Uniform on +-noise_std, in the stored dtype, before the algorithm's own shift.
TrainDocument BatchLoader::add_noise(TrainDocument document, int64_t epoch, int64_t row) const {
  if (options_.noise_std == 0) return document;
  const torch::NoGradGuard no_grad;
  const uint64_t seed = (packing_.seed * 1000003 + static_cast<uint64_t>(epoch)) * 1000003 + static_cast<uint64_t>(row);
  const auto generator = at::detail::createCPUGenerator(seed);
  auto& aux = document.aux_hidden_states;
  aux = aux + (torch::rand(aux.sizes(), generator, aux.options()) - 0.5) * (2 * options_.noise_std);
  return document;
}

std::pair<RowRange, RowRange> split_rows(int64_t num_rows, double train_ratio) {
  if (train_ratio <= 0 || train_ratio >= 1) {
    throw UsageError(fmt::format("--train-data-ratio: expected a number between 0 and 1, got {}", train_ratio));
  }
  const auto boundary = static_cast<int64_t>(static_cast<double>(num_rows) * train_ratio);
  if (boundary == 0 || boundary == num_rows) {
    throw UsageError(
        fmt::format("--train-data-ratio {}: {} rows leave no row for {}; prepare more data or change the ratio",
                    train_ratio, num_rows, boundary == 0 ? "training" : "validation"));
  }
  return {{0, boundary}, {boundary, num_rows}};
}

}  // namespace speculators
