#include "hidden_states/generate_offline_data.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/errors.h"
#include "base/progress.h"
#include "data/arrow_dataset.h"
#include "hidden_states/hidden_states.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::TemporaryFolder;
using ::testing::ThrowsMessage;

std::vector<Sample> make_samples(int64_t count) {
  std::vector<Sample> samples;
  for (int64_t s = 0; s < count; ++s) {
    Sample sample;
    for (int64_t i = 0; i < 4 + s % 7; ++i) sample.token_ids.push_back(static_cast<int32_t>((s * 3 + i * i) % 40));
    sample.loss_mask.assign(sample.token_ids.size(), 1);
    samples.push_back(std::move(sample));
  }
  return samples;
}

class GenerateOfflineData : public ::testing::Test {
 protected:
  GenerateOfflineData() {
    testing::write_tiny_verifier(model(), testing::tiny_config());
    make_folders(data());
    write_dataset(data(), make_samples(20), "test");
    options_ = {.model = model().string(), .preprocessed_data = data().string(), .target_layer_ids = {0, 2}};
  }
  fs::path model() const { return folder_.path() / "model"; }
  fs::path data() const { return folder_.path() / "data"; }

  TemporaryFolder folder_;
  GenerateOfflineDataOptions options_;
};

TEST_F(GenerateOfflineData, FilesEqualTheVerifiersOwnStates) {
  const auto report = generate_offline_data(options_);
  EXPECT_EQ(report.capture.num_captured, 20);
  EXPECT_THAT(report.layer_ids, ::testing::ElementsAre(0, 2, 3));
  const auto verifier = load_verifier(model());
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const std::vector<int32_t> tokens = make_samples(20)[13].token_ids;
  const VerifierOutput output = verifier->forward({{{&sequence, tokens, 0}}, {0, 2, 3}});
  std::vector<Bf16> expected;
  for (const float value : output.hidden_states) expected.push_back(to_bf16(value));
  EXPECT_EQ(read_hidden_states(data() / "hidden_states" / "hs_13.safetensors").values, expected);
}

TEST_F(GenerateOfflineData, TheLastLayerCanBeKeptAlone) {
  generate_offline_data(options_);
  GenerateOfflineDataOptions last = options_;
  last.output = (folder_.path() / "last").string();
  last.target_layer_ids.clear();
  last.last_layer_only = true;
  EXPECT_THAT(generate_offline_data(last).layer_ids, ::testing::ElementsAre(3));
  const HiddenStates all = read_hidden_states(data() / "hidden_states" / "hs_4.safetensors"),
                     alone = read_hidden_states(hidden_states_path(*last.output, 4));
  ASSERT_EQ(alone.num_layers, 1);
  for (size_t token = 0; token < alone.token_ids.size(); ++token) {
    for (int64_t i = 0; i < alone.hidden_size; ++i) {
      const auto row = static_cast<int64_t>(token);
      EXPECT_EQ(alone.values[row * alone.hidden_size + i], all.values[(row * 3 + 2) * all.hidden_size + i]);
    }
  }
}

TEST_F(GenerateOfflineData, TheSizeOfAPassDoesNotChangeAByte) {
  generate_offline_data(options_);
  GenerateOfflineDataOptions small = options_;
  small.batch_tokens = 3;
  small.output = (folder_.path() / "small").string();
  generate_offline_data(small);
  for (int64_t row = 0; row < 20; ++row) {
    EXPECT_EQ(read_file(hidden_states_path(*small.output, row)),
              read_file(hidden_states_path(data() / "hidden_states", row)));
  }
}

TEST_F(GenerateOfflineData, MachinesShareTheRows) {
  options_.world_size = 3;
  int64_t total = 0;
  for (const int64_t rank : {0, 1, 2}) {
    options_.rank = rank;
    total += generate_offline_data(options_).capture.num_captured;
  }
  EXPECT_EQ(total, 20);
  options_.world_size = 1;
  options_.rank = 0;
  EXPECT_EQ(generate_offline_data(options_).capture.num_kept, 20);
}

TEST_F(GenerateOfflineData, RefusesAFolderOfOtherLayers) {
  generate_offline_data(options_);
  options_.target_layer_ids = {1, 2};
  EXPECT_THAT([&] { generate_offline_data(options_); },
              ThrowsMessage<UsageError>(
                  AllOf(HasSubstr("layer_ids: expected [1,2,3] for this run, found [0,2,3]"), HasSubstr("--output"))));
}

TEST_F(GenerateOfflineData, RefusesAFolderOfAnotherVerifier) {
  generate_offline_data(options_);
  testing::write_tiny_verifier(model(), testing::tiny_config(), /*seed=*/2);
  EXPECT_THAT([&] { generate_offline_data(options_); }, ThrowsMessage<UsageError>(HasSubstr("verifier_fingerprint")));
}

