#include "train/draft_vocabulary_files.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "checkpoint/pickle.h"
#include "train/scratch_folder.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class DraftVocabularyTest : public testing::Test {
 protected:
  std::optional<VocabularyMap> choose(const VocabularyOptions& options) const {
    return choose_draft_vocabulary(options, folder_.path(), 12);
  }
  void write_counts(const std::map<int64_t, int64_t>& counts) const {
    write_token_freq(folder_.path() / "token_freq.pt", counts);
  }
  static VocabularyOptions of_size(int64_t size) {
    VocabularyOptions options;
    options.draft_vocab_size = size;
    return options;
  }
  ScratchFolder folder_;
};

TEST_F(DraftVocabularyTest, WithoutASizeTheVocabularyIsWhole) {
  write_counts({{7, 5}});
  EXPECT_FALSE(choose({}));
}

// Reference algorithms.md section 22.
TEST_F(DraftVocabularyTest, TakesTheMostFrequentTokensAndKeepsTheMap) {
  write_counts({{7, 5}, {2, 9}, {9, 5}, {4, 1}});
  EXPECT_THAT(choose(of_size(6))->d2t, ElementsAre(0, 0, 0, 1, 3, 4));
  EXPECT_TRUE(fs::exists(folder_.path() / "d2t-6.npy"));
  EXPECT_TRUE(fs::exists(folder_.path() / "t2d-6.npy"));
  fs::remove(folder_.path() / "token_freq.pt");
  EXPECT_THAT(choose(of_size(6))->d2t, ElementsAre(0, 0, 0, 1, 3, 4));
}

TEST_F(DraftVocabularyTest, NewCountsMakeANewMap) {
  write_counts({{7, 5}, {2, 9}, {9, 5}, {4, 1}});
  choose(of_size(3));
  write_counts({{0, 5}, {1, 9}, {2, 5}});
  fs::last_write_time(folder_.path() / "d2t-3.npy", fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_THAT(choose(of_size(3))->d2t, ElementsAre(0, 0, 0));
}

TEST_F(DraftVocabularyTest, ASizeWithoutCountsIsAnError) {
  EXPECT_THAT([&] { choose(of_size(6)); },
              ThrowsMessage<UsageError>(HasSubstr("run prepare-data with --no-skip-token-freq")));
}

TEST_F(DraftVocabularyTest, OneFileOfTwoIsAnError) {
  VocabularyOptions options;
  options.d2t_path = "d2t.npy";
  EXPECT_THAT([&] { choose(options); }, ThrowsMessage<UsageError>(HasSubstr("expected both or none")));
}

TEST_F(DraftVocabularyTest, FilesOfAnotherSizeAreNamed) {
  write_counts({{7, 5}, {2, 9}});
  choose(of_size(3));
  auto options = of_size(4);
  options.d2t_path = (folder_.path() / "d2t-3.npy").string();
  options.t2d_path = (folder_.path() / "t2d-3.npy").string();
  EXPECT_THAT([&] { choose(options); }, ThrowsMessage<DataError>(HasSubstr("expected 4 tokens")));
  options.draft_vocab_size = std::nullopt;
  EXPECT_THAT([&] { choose_draft_vocabulary(options, folder_.path(), 13); },
              ThrowsMessage<DataError>(HasSubstr("expected 13 entries")));
}

TEST_F(DraftVocabularyTest, MoreTokensThanTheVerifierHasIsAnError) {
  EXPECT_THAT([&] { choose(of_size(13)); }, ThrowsMessage<UsageError>(HasSubstr("expected 1 to 12, got 13")));
}

}  // namespace
}  // namespace speculators
