#include <gtest/gtest.h>

#include "tokenizer/jinja/render_for_test.h"

namespace speculators::jinja {
namespace {

const Json kValues = Json::parse(R"({"l": [3, 1, 2], "d": {"b": 1, "a": 2}, "n": null, "s": "Hello",
                                     "deep": {"x": [{"y": "z"}]}})");

TEST(Expression, ArithmeticFollowsPython) {
  EXPECT_EQ(print("7 // 2, -7 // 2, -7 % 3, 7 / 2, 2 ** 3, 2 ** -1"), "(3, -4, 2, 3.5, 8, 0.5)");
}

TEST(Expression, PrecedenceFollowsJinja) {
  // ~ binds tighter than +, looser than *: 'a' + ((2 * 3) ~ 4).
  EXPECT_EQ(print("'a' + 2 * 3 ~ 4"), "a64");
  // A filter binds tighter than a sign, a test tighter than `not`.
  EXPECT_EQ(print("-1 | abs, not 1 is string"), "(1, True)");
}

TEST(Expression, ComparisonsChain) {
  EXPECT_EQ(print("1 < 2 < 3, 1 < 3 < 2, 3 in l and 9 not in l", kValues), "(True, False, True)");
}

TEST(Expression, AndAndOrGiveAnOperand) {
  EXPECT_EQ(print("'' or 'x', 1 and 2, 0 and 2, none or 0"), "('x', 2, 0, 0)");
}

TEST(Expression, AConditionalWithoutElsePrintsNothing) { EXPECT_EQ(render("[{{ 'a' if false }}]"), "[]"); }

TEST(Expression, SubscriptsCountFromTheEnd) { EXPECT_EQ(print("l[-1], s[0], s[-1]", kValues), "(2, 'H', 'o')"); }

TEST(Expression, SlicesFollowPython) {
  EXPECT_EQ(print("l[1:], l[::-1], s[1:3], s[::-2], l[5:]", kValues), "([1, 2], [2, 1, 3], 'el', 'olH', [])");
}

TEST(Expression, AnAttributeOfADictIsItsMethodFirstAndItsItemElse) {
  EXPECT_EQ(print("d.a, d.items() | list", kValues), "(2, [('b', 1), ('a', 2)])");
}

TEST(Expression, ASubscriptOfADictIsItsItemFirstAndItsMethodElse) {
  EXPECT_EQ(print("d['items'] is callable, d['a']", kValues), "(True, 2)");
}

TEST(Expression, WhatIsMissingIsUndefinedAndPrintsNothing) {
  EXPECT_EQ(render("[{{ x }}{{ d.q }}{{ l[9] }}{{ n.x }}]", kValues), "[]");
}

TEST(Expression, AnAttributeOfTheUndefinedIsAnError) {
  EXPECT_EQ(print("x.y", kValues), "line 1: 'x' is undefined");
  EXPECT_EQ(print("d.q.r", kValues), "line 1: 'dict object' has no attribute 'q'");
  EXPECT_EQ(print("l[9].r", kValues), "line 1: list object has no element 9");
}

TEST(Expression, ErrorsReadAsPythons) {
  EXPECT_EQ(print("'a' + 1"), "line 1: can only concatenate str (not \"int\") to str");
  EXPECT_EQ(print("1 + 'a'"), "line 1: unsupported operand type(s) for +: 'int' and 'str'");
  EXPECT_EQ(print("1 < 'a'"), "line 1: '<' not supported between instances of 'int' and 'str'");
  EXPECT_EQ(print("1 in 5"), "line 1: argument of type 'int' is not iterable");
}

TEST(Expression, ValuesPrintAsPythonReprs) {
  EXPECT_EQ(print("[1, 'a', none, true, 1.0, {}, (), (1,)]"), "[1, 'a', None, True, 1.0, {}, (), (1,)]");
}

TEST(Expression, StringsKnowPythonsEscapes) { EXPECT_EQ(print(R"('\x41\u00e9\n\'\q' "b")"), "Aé\n'\\qb"); }

TEST(Expression, StringMethodsCount) {
  EXPECT_EQ(print("' a b '.strip().split(), 'a-b'.replace('-', '+'), 'abc'.startswith(('x', 'a'))"),
            "(['a', 'b'], 'a+b', True)");
}

TEST(Expression, PercentFormats) { EXPECT_EQ(print("'%s is %05.1f, %d' % ('pi', 3.14159, 3)"), "pi is 003.1, 3"); }

TEST(Expression, FormatFollowsFields) {
  EXPECT_EQ(print("'{0[x][0][y]} {b:>4}|'.format(deep, b=1)", kValues), "z    1|");
}

TEST(Expression, CallsTakeStarredArguments) {
  EXPECT_EQ(print("range(*[1, 4]) | list, dict(**d)", kValues), "([1, 2, 3], {'b': 1, 'a': 2})");
}

TEST(Expression, TheSandboxHidesWhatChangesData) {
  EXPECT_EQ(print("l.append(1)", kValues), "line 1: access to attribute 'append' of 'list' object is unsafe.");
  EXPECT_EQ(print("s.__class__.x", kValues), "line 1: access to attribute '__class__' of 'str' object is unsafe.");
}

TEST(Expression, TrueIsOneInADict) { EXPECT_EQ(print("{1: 'a', 1.0: 'b', true: 'c'}"), "{1: 'c'}"); }

TEST(Expression, SyntaxErrorsNameTheLineAndWhatWasFound) {
  EXPECT_EQ(render("\n{{ 1 + }}"), "line 2: unexpected 'end of print statement'");
  EXPECT_EQ(render("{{ f(a=1, 2) }}"), "line 1: invalid syntax for function call expression");
  EXPECT_EQ(render("{{ (1] }}"), "line 1: unexpected ']', expected ')'");
}

}  // namespace
}  // namespace speculators::jinja
