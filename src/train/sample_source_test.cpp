#include "train/sample_source.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "data/arrow_dataset.h"
#include "hidden_states/hidden_states.h"
#include "train/scratch_folder.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Two aux layers and the last one, Dv = 2: the value of (token, layer, column) is 6 t + 2 l + c.
void write_states(const fs::path& path, const std::vector<int64_t>& ids, float first_value = 0) {
  std::vector<Bf16> values;
  for (size_t i = 0; i < ids.size() * 6; ++i) values.push_back(to_bf16(i == 0 ? first_value : static_cast<float>(i)));
  const auto count = static_cast<int64_t>(ids.size());
  const Tensor states = make_tensor({count, 3, 2}, values);
  const Tensor tokens = make_tensor({count}, ids);
  write_safetensors(path, {{"hidden_states", states.view()}, {"token_ids", tokens.view()}});
}

class PreparedFolderTest : public testing::Test {
 protected:
  PreparedFolderTest() {
    write_dataset(folder_.path(), {{{5, 6, 7}, {0, 1, 1}}, {{8, 9}, {0, 1}}}, "test");
    make_folders(states_);
  }
  PreparedFolder options(const std::string& on_missing = "warn") const {
    return {folder_.path(), states_, /*num_aux_layers=*/2, /*hidden_size=*/2, on_missing};
  }
  ScratchFolder folder_;
  fs::path states_ = folder_.path() / "hidden_states";
};

TEST_F(PreparedFolderTest, JoinsRowAndHiddenStates) {
  write_states(hidden_states_path(states_, 0), {5, 6, 7});
  const auto source = open_prepared_folder(options());
  ASSERT_EQ(source->num_rows(), 2);
  EXPECT_EQ(source->length(0), 3);
  const auto document = source->load(0).document.value();
  EXPECT_TRUE(torch::equal(document.input_ids, torch::tensor({5, 6, 7}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(document.loss_mask, torch::tensor({false, true, true})));
  EXPECT_TRUE(torch::equal(document.position_ids, torch::tensor({0, 1, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(document.aux_hidden_states[1].to(torch::kFloat32), torch::tensor({6.f, 7.f, 8.f, 9.f})));
  EXPECT_TRUE(torch::equal(document.last_hidden_states[2].to(torch::kFloat32), torch::tensor({16.f, 17.f})));
}

TEST_F(PreparedFolderTest, AMissingFileIsAProblemThatNamesIt) {
  const auto source = open_prepared_folder(options());
  const auto loaded = source->load(1);
  EXPECT_FALSE(loaded.document);
  EXPECT_THAT(loaded.problem, HasSubstr("hs_1.safetensors: expected the hidden states of row 1, found no file"));
}

TEST_F(PreparedFolderTest, RaiseThrowsWhereWarnReports) {
  const auto source = open_prepared_folder(options("raise"));
  EXPECT_THAT(([&] { source->load(1); }), ThrowsMessage<DataError>(HasSubstr("run generate-offline-data")));
}

TEST_F(PreparedFolderTest, SkipSaysNothing) { EXPECT_EQ(open_prepared_folder(options("skip"))->load(1).problem, ""); }

TEST_F(PreparedFolderTest, OtherTokenIdsAreAProblem) {
  write_states(hidden_states_path(states_, 0), {5, 6, 4});
  EXPECT_THAT(open_prepared_folder(options())->load(0).problem, HasSubstr("was the data set prepared anew?"));
}

TEST_F(PreparedFolderTest, ATruncatedFileIsAProblem) {
  const auto path = hidden_states_path(states_, 0);
  write_states(path, {5, 6, 7});
  fs::resize_file(path, fs::file_size(path) - 4);
  EXPECT_THAT(open_prepared_folder(options())->load(0).problem, HasSubstr("hs_0.safetensors"));
}

TEST_F(PreparedFolderTest, InfiniteHiddenStatesAreAProblem) {
  write_states(hidden_states_path(states_, 0), {5, 6, 7}, INFINITY);
  EXPECT_THAT(open_prepared_folder(options())->load(0).problem, HasSubstr("expected finite values"));
}

TEST_F(PreparedFolderTest, OtherLayerCountsAreAProblem) {
  write_states(hidden_states_path(states_, 0), {5, 6, 7});
  auto wrong = options();
  wrong.num_aux_layers = 3;
  EXPECT_THAT(open_prepared_folder(wrong)->load(0).problem, HasSubstr("expected [tokens, 4, 2]"));
}

// 8 tokens-as-float8 x scale 0.5: stored 2.0 reads as 1.0.
TEST_F(PreparedFolderTest, TheLastLayerIsTakenFromFilesOfAnyAuxLayers) {
  write_states(hidden_states_path(states_, 0), {5, 6, 7});
  write_states(hidden_states_path(states_, 1), {8, 9});
  PreparedFolder any = options("raise");
  any.num_aux_layers = kAnyAuxLayers;
  const auto source = open_prepared_folder(any);
  source->check_all();
  const auto document = source->load(0).document.value();
  EXPECT_EQ(document.aux_hidden_states.size(1), 0);
  EXPECT_TRUE(torch::equal(document.last_hidden_states[2].to(torch::kFloat32), torch::tensor({16.f, 17.f})));
  EXPECT_EQ(source->empty_document().aux_hidden_states.size(1), 0);
}

TEST_F(PreparedFolderTest, Float8StatesAreScaledBack) {
  Tensor states{DType::kF8E4M3, {1, 3, 2}, std::vector<std::byte>(6, std::byte{0x40})};  // 2.0
  const Tensor scales = make_tensor({1, 1, 1}, std::vector<float>{0.5f});
  const Tensor tokens = make_tensor({1}, std::vector<int64_t>{5});
  const auto path = states_ / "f8.safetensors";
  write_safetensors(
      path, {{"hidden_states", states.view()}, {"hidden_states_scales", scales.view()}, {"token_ids", tokens.view()}});
  const auto document = map_hidden_states(path, 2, 2);
  EXPECT_EQ(document.last_hidden_states[0][0].item<float>(), 1.0f);
}

TEST_F(PreparedFolderTest, TheEmptyDocumentHasTheWidths) {
  const auto empty = open_prepared_folder(options())->empty_document();
  EXPECT_EQ(empty.aux_hidden_states.sizes(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(empty.last_hidden_states.sizes(), (std::vector<int64_t>{0, 2}));
}

}  // namespace
}  // namespace speculators
