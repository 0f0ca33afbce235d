#include "tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;

// The shape of most published templates: turns between markers, tools as JSON, reasoning cut from old turns.
constexpr const char* kTurns = R"({%- if tools %}
    {{- '<|s|>system\n# Tools\n' }}
    {%- for tool in tools %}
        {{- tool | tojson ~ '\n' }}
    {%- endfor %}
    {{- '<|e|>\n' }}
{%- endif %}
{%- set ns = namespace(last=-1) %}
{%- for m in messages %}
    {%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.role not in ['system', 'user', 'assistant', 'tool'] %}
        {{- raise_exception('Unexpected role: ' + m.role) }}
    {%- endif %}
    {%- set text = m.content if m.content is string else '' %}
    {%- if m.role == 'assistant' and '</think>' in text and loop.index0 < ns.last %}
        {%- set text = text.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {{- '<|s|>' + m.role + '\n' + text }}
    {%- for call in m.tool_calls or [] %}
        {{- '\n<call>' + (call.function | tojson) + '</call>' }}
    {%- endfor %}
    {{- '<|e|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|s|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %})";

ChatTemplate make(const std::string& source, const Json& tokens = Json::object()) {
  return ChatTemplate::parse(source, tokens, "here");
}

// A folder of its own for each test, removed at the end.
class ChatTemplateFolder : public testing::Test {
 protected:
  ChatTemplateFolder() {
    std::string pattern = (fs::temp_directory_path() / "chat-template-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~ChatTemplateFolder() override { fs::remove_all(folder_); }
  void put(const std::string& name, const std::string& text) { write_file(folder_ / name, text); }
  std::string render() const { return ChatTemplate::load(folder_).render(Json::array()); }
  fs::path folder_;
};

TEST(ChatTemplate, WritesTurnsAndTheGenerationPrompt) {
  const Json messages = Json::parse(R"([{"role": "system", "content": "S"}, {"role": "user", "content": "ü\n"}])");
  EXPECT_EQ(make(kTurns).render(messages), "<|s|>system\nS<|e|>\n<|s|>user\nü\n<|e|>\n");
  EXPECT_EQ(make(kTurns).render(messages, {.add_generation_prompt = true}),
            "<|s|>system\nS<|e|>\n<|s|>user\nü\n<|e|>\n<|s|>assistant\n");
}

TEST(ChatTemplate, CutsOldReasoningOnly) {
  const Json messages = Json::parse(R"([{"role": "user", "content": "a"},
    {"role": "assistant", "content": "<think>\nx\n</think>\n\nb"}, {"role": "user", "content": "c"},
    {"role": "assistant", "content": "<think>\ny\n</think>\n\nd"}])");
  EXPECT_EQ(
      make(kTurns).render(messages),
      "<|s|>user\na<|e|>\n<|s|>assistant\nb<|e|>\n<|s|>user\nc<|e|>\n<|s|>assistant\n<think>\ny\n</think>\n\nd<|e|>\n");
}

TEST(ChatTemplate, WritesToolsAndCallsInTheirKeyOrder) {
  const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "f", "default": 1.0}}])");
  const Json messages = Json::parse(R"([{"role": "assistant", "content": null,
    "tool_calls": [{"function": {"name": "f", "arguments": {"z": 1, "a": "é"}}}]}])");
  EXPECT_EQ(make(kTurns).render(messages, {.tools = &tools}),
            "<|s|>system\n# Tools\n{\"type\": \"function\", \"function\": {\"name\": \"f\", \"default\": 1.0}}\n<|e|>\n"
            "<|s|>assistant\n\n<call>{\"name\": \"f\", \"arguments\": {\"z\": 1, \"a\": \"é\"}}</call><|e|>\n");
}

TEST(ChatTemplate, TakesFurtherVariables) {
  const Json variables = {{"enable_thinking", false}};
  EXPECT_EQ(make(kTurns).render(Json::array(), {.add_generation_prompt = true, .variables = &variables}),
            "<|s|>assistant\n<think>\n\n</think>\n\n");
}

TEST(ChatTemplate, ToolsAndDocumentsAreNoneWhenAbsent) {
  EXPECT_EQ(make("{{ tools }} {{ documents }} {{ add_generation_prompt }} {{ bos_token }}").render(Json::array()),
            "None None False ");
}

TEST(ChatTemplate, ARaisedExceptionSpeaksForItself) {
  const Json messages = Json::parse(R"([{"role": "wizard", "content": ""}])");
  try {
    make(kTurns).render(messages);
    FAIL() << "no error";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "Unexpected role: wizard");
  }
}

TEST(ChatTemplate, OtherErrorsNamePlaceAndLine) {
  const Json messages = Json::parse(R"([{"content": "x"}])");
  try {
    make("\n{{ messages[0].role.x }}").render(messages);
    FAIL() << "no error";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "here: line 2: 'dict object' has no attribute 'role'");
  }
}

TEST(ChatTemplate, ATemplateThatDoesNotParseIsADataError) {
  try {
    make("{% if x %}");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("here: line 1: Unexpected end of template."));
  }
}

TEST(ChatTemplate, RendersOnManyThreads) {
  const ChatTemplate shared = make(kTurns);
  const Json messages = Json::parse(R"([{"role": "user", "content": "a"}])");
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) result = shared.render(messages);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(results, testing::Each("<|s|>user\na<|e|>\n"));
}

TEST_F(ChatTemplateFolder, TheFileComesBeforeTheConfig) {
  put("chat_template.jinja", "file");
  put("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(render(), "file");
}

TEST_F(ChatTemplateFolder, TheConfigMayHoldATextOrAList) {
  put("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(render(), "config");
  put("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "no"},
                                                     {"name": "default", "template": "yes"}]})");
  EXPECT_EQ(render(), "yes");
}

TEST_F(ChatTemplateFolder, SpecialTokensAreVariables) {
  put("chat_template.jinja", "{{ bos_token }}{{ eos_token }}{{ pad_token }}");
  put("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_bos_token": true})");
  put("special_tokens_map.json", R"({"bos_token": "ignored", "pad_token": "<p>"})");
  EXPECT_EQ(render(), "<s></s><p>");
}

TEST_F(ChatTemplateFolder, WithoutATemplateTheErrorSaysWhatToDo) {
  EXPECT_THROW(
      {
        try {
          render();
        } catch (const DataError& error) {
          EXPECT_THAT(error.what(), HasSubstr("no chat template: expected chat_template.jinja"));
          throw;
        }
      },
      DataError);
}

TEST_F(ChatTemplateFolder, ADamagedConfigIsNamed) {
  put("tokenizer_config.json", "{\"chat_template\": 5}");
  EXPECT_THROW(render(), DataError);
  put("tokenizer_config.json", "[]");
  EXPECT_THROW(render(), DataError);
  put("tokenizer_config.json", "{\"chat_template\": \"x");
  EXPECT_THROW(render(), DataError);
}

}  // namespace
}  // namespace speculators
