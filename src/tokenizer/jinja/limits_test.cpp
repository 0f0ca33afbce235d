// What a hostile template may not do: take the machine's memory, stack or time.
#include <gmock/gmock.h>

#include "tokenizer/jinja/render_for_test.h"

namespace speculators::jinja {
namespace {

using ::testing::HasSubstr;

std::string repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(Limits, RangesEndWhereTheSandboxSays) {
  EXPECT_EQ(print("range(100000) | length"), "100000");
  EXPECT_THAT(print("range(10 ** 12)"), HasSubstr("Range too big"));
}

TEST(Limits, EndlessRecursionIsAnError) {
  EXPECT_THAT(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("maximum recursion depth exceeded"));
  EXPECT_THAT(render("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
              HasSubstr("maximum recursion depth exceeded"));
}

TEST(Limits, TextsAndListsDoNotGrowWithoutEnd) {
  EXPECT_THAT(print("'a' * (10 ** 12)"), HasSubstr("grew beyond 64 MB"));
  EXPECT_THAT(print("[1] * (10 ** 12)"), HasSubstr("grew beyond 2 million items"));
  EXPECT_THAT(print("'%1000000000d' % 1"), testing::Not(HasSubstr("line 1")));  // the width is clamped
}

TEST(Limits, IntegersOverflowAsErrors) { EXPECT_THAT(print("10 ** 100"), HasSubstr("beyond 128 bits")); }

TEST(Limits, DeepNestingIsAnError) {
  EXPECT_THAT(print(repeat("(", 10000) + "1" + repeat(")", 10000)), HasSubstr("nested more than 400 deep"));
  EXPECT_THAT(print(repeat("-", 10000) + "1"), HasSubstr("nested more than 400 deep"));
  EXPECT_THAT(render(repeat("{% if 1 %}", 10000)), HasSubstr("nested more than 400 deep"));
  EXPECT_THAT(print(repeat("1 + ", 100000) + "1"), HasSubstr("more than 1000 parts"));
}

TEST(Limits, DeepDataIsAnError) {
  // {% set x = [x] %} in a loop would reset; a macro that wraps its argument nests for real.
  const std::string wrap = "{% macro m(x, n) %}{% if n %}{{ m([x], n - 1) }}{% else %}{{ x }}{% endif %}{% endmacro %}";
  EXPECT_EQ(render(wrap + "{{ m(1, 3) }}"), "[[[1]]]");
  Json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = Json::array({deep});
  EXPECT_THROW(from_json(deep), TemplateError);
}

TEST(Limits, ANamespaceThatHoldsItselfPrintsAndIsFreed) {
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.me = n %}{{ n }}"), "<Namespace {'me': <Namespace>}>");
}

}  // namespace
}  // namespace speculators::jinja
