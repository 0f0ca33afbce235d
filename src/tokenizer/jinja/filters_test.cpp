#include "tokenizer/jinja/filters.h"

#include <gtest/gtest.h>

#include "tokenizer/jinja/render_for_test.h"

namespace speculators::jinja {
namespace {

const Json kValues = Json::parse(R"({"l": [3, 1, 2], "d": {"b": 1, "a": 2, "C": 3}, "n": null, "e": "",
  "users": [{"name": "Ann", "age": 31, "on": true}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 31}]})");

TEST(ToJson, SpacesAsPythonDoes) {
  EXPECT_EQ(print("{'a': [1, 2.0, none, true]} | tojson"), R"({"a": [1, 2.0, null, true]})");
}

TEST(ToJson, KeepsUnicodeAndHtmlAsTheyAre) { EXPECT_EQ(print("'é<&\"' | tojson"), R"("é<&\"")"); }

TEST(ToJson, EscapesWhenAsked) {
  EXPECT_EQ(print("'é\U0001F600' | tojson(ensure_ascii=true)"), R"("\u00e9\ud83d\ude00")");
}

TEST(ToJson, Indents) {
  EXPECT_EQ(print("{'a': [1], 'b': {}} | tojson(indent=2)"), "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}");
}

TEST(ToJson, TakesSeparatorsAndSortsKeys) {
  EXPECT_EQ(print("{'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true)"), R"({"a":2,"b":1})");
}

TEST(ToJson, RefusesTheUndefined) {
  EXPECT_EQ(print("{'a': x} | tojson"), "line 1: Object of type Undefined is not JSON serializable");
}

TEST(Default, StandsInForTheUndefinedAndOnRequestForTheFalse) {
  EXPECT_EQ(print("x | default('d'), n | default('d'), e | d('d', true)", kValues), "('d', None, 'd')");
}

TEST(Map, ReadsAttributesOrCallsFilters) {
  EXPECT_EQ(print("users | map(attribute='name') | list, users | map(attribute='on', default='-') | list", kValues),
            "(['Ann', 'bob', 'Cy'], [True, '-', '-'])");
  EXPECT_EQ(print("['a', 'b'] | map('upper') | join"), "AB");
}

TEST(Select, IsAGeneratorAndSoAlwaysTrue) {
  EXPECT_EQ(print("'yes' if l | select('equalto', 9) else 'no'", kValues), "yes");
  EXPECT_EQ(print("l | select('odd') | list, l | reject('odd') | list", kValues), "([3, 1], [2])");
}

TEST(Select, AGeneratorIsReadOnce) {
  EXPECT_EQ(render("{% set g = l | select %}{{ g | list }}{{ g | list }}", kValues), "[3, 1, 2][]");
}

TEST(SelectAttr, TestsOneAttribute) {
  EXPECT_EQ(print("users | selectattr('age', '>', 30) | map(attribute='name') | list", kValues), "['Ann', 'Cy']");
  EXPECT_EQ(print("users | rejectattr('on') | list | length", kValues), "2");
}

TEST(Sort, IgnoresCaseAndKeepsEqualItemsInOrder) {
  EXPECT_EQ(print("['b', 'A', 'a', 'B'] | sort"), "['A', 'a', 'b', 'B']");
  EXPECT_EQ(print("users | sort(attribute='age', reverse=true) | map(attribute='name') | list", kValues),
            "['Ann', 'Cy', 'bob']");
}

TEST(DictSort, SortsByKeyOrValue) {
  EXPECT_EQ(print("d | dictsort, d | dictsort(by='value', reverse=true) | first", kValues),
            "([('a', 2), ('b', 1), ('C', 3)], ('C', 3))");
}

TEST(GroupBy, GivesPairsWithNames) {
  EXPECT_EQ(render("{% for g in users | groupby('age') %}{{ g.grouper }}:{{ g.list | length }} {% endfor %}", kValues),
            "25:1 31:2 ");
}

TEST(Numbers, ParseAndRoundAsPythonDoes) {
  EXPECT_EQ(print("'42.9' | int, 'x' | int(5), '1f' | int(base=16), '1e3' | float"), "(42, 5, 31, 1000.0)");
  EXPECT_EQ(print("2.5 | round, 2.675 | round(2), 42 | round, 42.51 | round(1, 'ceil')"), "(2.0, 2.67, 42, 42.6)");
}

TEST(Text, TrimsTitlesIndentsAndTruncates) {
  EXPECT_EQ(print("' a ' | trim, \"it's a-b\" | title"), "('a', \"It's A-B\")");
  EXPECT_EQ(print("'a\nb\n\nc' | indent(2)"), "a\n  b\n\n  c");
  EXPECT_EQ(print("'foo bar baz qux' | truncate(9)"), "foo...");
}

TEST(Escape, DoesItOnce) {
  EXPECT_EQ(print("'<' | e | e"), "&lt;");
  EXPECT_EQ(print("('<' | e) + '<'"), "&lt;&lt;");
}

TEST(Sequence, SumsSlicesAndReverses) {
  EXPECT_EQ(print("l | sum, l | max, l | first, l | last, l | reverse | list", kValues), "(6, 3, 3, 2, [2, 1, 3])");
  EXPECT_EQ(print("range(5) | batch(2) | list, range(5) | slice(2) | list"),
            "([[0, 1], [2, 3], [4]], [[0, 1, 2], [3, 4]])");
  EXPECT_EQ(print("['a', 'A', 'b'] | unique | list"), "['a', 'b']");
}

TEST(Filter, UnknownOnesAreAnErrorAtOnceOrInsideIfWhenUsed) {
  EXPECT_EQ(render("{{ 1 | nosuch }}"), "line 1: No filter named 'nosuch'.");
  EXPECT_EQ(render("{% if false %}{{ 1 | nosuch }}{% endif %}ok"), "ok");
  EXPECT_EQ(render("{% if true %}{{ 1 | nosuch }}{% endif %}"), "line 1: No filter named 'nosuch' found.");
}

TEST(Filter, UnexpectedArgumentsAreNamed) {
  EXPECT_EQ(print("1 | default(x=2)"), "line 1: do_default() got an unexpected keyword argument 'x'");
}

TEST(Test, TypesFollowPython) {
  EXPECT_EQ(print("true is number, true is integer, 1.0 is float, 'a' is sequence, {} is mapping, x is sequence"),
            "(True, False, True, True, True, True)");
  EXPECT_EQ(print("x is defined, none is none, x is callable, range is callable"), "(False, True, True, True)");
}

TEST(Test, TakesAnArgumentWithoutParentheses) {
  EXPECT_EQ(print("9 is divisibleby 3, 1 is in [1], 2 is not odd, 'a' is eq 'a' and true"), "(True, True, True, True)");
}

}  // namespace
}  // namespace speculators::jinja
