#include "data/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

DataRow parse(const char* text) {
  RowWarnings warnings;
  return parse_row(Json::parse(text), "rows.jsonl:1", warnings);
}

std::string error_of(const char* text) {
  try {
    parse(text);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ParseRow, FromAndValueBecomeRoleAndContent) {
  const auto row = std::get<Conversation>(parse(R"({"id": 7, "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]})"));
  EXPECT_EQ(row.id, "7");
  ASSERT_THAT(row.messages, SizeIs(2));
  EXPECT_EQ(row.messages[0].dump(), R"({"role":"user","content":"hi"})");
  EXPECT_EQ(row.messages[1].dump(), R"({"role":"assistant","content":"yo"})");
}

TEST(ParseRow, UnknownRoleBecomesAssistantAndIsCounted) {
  RowWarnings warnings;
  const auto row = std::get<Conversation>(parse_row(Json::parse(R"({"messages": [{"role": "bot", "content": "x"}]})"), "r", warnings));
  EXPECT_EQ(row.messages[0]["role"], "assistant");
  EXPECT_EQ(warnings.num_unknown_roles, 1);
}

TEST(ParseRow, ThinkingIsSetUnderBothNames) {
  const auto row = std::get<Conversation>(parse(R"({"messages": [{"role": "assistant", "content": "x", "thinking": "t"}]})"));
  EXPECT_EQ(row.messages[0]["reasoning_content"], "t");
}

TEST(ParseRow, PromptTextIsOneUserTurn) {
  const auto row = std::get<Conversation>(parse(R"({"prompt": "hi", "kind": "code"})"));
  EXPECT_EQ(row.kind, "code");
  EXPECT_EQ(row.messages[0]["role"], "user");
}

TEST(ParseRow, TokenisedRowPassesThrough) {
  const auto row = std::get<TokenisedRow>(parse(R"({"id": "a_gen0", "input_ids": [5, 6], "loss_mask": [0, 1]})"));
  EXPECT_THAT(row.sample.token_ids, ElementsAre(5, 6));
  EXPECT_THAT(row.sample.loss_mask, ElementsAre(0, 1));
}

TEST(ParseRow, MaskOfAnotherLengthIsFatal) {
  EXPECT_THAT(error_of(R"({"input_ids": [5, 6], "loss_mask": [0]})"), HasSubstr("loss_mask: expected 2 values as in input_ids, found 1"));
}

TEST(ParseRow, UnknownShapeNamesThePossibleKeys) { EXPECT_THAT(error_of(R"({"text": "x"})"), HasSubstr("rows.jsonl:1: expected one of `conversations`")); }

TEST(ParseRow, ToolsMayBeJsonText) {
  EXPECT_TRUE(std::get<Conversation>(parse(R"({"messages": [{"role": "user", "content": "x"}], "tools": "[{\"name\": \"f\"}]"})")).tools.has_value());
}

TEST(ReadRows, DamagedLineIsNamed) {
  const fs::path file = fs::path(::testing::TempDir()) / "damaged.jsonl";
  write_file(file, "{\"prompt\": \"a\"}\n{\"prompt\": \"b\n");
  RowWarnings warnings;
  try {
    read_rows(file, warnings, [](const DataRow&) {});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("damaged.jsonl:2: expected one JSON object a line"));
  }
}

}  // namespace
}  // namespace speculators
