#include "data/row_source.h"

#include <gmock/gmock.h>

#include "data/tiny_model_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> prompts(const fs::path& source) {
  std::vector<std::string> texts;
  RowWarnings warnings;
  read_rows(source, warnings, [&](const DataRow& row) {
    texts.push_back(std::get<Conversation>(row).messages[0]["content"].get<std::string>());
  });
  return texts;
}

std::string error_of(const fs::path& source) {
  try {
    prompts(source);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(RowSource, ReadsOneObjectALine) {
  const TemporaryFolder folder;
  EXPECT_THAT(prompts(folder.put("a.jsonl", "{\"prompt\": \"a\"}\r\n\n  \n{\"prompt\": \"b\"}")),
              ElementsAre("a", "b"));
}

TEST(RowSource, ReadsAList) {
  const TemporaryFolder folder;
  EXPECT_THAT(prompts(folder.put("a.json", " [{\"prompt\": \"a, ] }\\\" \"},\n {\"prompt\": \"b\"}\n]\n")),
              ElementsAre("a, ] }\" ", "b"));
  EXPECT_THAT(prompts(folder.put("b.json", "[]")), IsEmpty());
}

TEST(RowSource, TellsListsFromLinesByTheirContent) {
  const TemporaryFolder folder;
  EXPECT_THAT(prompts(folder.put("lines.json", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n")), ElementsAre("a", "b"));
  EXPECT_THAT(prompts(folder.put("list.jsonl", "[{\"prompt\": \"a\"}]")), ElementsAre("a"));
}

TEST(RowSource, ReadsFoldersSortedByPath) {
  const TemporaryFolder folder;
  folder.put("rows/b.jsonl", "{\"prompt\": \"3\"}\n");
  folder.put("rows/a/x.json", "[{\"prompt\": \"2\"}]");
  folder.put("rows/a-b/x.jsonl",
             "{\"prompt\": \"1\"}\n");  // '-' sorts before '/'
  folder.put("rows/readme.txt", "not rows");
  EXPECT_THAT(prompts(folder / "rows"), ElementsAre("1", "2", "3"));
}

TEST(RowSource, AByteOrderMarkIsSkipped) {
  const TemporaryFolder folder;
  EXPECT_THAT(prompts(folder.put("a.jsonl", "\xEF\xBB\xBF{\"prompt\": \"a\"}\n")), ElementsAre("a"));
}

TEST(RowSource, ADamagedLineIsNamedByItsNumber) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder.put("a.jsonl", "{\"prompt\": \"a\"}\n\n{\"prompt\": \"b\n")),
              HasSubstr("a.jsonl:3: expected one JSON object a line, found "
                        "'{\"prompt\": \"b'"));
  EXPECT_THAT(error_of(folder.put("b.jsonl", "5\n")), HasSubstr("b.jsonl:1: expected one JSON object a line"));
}

TEST(RowSource, ADamagedListIsNamedByItsRow) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder.put("a.json", "[{\"prompt\": \"a\"}, {\"prompt\" \"b\"}]")),
              HasSubstr("a.json: row 1: expected one JSON object, found"));
}

TEST(RowSource, AListThatDoesNotEndIsRefused) {
  const TemporaryFolder folder;
  for (const char* text : {"[{\"prompt\": \"a\"}", "[{\"prompt\": \"a\"},", "[{\"prompt\": \"a\"}] x",
                           "[{\"prompt\": \"a\"}}", "[", "[{\"prompt\": \"a"}) {
    EXPECT_THAT(error_of(folder.put("a.json", text)), HasSubstr("a.json: ")) << text;
  }
}

TEST(RowSource, AnEmptyItemIsRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder.put("a.json", "[{\"prompt\": \"a\"}, , {\"prompt\": \"b\"}]")),
              HasSubstr("a.json: row 1: expected an object, found nothing"));
}

TEST(RowSource, OtherFilesAreRefusedWithTheirNames) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder / "nothing.jsonl"), HasSubstr("nothing.jsonl: no such file or folder"));
  EXPECT_THAT(error_of(folder.put("a.txt", "x")), HasSubstr("a.txt: expected a .jsonl or .json file"));
  folder.put("empty/readme.txt", "");
  EXPECT_THAT(error_of(folder / "empty"), HasSubstr("empty: expected .jsonl or .json files in the folder, found none"));
  EXPECT_THAT(error_of(folder.put("b.json", "\"x\"")), HasSubstr("b.json: expected a JSON list of rows"));
  EXPECT_THROW(RowSource("hf:org/data"), UsageError);
}

}  // namespace
}  // namespace speculators
