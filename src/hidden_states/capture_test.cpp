#include "hidden_states/capture.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/errors.h"
#include "hidden_states/hidden_states.h"
#include "tests/support/fake_models.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeVerifier;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using ::testing::ThrowsMessage;

Sample make_sample(int64_t length, int64_t salt) {
  Sample sample;
  for (int64_t i = 0; i < length; ++i)
    sample.token_ids.push_back(static_cast<int32_t>((i * 7 + salt * 5 + i * i) % 40));
  sample.loss_mask.assign(static_cast<size_t>(length), 1);
  return sample;
}

// Lengths that fill passes of 16 rows in every way: shorter, equal, several passes long.
std::vector<Sample> make_samples() {
  std::vector<Sample> samples;
  for (const int64_t length : {3, 16, 1, 40, 5, 5, 5, 33, 2}) {
    samples.push_back(make_sample(length, static_cast<int64_t>(samples.size())));
  }
  return samples;
}

const CaptureOptions kOptions{.layer_ids = {0, 1, 2}, .batch_tokens = 16, .max_consecutive_errors = 3};

class Capture : public ::testing::Test {
 protected:
  CaptureReport run(const CaptureOptions& options = kOptions) {
    return capture(verifier_, samples_, 0, static_cast<int64_t>(samples_.size()), options, folder_.path());
  }
  fs::path file(int64_t row) const { return hidden_states_path(folder_.path(), row); }

  FakeVerifier verifier_{40};
  std::vector<Sample> samples_ = make_samples();
  TemporaryFolder folder_;
};

// The fake's states tell where they come from: token, position, layer id.
TEST_F(Capture, EveryFileHoldsTheStatesOfItsOwnTokens) {
  const CaptureReport report = run();
  EXPECT_EQ(report.num_captured, 9);
  EXPECT_EQ(report.num_tokens, 110);
  for (int64_t row = 0; row < 9; ++row) {
    const HiddenStates states = read_hidden_states(file(row));
    ASSERT_EQ(states.token_ids, samples_[row].token_ids) << row;
    std::vector<float> expected, got;
    for (size_t i = 0; i < states.token_ids.size(); ++i) {
      for (const int layer : {0, 1, 2}) {
        expected.insert(expected.end(),
                        {static_cast<float>(states.token_ids[i]), static_cast<float>(i), static_cast<float>(layer)});
      }
    }
    for (const Bf16 value : states.values) got.push_back(to_float(value));
    EXPECT_EQ(got, expected) << row;
  }
}

TEST_F(Capture, PassesAreFullButForTheLast) {
  run();
  EXPECT_EQ(verifier_.most_rows(), 16);
  EXPECT_EQ(verifier_.num_passes(), 7);  // 110 tokens in passes of 16
}

TEST_F(Capture, ASecondRunKeepsWhatIsThere) {
  run();
  const CaptureReport again = run();
  EXPECT_EQ(again.num_kept, 9);
  EXPECT_EQ(again.num_captured, 0);
}

TEST_F(Capture, DamagedAndForeignFilesAreMadeAgain) {
  run();
  const std::string good = read_file(file(3));
  write_file(file(3), std::string_view(good).substr(0, good.size() - 10));  // cut
  write_file(file(1), read_file(file(0)));                                  // another row's
  HiddenStates other = read_hidden_states(file(4));
  other.token_ids[2] ^= 1;  // another text of the same length
  write_hidden_states(file(4), other);
  std::string flipped = read_file(file(7));
  std::fill_n(flipped.end() - 400, 10, '\xff');  // in the values: NaN
  write_file(file(7), flipped);
  const CaptureReport again = run();
  std::vector<int64_t> rows;
  for (const CaptureFailure& one : again.damaged) rows.push_back(one.row);
  EXPECT_THAT(rows, ElementsAre(1, 3, 4, 7));
  EXPECT_THAT(again.damaged[2].reason, HasSubstr("differ from the data set's from token 2 on"));
  EXPECT_EQ(again.num_captured, 4);
  EXPECT_EQ(read_file(file(3)), good);
  EXPECT_EQ(run().num_kept, 9);
}

TEST_F(Capture, ARangeOfRowsKeepsItsRowNumbers) {
  capture(verifier_, samples_, 2, 4, kOptions, folder_.path());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("hs_2.safetensors", "hs_3.safetensors"));
}

TEST_F(Capture, SamplesThatCannotRunAreListedAndTheRestIsDone) {
  samples_[2].token_ids = {40};
  samples_[5] = make_sample(65, 0);  // the fake's context is 64
  samples_[8] = {};
  const CaptureReport report = run();
  EXPECT_EQ(report.num_captured, 6);
  ASSERT_EQ(report.failures.size(), 3u);
  EXPECT_THAT(report.failures[0].reason, HasSubstr("token id 40 is outside the verifier's vocabulary of 40"));
  EXPECT_THAT(report.failures[1].reason, HasSubstr("65 tokens are more than the verifier's context of 64"));
  EXPECT_THAT(report.failures[2].reason, HasSubstr("no tokens"));
  EXPECT_FALSE(fs::exists(file(2)));
}

TEST_F(Capture, FailOnErrorEndsTheRunNamingTheRow) {
  samples_[2].token_ids = {40};
  CaptureOptions options = kOptions;
  options.fail_on_error = true;
  EXPECT_THAT([&] { run(options); }, ThrowsMessage<DataError>(AllOf(HasSubstr("row 2"), HasSubstr("--fail-on-error"))));
}

TEST_F(Capture, ManyFailuresOneBehindTheOtherEndTheRun) {
  for (const int64_t row : {4, 5, 6}) samples_[row].token_ids = {99};
  EXPECT_THAT([&] { run(); }, ThrowsMessage<DataError>(HasSubstr("3 samples one behind the other failed")));
}

TEST(CaptureLayerIds, DefaultsThenTheLastLayer) {
  EXPECT_THAT(capture_layer_ids({}, 30), ElementsAre(2, 15, 27, 30));
  EXPECT_THAT(capture_layer_ids({0, 4}, 6), ElementsAre(0, 4, 6));
}

TEST(CaptureLayerIds, RefusesIdsThatCollideOrLieOutside) {
  EXPECT_THAT([] { capture_layer_ids({}, 4); },
              ThrowsMessage<UsageError>(AllOf(HasSubstr("[2, 2, 1]"), HasSubstr("give them explicitly"))));
  EXPECT_THROW(capture_layer_ids({3, 3}, 8), UsageError);
  EXPECT_THROW(capture_layer_ids({1, 9}, 8), UsageError);
  EXPECT_THROW(capture_layer_ids({-1}, 8), UsageError);
}

}  // namespace
}  // namespace speculators
