#include "base/leftovers.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace speculators {
namespace {

class Leftovers : public testing::Test {
 protected:
  Leftovers() : folder_(fs::path(testing::TempDir()) / ("leftovers_" + std::to_string(::getpid()))) {
    make_folders(folder_);
  }
  ~Leftovers() override { fs::remove_all(folder_); }
  // The number of a process that has ended.
  static std::string ended_process() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    return std::to_string(child);
  }
  fs::path folder_;
};

TEST_F(Leftovers, OfAnEndedProcessGo) {
  const std::string process = ended_process();
  write_file(folder_ / (".a.jsonl.tmp-" + process), "half");
  make_folders(folder_ / (".a.jsonl.old.tmp-" + process) / "inner");
  remove_leftovers(folder_ / "a.jsonl");
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Leftovers, OfARunningProcessStay) {
  const fs::path file = folder_ / (".a.jsonl.tmp-" + std::to_string(::getppid()));
  write_file(file, "in work");
  remove_leftovers(folder_ / "a.jsonl");
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(Leftovers, OfEveryNameInAFolderGo) {
  const std::string process = ended_process();
  write_file(folder_ / (".a.jsonl.tmp-" + process), "half");
  write_file(folder_ / (".b.jsonl.tmp-" + process), "half");
  write_file(folder_ / "b.jsonl", "whole");
  write_file(folder_ / (".c.jsonl.tmp-" + std::to_string(::getppid())), "in work");
  remove_leftovers_in(folder_);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(Leftovers, OtherNamesStay) {
  const std::string process = ended_process();
  for (const char* name : {".b.jsonl.tmp-", "a.jsonl.tmp-", ".a.jsonl.tmp-x"}) {
    write_file(folder_ / (name + process), "theirs");
  }
  remove_leftovers(folder_ / "a.jsonl");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 3);
}

}  // namespace
}  // namespace speculators
