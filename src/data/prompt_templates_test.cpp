#include "data/prompt_templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<std::string> texts_of(const PromptRequest& request) {
  std::vector<std::string> texts;
  for (const Prompt& prompt : make_prompts(request)) texts.push_back(prompt.text);
  return texts;
}

TEST(MakePrompts, SameSeedGivesSamePrompts) {
  const PromptRequest request{.kinds = prompt_kinds(), .count = 20, .seed = 3};
  EXPECT_EQ(texts_of(request), texts_of(request));
}

TEST(MakePrompts, EveryTextIsNew) {
  const auto texts = texts_of({.kinds = prompt_kinds(), .count = 200, .seed = 1});
  EXPECT_THAT(std::set<std::string>(texts.begin(), texts.end()), SizeIs(3 * 200));
}

TEST(MakePrompts, HeldOutSeedSharesNoText) {
  const auto train = texts_of({.kinds = {"code"}, .count = 150, .seed = 1});
  const auto held_out = texts_of({.kinds = {"code"}, .count = 50, .seed = 2, .exclude_seed = 1, .exclude_count = 150});
  EXPECT_THAT(held_out, SizeIs(50));
  for (const std::string& text : held_out) EXPECT_THAT(train, Not(Contains(text)));
}

TEST(MakePrompts, NoSlotIsLeftOpen) {
  EXPECT_THAT(texts_of({.kinds = prompt_kinds(), .count = 200, .seed = 5}), Each(Not(::testing::HasSubstr("{"))));
}

TEST(MakePrompts, UnknownKindSuggestsTheNearest) {
  try {
    make_prompts({.kinds = {"cod"}, .count = 1});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("did you mean code?"));
  }
}

}  // namespace
}  // namespace speculators
