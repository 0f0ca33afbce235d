// The house rules that a compiler does not check: which folder may include which, where libtorch may appear, file
// sizes. The table is the one in docs/architecture.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"

namespace speculators {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"kernels", {"base"}},
    {"nn", {"base"}},
    {"checkpoint", {"base"}},
    {"tokenizer", {"base"}},
    {"openai", {"base"}},
    {"data", {"base", "checkpoint", "tokenizer", "openai"}},
    {"verifier", {"base", "kernels", "checkpoint"}},
    {"draft", {"base", "kernels", "nn", "checkpoint"}},
    {"hidden_states", {"base", "kernels", "checkpoint", "tokenizer", "data", "verifier", "openai"}},
    {"engine", {"base", "kernels", "checkpoint", "verifier", "draft"}},
    {"regenerate",
     {"base", "kernels", "checkpoint", "tokenizer", "openai", "data", "verifier", "draft", "hidden_states", "engine"}},
    {"train", {"base", "nn", "checkpoint", "tokenizer", "data", "hidden_states", "draft"}},
    {"serve", {"base", "kernels", "tokenizer", "openai", "data", "engine", "verifier", "draft"}},
    {"evaluate",
     {"base", "kernels", "checkpoint", "tokenizer", "openai", "data", "engine", "verifier", "draft", "hidden_states"}},
    {"cli",
     {"base", "kernels", "checkpoint", "tokenizer", "openai", "data", "verifier", "draft", "hidden_states",
      "regenerate", "train", "engine", "serve", "evaluate"}},
};

const fs::path kSource = fs::path(SPECULATORS_SOURCE_DIR) / "src";

std::vector<fs::path> source_files(const fs::path& root) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cpp" || extension == ".cu") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string folder_of(const fs::path& file) { return fs::relative(file, kSource).begin()->string(); }

std::vector<std::string> includes_of(const fs::path& file, const std::regex& pattern) {
  std::vector<std::string> found;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) found.push_back(match[1]);
  }
  return found;
}

bool is_test(const fs::path& file) { return file.stem().string().ends_with("_test"); }

TEST(Includes, FollowTheDependencyTable) {
  const std::regex quoted(R"re(^\s*#\s*include\s*"([^"]+)")re");
  std::vector<std::string> broken;
  for (const fs::path& file : source_files(kSource)) {
    const std::string folder = folder_of(file);
    ASSERT_TRUE(kMayInclude.contains(folder)) << folder << " has no row in the dependency table";
    for (const std::string& include : includes_of(file, quoted)) {
      const std::string target = include.substr(0, include.find('/'));
      const bool test_support = is_test(file) && include.starts_with("tests/");
      if (target != folder && !test_support && !kMayInclude.at(folder).contains(target)) {
        broken.push_back(fs::relative(file, kSource).string() + " includes " + include);
      }
    }
  }
  EXPECT_THAT(broken, IsEmpty());
}

TEST(Includes, SiblingAlgorithmsStayApart) {
  const std::regex quoted(R"re(^\s*#\s*include\s*"draft/([a-z0-9]+)/[^"]+")re");
  const std::set<std::string> shared = {"block", "chain", "training"};
  std::vector<std::string> broken;
  for (const fs::path& file : source_files(kSource / "draft")) {
    const fs::path inside = fs::relative(file, kSource / "draft");
    if (!inside.has_parent_path()) continue;  // the registry knows them all
    const std::string algorithm = inside.begin()->string();
    for (const std::string& target : includes_of(file, quoted)) {
      if (target != algorithm && !shared.contains(target)) broken.push_back(inside.string() + " includes " + target);
    }
  }
  EXPECT_THAT(broken, IsEmpty());
}

// Files that may use libtorch: everything else starts without it.
bool may_use_torch(const fs::path& file) {
  const std::string path = fs::relative(file, kSource).string();
  static const std::regex training(
      R"re(^(nn|train)/|^draft/.*(trainable|targets|train_batch)|/training/|^cli/train)re");
  return std::regex_search(path, training);
}

TEST(Includes, TorchStaysInTraining) {
  const std::regex torch(R"re(^\s*#\s*include\s*[<"]((torch|ATen|c10)/[^>"]+)[>"])re");
  std::vector<std::string> broken;
  for (const fs::path& file : source_files(kSource)) {
    for (const std::string& include : includes_of(file, torch)) {
      if (!may_use_torch(file) || include == "torch/torch.h")
        broken.push_back(fs::relative(file, kSource).string() + " includes " + include);
    }
  }
  EXPECT_THAT(broken, IsEmpty());
}

TEST(Files, StayShortEnoughToRead) {
  std::vector<std::string> broken;
  for (const char* folder : {"src", "tests", "tools", "benchmarks"}) {
    for (const fs::path& file : source_files(fs::path(SPECULATORS_SOURCE_DIR) / folder)) {
      std::ifstream stream(file);
      const auto lines = std::count(std::istreambuf_iterator<char>(stream), {}, '\n');
      if (lines > (is_test(file) ? 600 : 500))
        broken.push_back(file.string() + ": " + std::to_string(lines) + " lines");
    }
  }
  EXPECT_THAT(broken, IsEmpty());
}

TEST(Files, ContractTestsSeeTheTree) { EXPECT_THAT(source_files(kSource), SizeIs(::testing::Gt(50u))); }

}  // namespace
}  // namespace speculators
