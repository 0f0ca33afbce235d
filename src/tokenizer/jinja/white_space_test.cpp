// trim_blocks, lstrip_blocks and the signs of tags.
#include <gtest/gtest.h>

#include "tokenizer/jinja/render_for_test.h"

namespace speculators::jinja {
namespace {

TEST(WhiteSpace, TheNewlineAfterABlockGoes) { EXPECT_EQ(render("a\n{% if 1 %}\nb\n{% endif %}\nc"), "a\nb\nc"); }

TEST(WhiteSpace, TheNewlineAfterAVariableStays) { EXPECT_EQ(render("{{ 1 }}\n{{ 2 }}"), "1\n2"); }

TEST(WhiteSpace, BlanksBeforeABlockThatOpensALineGo) {
  EXPECT_EQ(render("a\n  {% if 1 %}\n  b\n  {% endif %}\nc"), "a\n  b\nc");
}

TEST(WhiteSpace, BlanksBeforeABlockInsideALineStay) { EXPECT_EQ(render("a  {% if 1 %}b{% endif %}"), "a  b"); }

TEST(WhiteSpace, APlusKeepsTheBlanks) { EXPECT_EQ(render("a\n  {%+ if 1 %}b{% endif %}"), "a\n  b"); }

TEST(WhiteSpace, APlusAtTheEndKeepsTheNewline) { EXPECT_EQ(render("{% if 1 +%}\nb{% endif %}"), "\nb"); }

TEST(WhiteSpace, MinusTakesEverythingOnItsSide) {
  EXPECT_EQ(render(" a \n {{- 1 -}} \n b \n{%- if 1 -%} \n c{% endif %}"), " a1bc");
}

TEST(WhiteSpace, OneNewlineAtTheEndOfTheTemplateGoes) { EXPECT_EQ(render("a\n\n"), "a\n"); }

TEST(WhiteSpace, EveryNewlineBecomesALineFeed) { EXPECT_EQ(render("a\r\nb\rc"), "a\nb\nc"); }

TEST(WhiteSpace, CommentsTrimLikeBlocks) { EXPECT_EQ(render("a\n  {# x #}\nb"), "a\nb"); }

TEST(WhiteSpace, RawTextIsLeftAlone) { EXPECT_EQ(render("{% raw %}{{ x }}{% if %}{% endraw %}"), "{{ x }}{% if %}"); }

TEST(WhiteSpace, RawTagsTrimLikeBlocks) { EXPECT_EQ(render("a {%- raw -%} {{ x }} {%- endraw -%} b"), "a{{ x }}b"); }

TEST(WhiteSpace, ClosingCharactersInsideBracketsAreOperators) {
  EXPECT_EQ(render("{{ {'a': {'b': 1}}['a']['b'] }}"), "1");
}

TEST(WhiteSpace, ErrorsNameTheLine) { EXPECT_EQ(render("a\nb {# never closed"), "line 2: Missing end of comment tag"); }

}  // namespace
}  // namespace speculators::jinja
