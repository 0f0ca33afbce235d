#include "data/conversation.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

DataRow parse(const char* text) {
  RowWarnings warnings;
  return parse_row(Json::parse(text), "rows.jsonl:1", warnings);
}

Conversation conversation(const char* text) { return std::get<Conversation>(parse(text)); }

std::string error_of(const char* text) {
  try {
    parse(text);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

bool is_left_out(const char* text) {
  try {
    parse(text);
  } catch (const RowError&) {
    return true;
  } catch (const DataError&) {
    return false;
  }
  return false;
}

TEST(ParseRow, FromAndValueBecomeRoleAndContent) {
  const auto row =
      conversation(R"({"id": 7, "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]})");
  EXPECT_EQ(row.id, "7");
  ASSERT_THAT(row.messages, SizeIs(2));
  EXPECT_EQ(row.messages[0].dump(), R"({"role":"user","content":"hi"})");
  EXPECT_EQ(row.messages[1].dump(), R"({"role":"assistant","content":"yo"})");
}

TEST(ParseRow, FormsMayBeMixedWithinARow) {
  const auto row =
      conversation(R"({"messages": [{"from": "system", "content": "s"}, {"role": "tool", "value": "t"}]})");
  EXPECT_EQ(row.messages[0].dump(), R"({"role":"system","content":"s"})");
  EXPECT_EQ(row.messages[1].dump(), R"({"role":"tool","content":"t"})");
}

TEST(ParseRow, UnknownRoleBecomesAssistantAndIsCounted) {
  RowWarnings warnings;
  const Json row = Json::parse(R"({"messages": [{"role": "bot", "content": "x"}, {"role": "bard", "content": "x"}]})");
  EXPECT_EQ(std::get<Conversation>(parse_row(row, "r", warnings)).messages[0]["role"], "assistant");
  EXPECT_EQ(warnings.num_unknown_roles, 2);
  EXPECT_EQ(warnings.first_unknown_role, "bot");
}

TEST(ParseRow, ThinkingIsSetUnderBothNames) {
  for (const char* text : {R"({"messages": [{"role": "gpt", "content": "x", "thinking": "t"}]})",
                           R"({"messages": [{"role": "gpt", "content": "x", "reasoning_content": "t"}]})"}) {
    EXPECT_EQ(conversation(text).messages[0].dump(),
              R"({"role":"assistant","content":"x","thinking":"t","reasoning_content":"t"})");
  }
}

TEST(ParseRow, AbsentContentIsEmptyText) {
  EXPECT_EQ(conversation(R"({"messages": [{"role": "user", "content": null}]})").messages[0]["content"], "");
  EXPECT_EQ(conversation(R"({"messages": [{"role": "user"}]})").messages[0]["content"], "");
}

TEST(ParseRow, ToolCallsCarryTheirArgumentsAsValues) {
  const auto row = conversation(
      R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [
      {"id": "1", "function": {"name": "f", "arguments": "{\"a\": [1]}"}},
      {"function": {"name": "g", "arguments": {"b": 2}}}, {"function": {"name": "h", "arguments": "no json"}}]},
      {"role": "tool", "content": "r", "tool_call_id": "1"}]})");
  const Json& calls = row.messages[0]["tool_calls"];
  EXPECT_EQ(calls[0]["function"]["arguments"].dump(), R"({"a":[1]})");
  EXPECT_EQ(calls[1]["function"]["arguments"].dump(), R"({"b":2})");
  EXPECT_EQ(calls[2]["function"]["arguments"], "no json");
  EXPECT_EQ(row.messages[1]["tool_call_id"], "1");
}

TEST(ParseRow, TextPartsAreKeptAndMediaLeaveTheRowOut) {
  const auto row = conversation(R"({"messages": [{"role": "user", "content": ["a", {"type": "text", "text": "b"}]}]})");
  EXPECT_EQ(row.messages[0]["content"].dump(), R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])");
  const char* image = R"({"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]})";
  EXPECT_TRUE(is_left_out(image));
  EXPECT_THAT(error_of(image), HasSubstr("rows.jsonl:1: messages: turn 0: content: expected "
                                         "text parts, found a part "
                                         "of type 'image'"));
}

