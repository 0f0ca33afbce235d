#include "data/prepare_data.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/errors.h"
#include "checkpoint/pickle.h"
#include "data/arrow_dataset.h"
#include "data/tiny_model_for_test.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string turns(const std::string& question, const std::string& answer) {
  return Json{{"messages", {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", answer}}}}}
             .dump() +
         "\n";
}

// Question i, answer of i + 1 letters.
std::string rows(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += turns("q" + std::to_string(i), std::string(static_cast<size_t>(i) + 1, 'x'));
  return lines;
}

class PrepareData : public testing::Test {
 protected:
  PrepareData() {
    put_tiny_model(folder_);
    options_.model = (folder_ / "model").string();
    options_.output = (folder_ / "out").string();
    options_.data = {(folder_ / "rows.jsonl").string()};
    options_.num_preprocessing_workers = 3;
  }
  PrepareDataReport prepare(const std::string& lines) {
    folder_.put("rows.jsonl", lines);
    return prepare_data(options_);
  }
  template <class Error>
  std::string error_of(const std::string& lines) {
    try {
      prepare(lines);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      if (entry.is_regular_file()) files[entry.path().filename().string()] = read_file(entry.path());
    }
    return files;
  }
  // The answers' lengths in the order of the data set: an answer of n letters
  // has n + 1 supervised tokens.
  std::vector<int64_t> order() const {
    std::vector<int64_t> lengths;
    for (const Sample& sample : read_dataset(folder_ / "out")) {
      lengths.push_back(std::count(sample.loss_mask.begin(), sample.loss_mask.end(), 1) - 2);
    }
    return lengths;
  }
  TemporaryFolder folder_;
  PrepareDataOptions options_;
};

TEST_F(PrepareData, WritesTheDataSetAndTheFrequenciesOfSupervisedTokens) {
  const auto report = prepare(rows(3));
  EXPECT_EQ(report.num_rows_in, 3);
  EXPECT_EQ(report.num_samples, 3);
  EXPECT_EQ(report.num_supervised, 2 + 3 + 4);
  EXPECT_EQ(report.num_tokens,
            3 * 9 + 2 + 3 + 4);  // <turn>u:q0<end><turn>a: are 9
  EXPECT_THAT(read_dataset(folder_ / "out"), SizeIs(3));
  EXPECT_EQ(read_token_freq(folder_ / "out/token_freq.pt"), (std::map<int64_t, int64_t>{{'x', 6}, {kEnd, 3}}));
}

TEST_F(PrepareData, ShufflesTwiceAsUpstreamDoes) {
  // default_rng(0).permutation(4) = [2, 0, 1, 3]: the source, and then the
  // union, are put into that order.
  prepare(rows(4));
  EXPECT_THAT(order(), testing::ElementsAre(1, 2, 0, 3));
}

TEST_F(PrepareData, AnotherSeedGivesAnotherOrder) {
  prepare(rows(20));
  const auto first = order();
  options_.seed = 1;
  options_.overwrite = true;
  prepare(rows(20));
  EXPECT_NE(order(), first);
  EXPECT_THAT(order(), testing::UnorderedElementsAreArray(first));
}

TEST_F(PrepareData, GivesTheSameBytesWithAnyNumberOfThreads) {
  prepare(rows(30));
  const auto first = contents();
  options_.overwrite = true;
  options_.num_preprocessing_workers = 1;
  prepare(rows(30));
  EXPECT_EQ(contents(), first);
}

TEST_F(PrepareData, ASecondRunFindsItsDataSet) {
  prepare(rows(3));
  const auto first = contents();
  EXPECT_TRUE(prepare(rows(3)).already_there);
  EXPECT_EQ(contents(), first);
}

TEST_F(PrepareData, OtherInputDoesNotPassForTheSameDataSet) {
  prepare(rows(3));
  EXPECT_THAT(error_of<UsageError>(rows(4)), HasSubstr("holds something else than this data set"));
  options_.seq_length = 100;
  EXPECT_THAT(error_of<UsageError>(rows(3)), HasSubstr("pass --overwrite"));
}

TEST_F(PrepareData, OverwriteReplacesADataSetAndNothingElse) {
  prepare(rows(3));
  options_.overwrite = true;
  EXPECT_EQ(prepare(rows(5)).num_samples, 5);
  folder_.put("out/thesis.txt", "years of work");
  EXPECT_THAT(error_of<UsageError>(rows(6)), HasSubstr("thesis.txt: not a file of a prepared data set"));
  EXPECT_THAT(read_dataset(folder_ / "out"), SizeIs(5));
}

TEST_F(PrepareData, MaxSamplesCutsEverySourceBeforeAndTheUnionAfter) {
  options_.max_samples = 2;
  const auto report = prepare(rows(10));
  EXPECT_EQ(report.num_rows_unread, 4);  // 3 * 2 rows are read
  EXPECT_EQ(report.num_beyond_maximum, 4);
  EXPECT_EQ(report.num_samples, 2);
}

TEST_F(PrepareData, DropsAreCountedByReason) {
  options_.seq_length = 12;  // the prompt of 9 and 3 tokens of the answer
  options_.minimum_valid_tokens = 3;
  const std::string image = R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})";
  const auto report = prepare(rows(4) + turns("a question that is too long", "x") + image + "\n" +
                              "{\"messages\": [{\"role\": \"user\", \"content\": \"only\"}]}\n" +
                              "{\"id\": \"t\", \"input_ids\": [1, 2], \"loss_mask\": [0, 0]}\n");
  EXPECT_EQ(report.num_rows_in, 8);
  EXPECT_EQ(report.num_samples, 3);        // answers of 2, 3 and 4 letters
  EXPECT_EQ(report.num_below_minimum, 1);  // the answer of 1 letter
  EXPECT_EQ(report.mask.num_clipped,
            2);                                // 3 and 4 letters and the terminator do not fit
  EXPECT_EQ(report.mask.num_context_full, 1);  // the long question
  EXPECT_EQ(report.num_unusable, 1);           // the image
  EXPECT_THAT(report.first_unusable, HasSubstr("a part of type 'image'"));
  EXPECT_EQ(report.num_without_samples,
            2);                           // the long question and the conversation without answer
  EXPECT_EQ(report.num_unsupervised, 1);  // the tokenised row
  EXPECT_EQ(report.num_samples, report.mask.num_turns - report.mask.num_context_full - report.num_unsupervised -
                                    report.num_below_minimum - report.num_beyond_maximum);
}

