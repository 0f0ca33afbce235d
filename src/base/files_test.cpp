#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;

class Files : public ::testing::Test {
 protected:
  // A folder of its own: ctest runs the tests as processes side by side.
  Files() : folder_(fs::path(::testing::TempDir()) / ("files_test_" + std::to_string(::getpid()))) {
    make_folders(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(Files, WrittenContentComesBack) {
  write_file(folder_ / "a", "hello");
  EXPECT_EQ(read_file(folder_ / "a"), "hello");
}

TEST_F(Files, UncommittedFileLeavesNothing) {
  {
    AtomicFile file(folder_ / "a");
    file.write("half");
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Files, FailedFolderKeepsTheOldOne) {
  write_folder(folder_ / "out", [](const fs::path& at) { write_file(at / "x", "old"); });
  EXPECT_THROW(write_folder(folder_ / "out",
                            [](const fs::path& at) {
                              write_file(at / "x", "new");
                              throw DataError("halfway");
                            }),
               DataError);
  EXPECT_EQ(read_file(folder_ / "out" / "x"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}), 1);
}

TEST_F(Files, MissingFileNamesThePath) {
  try {
    read_file(folder_ / "missing.json");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing.json: cannot open"));
  }
}

TEST_F(Files, EmptyFileMapsToNoBytes) {
  write_file(folder_ / "empty", "");
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
}

}  // namespace
}  // namespace speculators
