#include "hidden_states/hidden_states.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Two tokens, three layers, two channels: 0, 1, ..., 11.
HiddenStates make_states() {
  HiddenStates states{.token_ids = {7, 3}, .num_layers = 3, .hidden_size = 2};
  for (int i = 0; i < 12; ++i) states.values.push_back(to_bf16(static_cast<float>(i)));
  return states;
}

class HiddenStatesFile : public ::testing::Test {
 protected:
  fs::path path() const { return folder_.path() / "hs_4.safetensors"; }

  void write_raw(const Tensor& states, const Tensor& tokens) const {
    write_safetensors(path(), {{"hidden_states", states.view()}, {"token_ids", tokens.view()}});
  }
  void expect_refused(const std::string& message) const {
    EXPECT_THAT([&] { read_hidden_states(path()); },
                ThrowsMessage<DataError>(AllOf(HasSubstr("hs_4.safetensors"), HasSubstr(message))));
  }
  testing::TemporaryFolder folder_;
};

const Tensor kTokens = make_tensor({2}, std::span<const int64_t>(std::vector<int64_t>{7, 3}));

TEST_F(HiddenStatesFile, IsNamedByTheRow) {
  EXPECT_EQ(hidden_states_path("folder", 4), fs::path("folder/hs_4.safetensors"));
}

TEST_F(HiddenStatesFile, ComesBackAsWritten) {
  write_hidden_states(path(), make_states());
  const HiddenStates got = read_hidden_states(path());
  EXPECT_EQ(got.token_ids, make_states().token_ids);
  EXPECT_EQ(got.values, make_states().values);
  EXPECT_EQ(got.num_layers, 3);
  EXPECT_EQ(got.hidden_size, 2);
}

TEST_F(HiddenStatesFile, HasTheTensorsThatTheTrainersRead) {
  write_hidden_states(path(), make_states());
  const TensorFile file = TensorFile::open(path());
  EXPECT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.get("hidden_states").dtype, DType::kBF16);
  EXPECT_THAT(file.get("hidden_states").shape, ElementsAre(2, 3, 2));
  EXPECT_EQ(file.get("token_ids").dtype, DType::kI64);
  EXPECT_THAT(file.get("token_ids").shape, ElementsAre(2));
}

TEST_F(HiddenStatesFile, Float8IsScaledBackWithOneScaleAToken) {
  // 0x38 = 1.0, 0x40 = 2.0, 0xb8 = -1.0, 0x7e = 448, 0x01 = 2^-9, 0x00 = 0; scales 2 and 0.5.
  Tensor states{DType::kF8E4M3, {2, 1, 3}, {}};
  for (const int bits : {0x38, 0x40, 0xb8, 0x7e, 0x01, 0x00}) states.bytes.push_back(static_cast<std::byte>(bits));
  const Tensor scales = make_tensor({2, 1, 1}, std::span<const float>(std::vector<float>{2.0f, 0.5f}));
  write_safetensors(
      path(),
      {{"hidden_states", states.view()}, {"hidden_states_scales", scales.view()}, {"token_ids", kTokens.view()}});
  std::vector<float> values;
  for (const Bf16 value : read_hidden_states(path()).values) values.push_back(to_float(value));
  EXPECT_THAT(values, ElementsAre(2.0f, 4.0f, -2.0f, 224.0f, 0x1p-10f, 0.0f));
}

TEST_F(HiddenStatesFile, RefusesStatesThatAreNotFinite) {
  std::vector<float> values(12, 1.0f);
  values[9] = std::numeric_limits<float>::quiet_NaN();  // token 1, layer 1
  write_raw(make_tensor({2, 3, 2}, std::span<const float>(values)), kTokens);
  expect_refused("hidden_states: token 1, layer 1: not a finite number");
}

TEST_F(HiddenStatesFile, RefusesOtherShapes) {
  const std::vector<float> values(12, 1.0f);
  write_raw(make_tensor({2, 6}, std::span<const float>(values)), kTokens);
  expect_refused("hidden_states: expected [tokens, layers, hidden size], found [2, 6]");
  write_raw(make_tensor({3, 2, 2}, std::span<const float>(values)), kTokens);
  expect_refused("token_ids: expected [3] as hidden_states has rows, found [2]");
}

TEST_F(HiddenStatesFile, RefusesImpossibleTokenIds) {
  const std::vector<int64_t> ids = {1, -5};
  write_raw(make_tensor({2, 1, 1}, std::span<const float>(std::vector<float>{1, 2})),
            make_tensor({2}, std::span<const int64_t>(ids)));
  expect_refused("token_ids: expected token ids, found -5");
}

TEST_F(HiddenStatesFile, RefusesAFileThatIsCutShort) {
  write_hidden_states(path(), make_states());
  const std::string whole = read_file(path());
  for (const size_t size : {size_t{0}, size_t{7}, whole.size() / 2, whole.size() - 1}) {
    write_file(path(), std::string_view(whole).substr(0, size));
    EXPECT_THROW(read_hidden_states(path()), DataError) << size;
  }
}

TEST_F(HiddenStatesFile, WritingRefusesAWrongNumberOfValues) {
  HiddenStates states = make_states();
  states.token_ids.push_back(9);
  EXPECT_THAT([&] { write_hidden_states(path(), states); },
              ThrowsMessage<ShapeError>(HasSubstr("expected 18 values for [3, 3, 2], got 12")));
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(HiddenStatesFile, WritingRefusesStatesThatAreNotFinite) {
  HiddenStates states = make_states();
  states.values[0] = to_bf16(std::numeric_limits<float>::infinity());
  EXPECT_THROW(write_hidden_states(path(), states), DataError);
  EXPECT_FALSE(fs::exists(path()));
}

}  // namespace
}  // namespace speculators