TEST_F(PrepareData, TheDescriptionTellsEveryCount) {
  options_.seq_length = 11;
  const std::string text = describe(prepare(rows(2) + turns("much too long a question", "x")), "out");
  EXPECT_THAT(text, HasSubstr("out: 2 samples from 3 rows"));
  EXPECT_THAT(text, HasSubstr("1 turns left out: the history alone fills --seq-length"));
  EXPECT_THAT(text, HasSubstr("1 samples clipped inside the answer by --seq-length"));
}

TEST_F(PrepareData, TheFirstSampleIsShownInColours) {
  EXPECT_EQ(prepare(rows(1)).first_sample, "\033[90m<turn>u:q0<end><turn>a:\033[38;5;153mx<end>\033[0m");
}

TEST_F(PrepareData, TokenisedRowsNeedNoChatTemplate) {
  fs::remove(folder_ / "model/chat_template.jinja");
  EXPECT_EQ(prepare("{\"id\": \"t\", \"input_ids\": [1, 2, 3], \"loss_mask\": "
                    "[0, 1, 1]}\n")
                .num_samples,
            1);
  options_.overwrite = true;
  EXPECT_THAT(error_of<DataError>(rows(1)), HasSubstr("no chat template"));
}

TEST_F(PrepareData, TextPartsAreJoinedForTemplatesThatExpectText) {
  const auto report =
      prepare(R"({"messages": [{"role": "user", "content": ["a", "b"]}, {"role": "assistant", "content": ["c"]}]})");
  EXPECT_THAT(report.first_sample, HasSubstr("<turn>u:a\nb<end>"));
}

TEST_F(PrepareData, ConversationsThatDoNotRenderAreCountedNotFatal) {
  put_tiny_model(folder_,
                 "{% if messages[0].content == 'q1' %}{{ "
                 "raise_exception('bad') }}{% endif %}" +
                     std::string(kPlainTemplate));
  const auto report = prepare(rows(3));
  EXPECT_EQ(report.num_samples, 2);
  EXPECT_EQ(report.mask.num_failed, 1);
  EXPECT_THAT(report.mask.first_failure, HasSubstr("bad"));
}

