#include <gtest/gtest.h>

#include "tokenizer/jinja/render_for_test.h"

namespace speculators::jinja {
namespace {

const Json kList = Json::parse(R"({"l": [1, 2, 3], "s": "outside"})");

TEST(For, KnowsWhereItIs) {
  EXPECT_EQ(
      render("{% for x in l %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }} {% endfor %}", kList),
      "12TrueFalse 21FalseFalse 30FalseTrue ");
}

TEST(For, FiltersBeforeItCounts) {
  EXPECT_EQ(render("{% for x in l if x != 2 %}{{ x }}:{{ loop.index }}/{{ loop.length }} {% endfor %}", kList),
            "1:1/2 3:2/2 ");
}

TEST(For, RunsElseWhenNothingIsThere) { EXPECT_EQ(render("{% for x in [] %}x{% else %}none{% endfor %}"), "none"); }

TEST(For, ContinueLeavesElseToRun) {
  // As Jinja compiles it: a round counts only once it reaches the end of the body.
  EXPECT_EQ(render("{% for x in l %}{% continue %}{% else %}E{% endfor %}", kList), "E");
}

TEST(For, BreakAndContinueSteer) {
  EXPECT_EQ(render("{% for x in l %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", kList), "1");
  EXPECT_EQ(render("{% for x in l %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}", kList), "13");
}

TEST(For, Unpacks) {
  EXPECT_EQ(render("{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}"), "123");
  EXPECT_EQ(render("{% for a, b in [[1]] %}{% endfor %}"), "line 1: not enough values to unpack (expected 2, got 1)");
}

TEST(For, CallsItselfOnTheInnerItems) {
  const Json tree = Json::parse(R"({"t": [{"n": 1, "c": [{"n": 2, "c": []}]}]})");
  EXPECT_EQ(render("{% for x in t recursive %}{{ x.n }}@{{ loop.depth }}({{ loop(x.c) }}){% endfor %}", tree),
            "1@1(2@2())");
}

TEST(For, AnUndefinedListIsEmptyAndANumberAnError) {
  EXPECT_EQ(render("[{% for x in nothing %}x{% endfor %}]"), "[]");
  EXPECT_EQ(render("{% for x in 5 %}x{% endfor %}"), "line 1: 'int' object is not iterable");
}

TEST(Scope, AnAssignmentInALoopEndsWithTheRound) {
  EXPECT_EQ(render("{% set x = 0 %}{% for y in l %}{% set x = x + y %}{{ x }}{% endfor %}{{ x }}", kList), "1230");
}

TEST(Scope, ANamespaceOutlivesTheLoop) {
  EXPECT_EQ(render("{% set n = namespace(x=0) %}{% for y in l %}{% set n.x = n.x + y %}{% endfor %}{{ n.x }}", kList),
            "6");
}

TEST(Scope, AnAssignmentInABranchHoldsAfterIt) {
  EXPECT_EQ(render("{% if 1 %}{% set q = 5 %}{% endif %}{{ q }}"), "5");
}

TEST(Scope, ANameAssignedLaterAtTopLevelIsUndefinedInEarlierLoops) {
  // Jinja decides from the text alone that `s` is the template's own variable.
  EXPECT_EQ(render("{% for x in l %}[{{ s }}]{% endfor %}{% set s = 1 %}", kList), "[][][]");
}

TEST(Scope, ANameReadFirstComesFromOutside) { EXPECT_EQ(render("{{ s }}{% set s = 1 %}{{ s }}", kList), "outside1"); }

TEST(Set, CapturesABlockThroughFilters) {
  EXPECT_EQ(render("{% set x | upper %}a{{ s }}{% endset %}{{ x }}", kList), "AOUTSIDE");
}

TEST(Set, RefusesAttributesOfAnythingButANamespace) {
  EXPECT_EQ(render("{% set d = {} %}{% set d.x = 1 %}"), "line 1: cannot assign attribute on non-namespace object");
}

TEST(Macro, FillsInDefaultsAndKeywords) {
  EXPECT_EQ(render("{% macro m(a, b=a) %}{{ a }}{{ b }} {% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}{{ m() }}"),
            "11 32  ");
}

TEST(Macro, RefusesWhatItDoesNotTake) {
  EXPECT_EQ(render("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}"),
            "line 1: macro 'm' takes not more than 1 argument(s)");
  EXPECT_EQ(render("{% macro m(a) %}{% endmacro %}{{ m(b=1) }}"), "line 1: macro 'm' takes no keyword argument 'b'");
}

TEST(Macro, CollectsTheRestWhenItReadsIt) {
  EXPECT_EQ(render("{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}"), "(2,){'x': 3}");
}

TEST(Macro, SeesLaterAssignmentsOfItsTemplate) {
  EXPECT_EQ(render("{% macro m() %}{{ q }}{% endmacro %}{{ m() }}{% set q = 1 %}{{ m() }}"), "1");
}

TEST(Macro, CallsItself) {
  EXPECT_EQ(render("{% macro f(x) %}{{ x }}{% if x %}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}"), "3210");
}

TEST(CallBlock, HandsItsBodyToTheMacro) {
  EXPECT_EQ(render("{% macro m(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}"
                   "{% call(y) m(l) %}<{{ y }}>{% endcall %}",
                   kList),
            "<1><2><3>");
}

TEST(FilterBlock, FiltersItsBody) {
  EXPECT_EQ(render("{% filter upper | replace('B', 'x') %}abc{% endfilter %}"), "AxC");
}

TEST(With, ReadsItsValuesFromOutside) {
  EXPECT_EQ(render("{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}"), "155");
}

TEST(Generation, RendersItsBodyInAScopeOfItsOwn) {
  EXPECT_EQ(render("{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}[{{ q }}]"), "1[]");
}

TEST(Block, NestingMistakesAreExplained) {
  EXPECT_EQ(
      render("{% for x in l %}{% if x %}{% endfor %}"),
      "line 1: Encountered unknown tag 'endfor'. You probably made a nesting mistake. Jinja is expecting this tag, but "
      "currently looking for 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.");
  EXPECT_EQ(
      render("{% if 1 %}"),
      "line 1: Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The "
      "innermost block that needs to be closed is 'if'.");
}

TEST(Block, TagsOfTemplateInheritanceAreRefusedByName) {
  EXPECT_EQ(render("{% include 'x' %}"), "line 1: the tag 'include' is not available in chat templates");
}

TEST(Raise, TheMessageIsTheTemplatesOwn) {
  EXPECT_EQ(render("a\n{{ raise_exception('no ' ~ 'way') }}"), "line 2: no way");
}

}  // namespace
}  // namespace speculators::jinja