TEST_F(GenerateOfflineData, RefusesImpossibleOptionsByName) {
  const auto with = [&](auto change) {
    return [this, change] {
      GenerateOfflineDataOptions options = options_;
      change(options);
      generate_offline_data(options);
    };
  };
  EXPECT_THAT(with([](auto& o) { o.model = ""; }), ThrowsMessage<UsageError>(HasSubstr("--model")));
  EXPECT_THAT(with([](auto& o) { o.rank = 1; }),
              ThrowsMessage<UsageError>(HasSubstr("--rank: expected 0 to 0, got 1")));
  EXPECT_THAT(with([](auto& o) { o.batch_tokens = 0; }), ThrowsMessage<UsageError>(HasSubstr("--batch-tokens")));
  EXPECT_THAT(with([](auto& o) { o.last_layer_only = true; }),
              ThrowsMessage<UsageError>(HasSubstr("--last-layer-only: expected no --target-layer-ids")));
  EXPECT_THAT(with([](auto& o) { o.target_layer_ids = {7}; }),
              ThrowsMessage<UsageError>(HasSubstr("--target-layer-ids")));
}

TEST_F(GenerateOfflineData, RefusesTokensOfAnotherVocabularyAndWritesNothing) {
  std::vector<Sample> samples = make_samples(3);
  samples[1].token_ids[0] = 77;
  fs::remove_all(data());
  make_folders(data());
  write_dataset(data(), samples, "test");
  EXPECT_THAT(
      [&] { generate_offline_data(options_); },
      ThrowsMessage<DataError>(HasSubstr("row 1: expected token ids below 40, the verifier's vocabulary, found 77")));
  EXPECT_FALSE(fs::exists(data() / "hidden_states"));
}

TEST_F(GenerateOfflineData, TheReportNamesCountsAndFailures) {
  std::vector<Sample> samples = make_samples(3);
  samples[1].token_ids.assign(129, 5);  // the context is 128
  samples[1].loss_mask.assign(129, 1);
  fs::remove_all(data());
  make_folders(data());
  write_dataset(data(), samples, "test");
  const std::string text = describe(generate_offline_data(options_));
  EXPECT_THAT(text, AllOf(HasSubstr("2 of 3 rows: 2 captured, 0 were there"), HasSubstr("1 rows have no hidden states"),
                          HasSubstr("row 1: 129 tokens are more")));
}

// In the new process of a death test: stops itself as soon as the first file is there. `own_folder` is that process's
// fixture, whose destructor will not run.
[[noreturn]] void run_and_stop(const GenerateOfflineDataOptions& options, const fs::path& own_folder) {
  fs::remove_all(own_folder);
  install_stop_handlers();
  std::thread([&] {
    while (!fs::exists(hidden_states_path(fs::path(options.preprocessed_data) / "hidden_states", 0))) ::usleep(200);
    std::raise(SIGINT);
  }).detach();
  try {
    generate_offline_data(options);
  } catch (const Interrupted&) {
    ::_exit(130);
  }
  ::_exit(1);
}

TEST_F(GenerateOfflineData, AStoppedRunLosesNothing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a new process, not a fork of worker threads
  fs::remove_all(data());
  make_folders(data());
  write_dataset(data(), make_samples(500), "test");
  options_.batch_tokens = 1;
  // The new process makes a fixture of its own, so it needs to be told of this one's folder.
  ::setenv("SPECULATORS_TEST_FOLDER", folder_.path().c_str(), /*overwrite=*/0);
  options_.model = std::string(::getenv("SPECULATORS_TEST_FOLDER")) + "/model";
  options_.preprocessed_data = std::string(::getenv("SPECULATORS_TEST_FOLDER")) + "/data";
  EXPECT_EXIT(run_and_stop(options_, folder_.path()), ::testing::ExitedWithCode(130), "");
  const CaptureReport rest = generate_offline_data(options_).capture;
  EXPECT_GT(rest.num_kept, 0);
  EXPECT_GT(rest.num_captured, 0);
  EXPECT_EQ(rest.num_kept + rest.num_captured, 500);
  EXPECT_TRUE(rest.damaged.empty());
}

TEST(RowsOfRank, FirstMachinesTakeTheRemainder) {
  EXPECT_THAT(rows_of_rank(8, 3, 0), Pair(0, 3));
  EXPECT_THAT(rows_of_rank(8, 3, 1), Pair(3, 6));
  EXPECT_THAT(rows_of_rank(8, 3, 2), Pair(6, 8));
  EXPECT_THAT(rows_of_rank(1, 3, 2), Pair(1, 1));
}

}  // namespace
}  // namespace speculators
