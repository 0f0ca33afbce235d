#include "tokenizer/post_processor.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::ElementsAre;

constexpr const char* kTemplate = R"({"type":"TemplateProcessing",
    "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
              {"SpecialToken":{"id":"<e>","type_id":0}}],
    "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},
                                "<e>":{"id":"<e>","ids":[2,3],"tokens":["<","e>"]}}})";

std::vector<int32_t> apply(std::string_view json, bool add_special_tokens = true) {
  return PostProcessor::parse(Json::parse(json), "t.json: post_processor").apply({7, 8}, add_special_tokens);
}

TEST(PostProcessor, AddsNothingWhenTheFileHasNone) { EXPECT_THAT(apply("null"), ElementsAre(7, 8)); }

TEST(PostProcessor, FollowsTheTemplate) {
  EXPECT_THAT(apply(kTemplate), ElementsAre(1, 7, 8, 2, 3));
  EXPECT_THAT(apply(kTemplate, false), ElementsAre(7, 8));
}

TEST(PostProcessor, FramesAsBertDoes) {
  EXPECT_THAT(apply(R"({"type":"BertProcessing","sep":["s",9],"cls":["c",5]})"), ElementsAre(5, 7, 8, 9));
  EXPECT_THAT(apply(R"({"type":"RobertaProcessing","sep":["s",9],"cls":["c",5],"trim_offsets":true})", false),
              ElementsAre(7, 8));
}

TEST(PostProcessor, SkipsWhatOnlyMovesOffsets) {
  EXPECT_THAT(apply(std::string(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},)") + kTemplate + "]}"),
              ElementsAre(1, 7, 8, 2, 3));
}

TEST(PostProcessor, RefusesDamage) {
  const std::string text = kTemplate;
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    return changed.replace(changed.find(from), from.size(), to);
  };
  for (const std::string& json :
       {std::string("3"), std::string(R"({"type":"Other"})"), replaced("[1]", "[-1]"), replaced("[1]", "7"),
        replaced(R"("id":"A")", R"("id":"B")"), replaced(R"("<s>":{"id")", R"("<t>":{"id")"),
        R"({"type":"Sequence","processors":[)" + text + "," + text + "]}", std::string(R"({"type":"Sequence"})"),
        std::string(R"({"type":"BertProcessing","sep":["s"],"cls":["c",5]})")}) {
    EXPECT_THROW(apply(json), DataError) << json;
  }
}

}  // namespace
}  // namespace speculators
