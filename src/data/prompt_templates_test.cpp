#include "data/prompt_templates.h"

#include <gmock/gmock.h>

#include <set>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<std::string> texts_of(const PromptRequest& request) {
  std::vector<std::string> texts;
  for (const Prompt& prompt : make_prompts(request)) texts.push_back(prompt.text);
  return texts;
}

std::set<std::string> unique(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

TEST(MakePrompts, SameSeedGivesSamePrompts) {
  const PromptRequest request{.kinds = prompt_kinds(), .count = 20, .seed = 3};
  EXPECT_EQ(texts_of(request), texts_of(request));
}

TEST(MakePrompts, EveryKindHasManyDifferentTexts) {
  for (const std::string& kind : prompt_kinds()) {
    EXPECT_THAT(unique(texts_of({.kinds = {kind}, .count = 1500, .seed = 1})), SizeIs(1500)) << kind;
  }
}

TEST(MakePrompts, MoreThanThereAreIsAnError) {
  EXPECT_THROW(make_prompts({.kinds = {"explanation"}, .count = 100'000}), UsageError);
}

TEST(MakePrompts, HeldOutSeedSharesNoText) {
  const auto train = unique(texts_of({.kinds = prompt_kinds(), .count = 500, .seed = 1}));
  const auto held_out =
      texts_of({.kinds = prompt_kinds(), .count = 200, .seed = 2, .exclude_seed = 1, .exclude_count = 500});
  EXPECT_THAT(held_out, SizeIs(600));
  for (const std::string& text : held_out) EXPECT_FALSE(train.contains(text)) << text;
}

TEST(MakePrompts, IdsTellKindSeedAndNumber) {
  const auto prompts = make_prompts({.kinds = {"code", "arithmetic"}, .count = 2, .seed = 7});
  EXPECT_EQ(prompts[1].id, "code-7-0001");
  EXPECT_EQ(prompts[2].id, "arithmetic-7-0000");
  EXPECT_EQ(prompts[2].kind, "arithmetic");
}

TEST(MakePrompts, NoSlotIsLeftOpen) {
  const auto texts = texts_of({.kinds = prompt_kinds(), .count = 500, .seed = 5});
  EXPECT_THAT(texts, Each(Not(HasSubstr("{"))));
  EXPECT_THAT(texts, Each(Not(HasSubstr("}"))));
}

TEST(MakePrompts, UnknownKindSuggestsTheNearest) {
  try {
    make_prompts({.kinds = {"cod"}, .count = 1});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean code?"));
  }
}

}  // namespace
}  // namespace speculators
