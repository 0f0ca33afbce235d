#include "data/loss_mask.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tiny_model_for_test.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Conversation conversation(const std::string& json) {
  RowWarnings warnings;
  return std::get<Conversation>(parse_row(Json::parse(json), "r", warnings));
}

const std::string kTwoTurns =
    R"({"id": "c", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "A"},
    {"role": "user", "content": "r"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "s"}]})";

class MakeSamples : public testing::Test {
 protected:
  std::vector<Sample> make(const std::string& chat_template, const std::string& json, MaskOptions options = {}) {
    const auto parsed = ChatTemplate::parse(chat_template, Json::object(), "template");
    return make_samples(conversation(json), tokenizer_, parsed, options, counts_);
  }
  // The text with [ ] around every supervised stretch.
  std::string marked(const Sample& sample) const {
    std::string text;
    bool open = false;
    for (size_t i = 0; i < sample.token_ids.size(); ++i) {
      const bool supervised = sample.loss_mask[i] != 0;
      if (supervised != open) text += supervised ? "[" : "]";
      open = supervised;
      text += tokenizer_.decode(std::span(sample.token_ids).subspan(i, 1));
    }
    return open ? text + "]" : text;
  }
  const Tokenizer tokenizer_ = Tokenizer::parse(tiny_tokenizer_json(), "tiny");
  MaskCounts counts_;
};

TEST_F(MakeSamples, GivesOneSamplePerAnswerWithItsTerminator) {
  const auto samples = make(kPlainTemplate, kTwoTurns);
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(marked(samples[0]), "<turn>u:q<end><turn>a:[A<end>]");
  EXPECT_EQ(marked(samples[1]), "<turn>u:q<end><turn>a:A<end><turn>u:r<end><turn>a:[B<end>]");
  EXPECT_EQ(counts_.num_turns, 2);
}

TEST_F(MakeSamples, AnAnswerThatOpensTheConversationIsContextOnly) {
  const auto samples =
      make(kPlainTemplate,
           R"({"messages": [{"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}]})");
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(marked(samples[0]), "<turn>a:A<end><turn>a:[B<end>]");
}

TEST_F(MakeSamples, OldReasoningIsDroppedByTheTemplateAndTheNewIsSupervised) {
  const auto samples = make(kThinkingTemplate, R"({"messages": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": "A", "thinking": "x"}, {"role": "user", "content": "r"},
      {"role": "assistant", "content": "B", "thinking": "y"}]})");
  ASSERT_THAT(samples, SizeIs(2));
  // The prompt ends in <think></think>, the answer goes <think>y</think>: the
  // common prefix ends behind <think>.
  EXPECT_EQ(marked(samples[0]), "<turn>u:q<end><turn>a:<think>[x</think>A<end>]");
  EXPECT_EQ(marked(samples[1]),
            "<turn>u:q<end><turn>a:A<end><turn>u:r<end><"
            "turn>a:<think>[y</think>B<end>]");
}

TEST_F(MakeSamples, AHistoryThatChangesFailsTheConversation) {
  // This template counts its messages at the very start.
  const auto samples = make("{{ messages | length }}" + std::string(kPlainTemplate), kTwoTurns);
  EXPECT_THAT(samples, IsEmpty());
  EXPECT_EQ(counts_.num_failed, 1);
  EXPECT_EQ(counts_.num_turns, 0);
  EXPECT_THAT(counts_.first_failure, HasSubstr("conversation c: turn 1: the template writes the "
                                               "history differently"));
}

TEST_F(MakeSamples, ATemplateThatRefusesFailsTheConversationWithItsMessage) {
  const auto samples = make("{{ raise_exception('no tools here') }}", kTwoTurns);
  EXPECT_THAT(samples, IsEmpty());
  EXPECT_EQ(counts_.first_failure, "conversation c: no tools here");
}

TEST_F(MakeSamples, ClipsInsideTheAnswerAndCounts) {
  // The prompt has 8 tokens (<turn> u : q <end> <turn> a :), the whole 10.
  const auto samples =
      make(kPlainTemplate, R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "A"}]})",
           {.seq_length = 9});
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(marked(samples[0]), "<turn>u:q<end><turn>a:[A]");
  EXPECT_EQ(counts_.num_clipped, 1);
}

TEST_F(MakeSamples, ATurnWhoseHistoryFillsTheWindowIsLeftOutAlone) {
  // B's history holds A's long reasoning; behind the next question the template
  // has dropped it, so C fits again.
  const auto samples = make(kThinkingTemplate, R"({"messages": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": "A", "thinking": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
      {"role": "assistant", "content": "B"}, {"role": "user", "content": "r"},
      {"role": "assistant", "content": "C"}]})",
                            {.seq_length = 40});
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_THAT(marked(samples[1]), HasSubstr("<turn>a:<think></think>[C<end>]"));
  EXPECT_EQ(counts_.num_turns, 3);
  EXPECT_EQ(counts_.num_context_full, 1);
  EXPECT_EQ(counts_.num_clipped, 1);  // A
}

TEST_F(MakeSamples, AnAnswerWithoutTokensIsCounted) {
  const std::string bare = "{% for m in messages %}{{ m.content }}{% endfor %}";
  EXPECT_THAT(make(bare, R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}]})"),
              IsEmpty());
  EXPECT_EQ(counts_.num_unsupervised, 1);
}

TEST_F(MakeSamples, VariablesAndToolsReachTheTemplate) {
  const Json variables = {{"x", "V"}};
  const auto samples = make("{{ x }}{{ tools[0].name }}" + std::string(kPlainTemplate),
                            R"({"tools": [{"name": "T"}], "messages": [{"role": "user", "content": "q"},
                                {"role": "assistant", "content": "A"}]})",
                            {.variables = &variables});
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(marked(samples[0]), "VT<turn>u:q<end><turn>a:[A<end>]");
}

TEST(ReadsTextParts, LooksAtWhatTheTemplatePrints) {
  const auto reads = [](const char* source) {
    return reads_text_parts(ChatTemplate::parse(source, Json::object(), "t"));
  };
  EXPECT_TRUE(
      reads("{% for m in messages %}{% for p in m.content %}{{ p.text "
            "}}{% endfor %}{% endfor %}"));
  EXPECT_FALSE(reads("{% for m in messages %}{{ m.content }}{% endfor %}"));
  EXPECT_FALSE(reads("{% for m in messages %}{{ 'x' + m.content }}{% endfor %}"));
  EXPECT_FALSE(
      reads("{% for m in messages %}{{ m.content if m.content is "
            "string }}{% endfor %}"));
}

}  // namespace
}  // namespace speculators
