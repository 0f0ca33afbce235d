#include "draft/vocabulary_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::map<int64_t, int64_t> kCounts = {{7, 5}, {2, 9}, {9, 5}, {4, 1}};

TEST(VocabularyMap, TakesTheMostFrequentIdsInAscendingOrder) {
  const VocabularyMap map = make_vocabulary_map(kCounts, 12, 3);
  EXPECT_THAT(map.draft_to_verifier(), ElementsAre(2, 7, 9));
  EXPECT_THAT(map.d2t, ElementsAre(2, 6, 7));
}

TEST(VocabularyMap, FillsUpWithTheSmallestUnusedIds) {
  const VocabularyMap map = make_vocabulary_map(kCounts, 12, 6);
  EXPECT_THAT(map.draft_to_verifier(), ElementsAre(0, 1, 2, 4, 7, 9));
  EXPECT_THAT(map.d2t, ElementsAre(0, 0, 0, 1, 3, 4));
}

TEST(VocabularyMap, BreaksTiesByTheSmallerId) {
  EXPECT_THAT(make_vocabulary_map(kCounts, 12, 2).draft_to_verifier(), ElementsAre(2, 7));
}

TEST(VocabularyMap, MarksMembersInT2d) {
  EXPECT_THAT(make_vocabulary_map(kCounts, 5 + 5, 3).t2d,
              ElementsAre(false, false, true, false, false, false, false, true, false, true));
}

TEST(VocabularyMap, RejectsADraftLargerThanTheVerifier) {
  EXPECT_THAT([] { make_vocabulary_map(kCounts, 12, 13); },
              ThrowsMessage<UsageError>(HasSubstr("expected a size of 1 ... 12 (the verifier's), found 13")));
}

TEST(VocabularyMap, RejectsCountsOfAnotherTokenizer) {
  EXPECT_THAT([] { make_vocabulary_map(kCounts, 9, 3); },
              ThrowsMessage<DataError>(HasSubstr("expected ids in [0, 9), found 9")));
}

TEST(CheckVocabularyMap, AcceptsWhatWeMake) {
  EXPECT_NO_THROW(check_vocabulary_map(make_vocabulary_map(kCounts, 12, 6), "here"));
}

TEST(CheckVocabularyMap, RejectsAnotherNumberOfMembers) {
  VocabularyMap map = make_vocabulary_map(kCounts, 12, 3);
  map.t2d[0] = true;
  EXPECT_THAT(
      [&] { check_vocabulary_map(map, "here"); },
      ThrowsMessage<DataError>(HasSubstr("here: t2d: expected as many members as d2t has entries, 3, found 4")));
}

TEST(CheckVocabularyMap, RejectsIdsInPlaceOfOffsets) {
  VocabularyMap map = make_vocabulary_map(kCounts, 12, 3);
  map.d2t = {2, 7, 9};
  EXPECT_THAT([&] { check_vocabulary_map(map, "here"); },
              ThrowsMessage<DataError>(HasSubstr("here: d2t[1]: expected an offset")));
}

TEST(CheckVocabularyMap, RejectsTwoDraftIdsOnOneVerifierId) {
  VocabularyMap map = make_vocabulary_map(kCounts, 12, 3);
  map.d2t = {2, 1, 7};
  EXPECT_THROW(check_vocabulary_map(map, "here"), DataError);
}

}  // namespace
}  // namespace speculators
