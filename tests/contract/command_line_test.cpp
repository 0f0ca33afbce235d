// The program as a user meets it: exit codes, help, did-you-mean. Runs the built binary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string text;  // stdout and stderr together
};

Outcome run(const std::string& arguments) {
  Outcome outcome;
  FILE* pipe = ::popen((std::string(SPECULATORS_BINARY) + " " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.text.append(buffer.data(), count);
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

TEST(CommandLine, HelpListsTheCommands) {
  const Outcome outcome = run("--help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.text, HasSubstr("prepare-data"));
}

TEST(CommandLine, VersionIsPrinted) { EXPECT_THAT(run("--version").text, ::testing::StartsWith("speculators ")); }

TEST(CommandLine, UnknownCommandSuggestsTheNearest) {
  const Outcome outcome = run("prepare-dta");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.text, HasSubstr("did you mean prepare-data?"));
}

TEST(CommandLine, UnknownFlagSuggestsTheNearest) {
  const Outcome outcome = run("evaluate --max-token 3");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.text, HasSubstr("did you mean --max-tokens"));
}

TEST(CommandLine, BadNumberNamesTheFlag) {
  const Outcome outcome = run("evaluate --max-tokens many");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.text, HasSubstr("--max-tokens: expected a whole number, found 'many'"));
}

TEST(CommandLine, DumpedConfigReadsBack) {
  const std::string file = ::testing::TempDir() + "/dumped.yaml";
  ASSERT_EQ(run("evaluate --max-tokens 77 --dump-config > " + file).exit_code, 0);
  EXPECT_THAT(run("evaluate --config " + file + " --dump-config").text, HasSubstr("max-tokens: 77"));
}

TEST(CommandLine, FlagWinsOverConfigFile) {
  const std::string file = ::testing::TempDir() + "/flag_wins.yaml";
  ASSERT_EQ(run("evaluate --max-tokens 77 --dump-config > " + file).exit_code, 0);
  EXPECT_THAT(run("evaluate --max-tokens 5 --config " + file + " --dump-config").text, HasSubstr("max-tokens: 5"));
}

TEST(CommandLine, UnknownConfigKeyNamesFileAndLine) {
  const std::string file = ::testing::TempDir() + "/unknown.yaml";
  FILE* out = std::fopen(file.c_str(), "w");
  std::fputs("evaluate:\n  max_tokns: 3\n", out);
  std::fclose(out);
  const Outcome outcome = run("evaluate --config " + file);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.text, HasSubstr("unknown.yaml: line 2: max_tokns: unknown option; did you mean max-tokens"));
}

}  // namespace
