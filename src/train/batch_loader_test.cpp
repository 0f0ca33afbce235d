#include "train/batch_loader.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Row r has 2 + r % 3 tokens with id r; rows in `missing` cannot be loaded.
class FakeSource : public SampleSource {
 public:
  explicit FakeSource(int64_t num_rows, std::vector<int64_t> missing = {}) : num_rows_(num_rows), missing_(missing) {}
  int64_t num_rows() const override { return num_rows_; }
  int64_t length(int64_t row) const override { return 2 + row % 3; }
  LoadedDocument load(int64_t row) const override {
    if (row == poison_) throw DataError("row is poisoned");
    if (testing::Matches(testing::Contains(row))(missing_)) return {.document = {}, .problem = "gone"};
    return {.document = make(row, length(row)), .problem = ""};
  }
  TrainDocument empty_document() const override { return make(0, 0); }
  int64_t poison_ = -1;

 private:
  static TrainDocument make(int64_t row, int64_t count) {
    return {.input_ids = torch::full({count}, row, torch::kInt64),
            .aux_hidden_states = torch::full({count, 4}, static_cast<double>(row), torch::kBFloat16),
            .last_hidden_states = torch::full({count, 2}, static_cast<double>(row), torch::kBFloat16),
            .loss_mask = torch::ones({count}, torch::kBool),
            .position_ids = torch::arange(count, torch::kInt64)};
  }
  int64_t num_rows_;
  std::vector<int64_t> missing_;
};

BatchLoader make_loader(const SampleSource& source, LoaderOptions options = {}) {
  return BatchLoader(
      source, {0, source.num_rows()}, {.row_length = 8, .seed = 1}, [](TrainDocument document) { return document; },
      options);
}

std::vector<torch::Tensor> read_ids(BatchLoader& loader, int64_t epoch, int64_t first = 0) {
  std::vector<torch::Tensor> ids;
  loader.start(epoch, first);
  while (auto loaded = loader.next()) ids.push_back(loaded->batch.input_ids);
  return ids;
}

void expect_equal(const std::vector<torch::Tensor>& left, const std::vector<torch::Tensor>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) EXPECT_TRUE(torch::equal(left[i], right[i])) << i;
}

TEST(BatchLoader, GivesTheSameRowsWithAnyNumberOfThreads) {
  const FakeSource source(40);
  auto one = make_loader(source), many = make_loader(source, {.num_workers = 3, .num_prefetched = 2});
  expect_equal(read_ids(one, 2), read_ids(many, 2));
}

TEST(BatchLoader, EveryRowOfTheRangeIsReadOncePerEpoch) {
  const FakeSource source(40);
  BatchLoader loader(source, {10, 30}, {.row_length = 8}, [](TrainDocument document) { return document; }, {});
  std::vector<int64_t> rows;
  loader.start(0);
  while (auto loaded = loader.next()) {
    rows.insert(rows.end(), loaded->batch.sample_rows.begin(), loaded->batch.sample_rows.end());
  }
  std::sort(rows.begin(), rows.end());
  ASSERT_EQ(rows.size(), 20u);
  EXPECT_EQ(rows.front(), 10);
  EXPECT_EQ(rows.back(), 29);
}

TEST(BatchLoader, StartsInsideAnEpoch) {
  const FakeSource source(40);
  auto loader = make_loader(source);
  auto all = read_ids(loader, 0);
  all.erase(all.begin(), all.begin() + 3);
  expect_equal(read_ids(loader, 0, 3), all);
}

TEST(BatchLoader, AnnouncesItsNumberOfRows) {
  const FakeSource source(40);
  auto loader = make_loader(source);
  EXPECT_EQ(static_cast<int64_t>(read_ids(loader, 1).size()), loader.num_batches(1));
}

TEST(BatchLoader, CountsWhatItLeavesOut) {
  const FakeSource source(3, {1});
  auto loader = make_loader(source);
  int64_t dropped = 0;
  std::vector<std::string> problems;
  loader.start(0);
  while (auto loaded = loader.next()) {
    dropped += loaded->num_dropped;
    problems.insert(problems.end(), loaded->problems.begin(), loaded->problems.end());
  }
  EXPECT_EQ(dropped, 1);
  EXPECT_THAT(problems, testing::ElementsAre("gone"));
}

TEST(BatchLoader, ARowWithoutSamplesIsAllPadding) {
  const FakeSource source(1, {0});
  auto loader = make_loader(source);
  loader.start(0);
  const auto loaded = loader.next();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->num_tokens, 0);
  EXPECT_EQ(loaded->batch.document_ids.max().item<int64_t>(), -1);
}

TEST(BatchLoader, GivesUpAfterTooManyFailuresInARow) {
  const FakeSource source(4, {0, 1, 2, 3});
  auto loader = make_loader(source, {.max_consecutive_failures = 3});
  EXPECT_THAT(([&] { read_ids(loader, 0); }),
              ThrowsMessage<DataError>(HasSubstr("samples in a row could not be used")));
}

TEST(BatchLoader, RethrowsWhatAWorkerMet) {
  FakeSource source(4);
  source.poison_ = 2;
  auto loader = make_loader(source);
  EXPECT_THAT(([&] { read_ids(loader, 0); }), ThrowsMessage<DataError>(HasSubstr("poisoned")));
}

TEST(BatchLoader, StopsItsThreadsWhenLeftInTheMiddle) {
  const FakeSource source(40);
  auto loader = make_loader(source, {.num_workers = 2});
  loader.start(0);
  loader.next();
  loader.start(1);  // must not hang
  EXPECT_TRUE(loader.next());
}

TEST(BatchLoader, NoiseIsUniformAndRepeatable) {
  const FakeSource source(9);
  auto loader = make_loader(source, {.noise_std = 0.5}), again = make_loader(source, {.noise_std = 0.5});
  loader.start(0);
  again.start(0);
  const auto batch = loader.next()->batch;
  EXPECT_TRUE(torch::equal(batch.aux_hidden_states, again.next()->batch.aux_hidden_states));
  const auto real = batch.document_ids.ge(0);
  const auto noise = (batch.aux_hidden_states - batch.input_ids.unsqueeze(1)).index({real});
  EXPECT_LE(noise.abs().max().item<float>(), 0.52);
  EXPECT_GT(noise.abs().max().item<float>(), 0.2);
  EXPECT_TRUE(torch::equal(batch.last_hidden_states.select(1, 0).to(torch::kInt64), batch.input_ids));
}

TEST(SplitRows, CutsAtTheTruncatedRatio) {
  const auto [train, validation] = split_rows(11, 0.9);
  EXPECT_EQ(train.last, 9);
  EXPECT_EQ(validation.first, 9);
  EXPECT_EQ(validation.last, 11);
}

TEST(SplitRows, RejectsAnEmptyPart) {
  EXPECT_THAT(([] { split_rows(1, 0.9); }), ThrowsMessage<UsageError>(HasSubstr("leave no row for training")));
}

}  // namespace
}  // namespace speculators
