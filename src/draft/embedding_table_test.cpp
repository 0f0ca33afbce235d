#include "draft/embedding_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<float> row(const EmbeddingTable& table, int32_t token) {
  std::vector<float> values(2);
  table.copy_row(token, values.data());
  return values;
}

TEST(EmbeddingTable, ReadsFp32) {
  const Tensor tensor = make_tensor({2, 2}, std::vector<float>{1, 2, 3, 4});
  EXPECT_THAT(row(EmbeddingTable(tensor.view(), "file"), 1), ElementsAre(3, 4));
}

TEST(EmbeddingTable, ReadsBf16) {
  const Tensor tensor = make_tensor({2, 2}, std::vector<Bf16>{to_bf16(1), to_bf16(2), to_bf16(-3), to_bf16(4.5)});
  EXPECT_THAT(row(EmbeddingTable(tensor.view(), "file"), 1), ElementsAre(-3, 4.5));
}

TEST(EmbeddingTable, ReadsFp16) {
  const uint16_t halves[] = {0x3c00, 0xc000};  // 1, -2
  Tensor tensor = {DType::kF16, {1, 2}, std::vector<std::byte>(4)};
  std::memcpy(tensor.bytes.data(), halves, sizeof halves);
  EXPECT_THAT(row(EmbeddingTable(tensor.view(), "file"), 0), ElementsAre(1, -2));
}

TEST(EmbeddingTable, RefusesIdsOutside) {
  const Tensor tensor = make_tensor({2, 2}, std::vector<float>(4));
  const EmbeddingTable table(tensor.view(), "file");
  EXPECT_THAT([&] { row(table, 2); }, ThrowsMessage<UsageError>(HasSubstr("expected one in [0, 2), found 2")));
}

TEST(EmbeddingTable, RefusesOtherTypes) {
  const Tensor tensor = make_tensor({2, 2}, std::vector<int64_t>(4));
  EXPECT_THAT(
      [&] { EmbeddingTable(tensor.view(), "file"); },
      ThrowsMessage<DataError>(HasSubstr("file: embedding: expected BF16, F16 or F32 of two dimensions, found I64")));
}

}  // namespace
}  // namespace speculators
