#include "train/collate.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// `count` rows; every value of row i is `start + i`.
TrainDocument make_document(int64_t count, int64_t start) {
  const auto ids = torch::arange(start, start + count, torch::kInt64);
  return {.input_ids = ids,
          .aux_hidden_states = ids.to(torch::kBFloat16).unsqueeze(1).repeat({1, 4}),
          .last_hidden_states = ids.to(torch::kBFloat16).unsqueeze(1).repeat({1, 2}),
          .loss_mask = torch::ones({count}, torch::kBool),
          .position_ids = torch::arange(count, torch::kInt64)};
}

TEST(PackDocuments, NumbersDocumentsAndTruncatesTheLast) {
  const auto batch = pack_documents({make_document(4, 10), make_document(5, 20), make_document(3, 30)}, 10);
  EXPECT_TRUE(torch::equal(batch.document_ids, torch::tensor({0, 0, 0, 0, 1, 1, 1, 1, 1, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.input_ids, torch::tensor({10, 11, 12, 13, 20, 21, 22, 23, 24, 30}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.position_ids, torch::tensor({0, 1, 2, 3, 0, 1, 2, 3, 4, 0}, torch::kInt64)));
}

TEST(PackDocuments, ConvertsHiddenStatesToTheComputeDtype) {
  const auto batch = pack_documents({make_document(3, 5)}, 3, torch::kFloat32);
  EXPECT_EQ(batch.aux_hidden_states.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(torch::equal(batch.aux_hidden_states.select(1, 3), torch::tensor({5.f, 6.f, 7.f})));
  EXPECT_TRUE(torch::equal(batch.last_hidden_states.select(1, 1), torch::tensor({5.f, 6.f, 7.f})));
}

TEST(PackDocuments, PadsWithZerosAndDocumentMinusOne) {
  const auto batch = pack_documents({make_document(2, 7)}, 4);
  EXPECT_TRUE(torch::equal(batch.document_ids, torch::tensor({0, 0, -1, -1}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.input_ids, torch::tensor({7, 8, 0, 0}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.loss_mask, torch::tensor({true, true, false, false})));
  EXPECT_EQ(batch.aux_hidden_states.narrow(0, 2, 2).abs().sum().item<float>(), 0);
  EXPECT_EQ(batch.last_hidden_states.narrow(0, 2, 2).abs().sum().item<float>(), 0);
}

TEST(PackDocuments, LeavesOutDocumentsBehindAFullRow) {
  const auto batch = pack_documents({make_document(3, 1), make_document(2, 9)}, 3);
  EXPECT_TRUE(torch::equal(batch.document_ids, torch::tensor({0, 0, 0}, torch::kInt64)));
}

TEST(PackDocuments, AnEmptyDocumentGivesAnAllPaddingRow) {
  const auto batch = pack_documents({make_document(0, 0)}, 2);
  EXPECT_TRUE(torch::equal(batch.document_ids, torch::tensor({-1, -1}, torch::kInt64)));
  EXPECT_EQ(batch.aux_hidden_states.sizes(), (std::vector<int64_t>{2, 4}));
}

TEST(PackDocuments, ReadsStridedRows) {
  auto document = make_document(3, 0);
  const auto stored = torch::arange(18, torch::kFloat32).view({3, 6}).to(torch::kBFloat16);
  document.aux_hidden_states = stored.narrow(1, 0, 4);
  document.last_hidden_states = stored.narrow(1, 4, 2);
  const auto batch = pack_documents({document}, 3);
  EXPECT_TRUE(torch::equal(batch.aux_hidden_states[1], torch::tensor({6.f, 7.f, 8.f, 9.f})));
  EXPECT_TRUE(torch::equal(batch.last_hidden_states[2], torch::tensor({16.f, 17.f})));
}

TEST(PackDocuments, RejectsDocumentsOfAnotherWidth) {
  auto other = make_document(2, 0);
  other.aux_hidden_states = torch::zeros({2, 6}, torch::kBFloat16);
  EXPECT_THAT(([&] {
                pack_documents({make_document(2, 0), other}, 8);
              }),
              ThrowsMessage<ShapeError>(HasSubstr("aux_hidden_states: expected [2, 4], got [2, 6]")));
}

}  // namespace
}  // namespace speculators