TEST_F(PrepareData, DamageIsFatalAndNamesTheLine) {
  EXPECT_THAT(error_of<DataError>(rows(2) + "{\"messages\": [\n"),
              HasSubstr("rows.jsonl:3: expected one JSON object a line"));
  EXPECT_THAT(error_of<DataError>(rows(2) + "{\"input_ids\": [1], \"loss_mask\": []}\n"),
              HasSubstr("rows.jsonl:3: loss_mask"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PrepareData, TokensOutsideTheVocabularyAreFatal) {
  EXPECT_THAT(error_of<DataError>("{\"input_ids\": [1, 260], \"loss_mask\": [0, 1]}\n"),
              HasSubstr("token id 260 is outside the tokenizer's vocabulary of 260"));
}

TEST_F(PrepareData, AnEmptyResultIsAnErrorUnlessAllowed) {
  const std::string only_user = "{\"prompt\": \"x\"}\n";
  EXPECT_THAT(error_of<DataError>(only_user), HasSubstr("pass --allow-empty-output"));
  options_.allow_empty_output = true;
  EXPECT_EQ(prepare(only_user).num_samples, 0);
  EXPECT_THAT(read_dataset(folder_ / "out"), SizeIs(0));
}

TEST_F(PrepareData, ChatTemplateKwargsReachTheTemplate) {
  put_tiny_model(folder_, "{{ mood }}" + std::string(kPlainTemplate));
  options_.chat_template_kwargs = R"({"mood": "M"})";
  EXPECT_THAT(prepare(rows(1)).first_sample, HasSubstr("M<turn>u:"));
  options_.chat_template_kwargs = "[1]";
  options_.overwrite = true;
  EXPECT_THAT(error_of<UsageError>(rows(1)), HasSubstr("--chat-template-kwargs: expected a JSON object"));
}

TEST_F(PrepareData, TokenFrequenciesGoWhereTheyAreAskedFor) {
  options_.token_freq_path = (folder_ / "freq.pt").string();
  prepare(rows(2));
  EXPECT_FALSE(fs::exists(folder_ / "out/token_freq.pt"));
  EXPECT_EQ(read_token_freq(folder_ / "freq.pt").at('x'), 3);
  folder_.put("freq.pt", "of other data");
  EXPECT_TRUE(prepare(rows(2)).already_there);
  EXPECT_EQ(read_token_freq(folder_ / "freq.pt").at('x'), 3);
}

TEST_F(PrepareData, SkipTokenFreqWritesNone) {
  options_.skip_token_freq = true;
  prepare(rows(2));
  EXPECT_FALSE(fs::exists(folder_ / "out/token_freq.pt"));
}

TEST_F(PrepareData, KeptHiddenStatesAreLinkedByTheirRow) {
  folder_.put("states/a.safetensors", "A");
  folder_.put("states/b.safetensors", "B");
  options_.hidden_states_from = (folder_ / "states").string();
  options_.seq_length = 2;
  const auto report = prepare(
      "{\"id\": \"a\", \"input_ids\": [1, 2], \"loss_mask\": [0, 1]}\n"
      "{\"id\": \"b\", \"input_ids\": [1, 2, 3], \"loss_mask\": [0, 1, 1]}\n");
  EXPECT_EQ(report.num_hidden_states,
            1);  // b was clipped: its states no longer fit
  const auto samples = read_dataset(folder_ / "out");
  ASSERT_THAT(samples, SizeIs(2));
  const bool first = fs::exists(folder_ / "out/hidden_states/hs_0.safetensors");
  EXPECT_EQ(read_file(folder_ / ("out/hidden_states/hs_" + std::string(first ? "0" : "1") + ".safetensors")), "A");
}

TEST_F(PrepareData, ASlashAtTheEndOfTheOutputChangesNothing) {
  options_.output += "/";
  EXPECT_EQ(prepare(rows(2)).num_samples, 2);
  EXPECT_THAT(read_dataset(folder_ / "out"), SizeIs(2));
}

TEST_F(PrepareData, WrongOptionsAreNamed) {
  options_.seq_length = 1;
  EXPECT_THAT(error_of<UsageError>(rows(1)), HasSubstr("--seq-length: expected at least 2, found 1"));
  options_.seq_length = 8;
  options_.minimum_valid_tokens = -1;
  EXPECT_THAT(error_of<UsageError>(rows(1)), HasSubstr("--minimum-valid-tokens"));
  options_.minimum_valid_tokens.reset();
  options_.data.clear();
  EXPECT_THAT(error_of<UsageError>(rows(1)), HasSubstr("--data"));
}

// Kills the stage at many moments, runs it again, and finds the same bytes and
// nothing left over.
TEST_F(PrepareData, SurvivesBeingKilledAtAnyMoment) {
  options_.num_preprocessing_workers = 1;
  prepare(rows(300));
  const auto undisturbed = contents();
  for (int delay_ms = 0; delay_ms < 40; delay_ms += 4) {
    fs::remove_all(folder_ / "out");
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      prepare_data(options_);
      _exit(0);
    }
    usleep(static_cast<useconds_t>(delay_ms) * 1000);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (fs::exists(folder_ / "out")) {
      EXPECT_EQ(contents(), undisturbed) << "after " << delay_ms << " ms";
    }
    prepare_data(options_);
    EXPECT_EQ(contents(), undisturbed);
  }
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
  }
}

}  // namespace
}  // namespace speculators