TEST(ParseRow, ConversationsOfAnOddShapeAreLeftOut) {
  for (const char* text :
       {R"({"messages": []})", R"({"messages": null})", R"({"messages": "x"})", R"({"messages": ["x"]})",
        R"({"messages": [{"content": "x"}]})", R"({"messages": [{"role": 5, "content": "x"}]})",
        R"({"messages": [{"role": "user", "content": 5}]})"}) {
    EXPECT_TRUE(is_left_out(text)) << text;
  }
}

TEST(ParseRow, PromptTextIsOneUserTurn) {
  const auto row = conversation(R"({"prompt": "hi", "kind": "code"})");
  EXPECT_EQ(row.kind, "code");
  EXPECT_EQ(row.messages[0].dump(), R"({"role":"user","content":"hi"})");
}

TEST(ParseRow, PromptMayBeAListOfMessages) {
  EXPECT_THAT(
      conversation(R"({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})").messages,
      SizeIs(2));
}

TEST(ParseRow, TokenisedRowPassesThrough) {
  const auto row = std::get<TokenisedRow>(parse(R"({"id": "a_gen0", "input_ids": [5, 6], "loss_mask": [0, 1]})"));
  EXPECT_EQ(row.id, "a_gen0");
  EXPECT_THAT(row.sample.token_ids, ElementsAre(5, 6));
  EXPECT_THAT(row.sample.loss_mask, ElementsAre(0, 1));
}

TEST(ParseRow, AMaskThatDoesNotFitIsFatal) {
  EXPECT_THAT(error_of(R"({"input_ids": [5, 6], "loss_mask": [0]})"),
              HasSubstr("loss_mask: expected 2 values as in input_ids, found 1"));
  EXPECT_FALSE(is_left_out(R"({"input_ids": [5, 6], "loss_mask": [0]})"));
  EXPECT_THAT(error_of(R"({"input_ids": [5], "loss_mask": [2]})"), HasSubstr("position 0: expected an id >= 0"));
  EXPECT_THAT(error_of(R"({"input_ids": [-1], "loss_mask": [1]})"), HasSubstr("found -1 and 1"));
}

TEST(ParseRow, UnknownShapeNamesThePossibleKeysAndIsFatal) {
  EXPECT_THAT(error_of(R"({"text": "x"})"), HasSubstr("rows.jsonl:1: expected one of `conversations`"));
  EXPECT_FALSE(is_left_out(R"({"text": "x"})"));
}

TEST(ParseRow, ToolsMayBeAListOrItsText) {
  for (const char* text :
       {R"({"prompt": "x", "tools": "[{\"name\": \"f\"}]"})", R"({"prompt": "x", "tools": [{"name": "f"}]})"}) {
    EXPECT_EQ(conversation(text).tools->dump(), R"([{"name":"f"}])");
  }
  for (const char* text :
       {R"({"prompt": "x", "tools": []})", R"({"prompt": "x", "tools": ""})", R"({"prompt": "x"})"}) {
    EXPECT_FALSE(conversation(text).tools.has_value()) << text;
  }
}

TEST(ParseRow, InvalidToolsAreLeftOutAndCounted) {
  RowWarnings warnings;
  const auto row = parse_row(Json::parse(R"({"prompt": "x", "tools": "[broken"})"), "r", warnings);
  EXPECT_FALSE(std::get<Conversation>(row).tools.has_value());
  EXPECT_EQ(warnings.num_invalid_tools, 1);
}

TEST(RowHash, DoesNotDependOnTheOrderOfKeys) {
  EXPECT_EQ(row_hash(Json::parse(R"({"a": 1, "b": 2})")), row_hash(Json::parse(R"({"b": 2, "a": 1})")));
  EXPECT_NE(row_hash(Json::parse(R"({"a": 1})")), row_hash(Json::parse(R"({"a": 2})")));
}

TEST(JoinTextParts, PutsLineBreaksBetweenParts) {
  std::vector<Json> messages = {
      Json::parse(R"({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})"),
      Json::parse(R"({"content": "c"})")};
  join_text_parts(messages);
  EXPECT_EQ(messages[0]["content"], "a\nb");
  EXPECT_EQ(messages[1]["content"], "c");
}

}  // namespace
}  // namespace speculators
