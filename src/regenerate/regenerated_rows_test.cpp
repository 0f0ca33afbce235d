#include "regenerate/regenerated_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/errors.h"

namespace speculators {
namespace {

class RegeneratedRowsTest : public ::testing::Test {
 protected:
  // A folder of its own: ctest runs the tests as processes side by side.
  RegeneratedRowsTest()
      : outfile_(fs::path(::testing::TempDir()) / ("regenerated_" + std::to_string(::getpid())) / "out.jsonl") {}
  ~RegeneratedRowsTest() override { fs::remove_all(outfile_.parent_path()); }
  fs::path outfile_;
};

TEST_F(RegeneratedRowsTest, RowsComeOutInInputOrder) {
  RegeneratedRows rows(outfile_, "s", false);
  rows.add(1, {"{\"b\":1}"});
  rows.add(0, {"{\"a\":1}"});
  rows.add(2, {});
  rows.finish();
  EXPECT_EQ(read_file(outfile_), "{\"a\":1}\n{\"b\":1}\n");
  EXPECT_FALSE(fs::exists(outfile_.string() + ".partial"));
}

TEST_F(RegeneratedRowsTest, HalfWrittenConversationIsForgotten) {
  { RegeneratedRows(outfile_, "s", false).add(0, {"{\"a\":1}"}); }
  const std::string whole = read_file(outfile_.string() + ".partial");
  write_file(outfile_.string() + ".partial", whole + "{\"b\":1}\n{\"b\"");
  RegeneratedRows rows(outfile_, "s", false);
  EXPECT_EQ(rows.num_done(), 1);
  rows.add(1, {"{\"b\":2}"});
  rows.finish();
  EXPECT_EQ(read_file(outfile_), "{\"a\":1}\n{\"b\":2}\n");
}

TEST_F(RegeneratedRowsTest, NothingIsLeftBeforeTheFirstConversation) {
  { RegeneratedRows(outfile_, "s", false).add(1, {"{\"b\":1}"}); }
  EXPECT_FALSE(fs::exists(outfile_.string() + ".partial"));
}

TEST_F(RegeneratedRowsTest, ErrorsOfAStoppedRunAreKept) {
  {
    RegeneratedRows rows(outfile_, "s", false);
    rows.add_failed(0, "{\"id\":\"a\"}");
    rows.add(1, {"{\"b\":1}"});
  }
  RegeneratedRows rows(outfile_, "s", false);
  EXPECT_THAT(rows.errors(), testing::ElementsAre("{\"id\":\"a\"}"));
  rows.add_failed(2, "{\"id\":\"c\"}");
  rows.finish();
  EXPECT_EQ(read_file(outfile_), "{\"b\":1}\n");
  EXPECT_EQ(read_file(outfile_.string() + ".errors.jsonl"), "{\"id\":\"a\"}\n{\"id\":\"c\"}\n");
}

// Killed while the final files are written: every row is on the disk, none of the files is trusted.
TEST_F(RegeneratedRowsTest, AKillBehindTheLastRowIsMadeGood) {
  { RegeneratedRows(outfile_, "s", false).add(0, {"{\"a\":1}"}); }
  const fs::path partial = outfile_.string() + ".partial";
  write_file(partial, read_file(partial) + "#error {\"id\":\"b\"}\n#done 1\n#complete\n");
  write_file(outfile_.parent_path() / ".out.jsonl.tmp-999999999", "half");
  EXPECT_TRUE(finish_killed_run(outfile_));
  EXPECT_EQ(read_file(outfile_), "{\"a\":1}\n");
  EXPECT_EQ(read_file(outfile_.string() + ".errors.jsonl"), "{\"id\":\"b\"}\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(outfile_.parent_path()), fs::directory_iterator()), 2);
}

TEST_F(RegeneratedRowsTest, AnUnfinishedRunIsNotCompleted) {
  { RegeneratedRows(outfile_, "s", false).add(0, {"{\"a\":1}"}); }
  EXPECT_FALSE(finish_killed_run(outfile_));
  EXPECT_EQ(RegeneratedRows(outfile_, "s", false).num_done(), 1);
}

TEST_F(RegeneratedRowsTest, OtherSettingsAreRefused) {
  { RegeneratedRows(outfile_, "temperature 0", false).add(0, {"{}"}); }
  EXPECT_THROW(RegeneratedRows(outfile_, "temperature 1", false), UsageError);
  EXPECT_EQ(RegeneratedRows(outfile_, "temperature 1", true).num_done(), 0);
}

}  // namespace
}  // namespace speculators
