#include "train/metric_loggers.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "train/scratch_folder.h"

namespace speculators {
namespace {

using testing::HasSubstr;

TEST(JsonLinesLogger, WritesOneObjectPerStep) {
  const ScratchFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  const auto logger = make_json_lines_logger(path, 0);
  logger->log(1, {{"train/loss", 1.5}, {"lr", 0.25}});
  logger->log(2, {{"train/loss", NAN}});
  EXPECT_EQ(read_file(path), "{\"step\":1,\"lr\":0.25,\"train/loss\":1.5}\n{\"step\":2,\"train/loss\":null}\n");
}

TEST(JsonLinesLogger, ResumingCutsTheLinesThatWillBeWrittenAgain) {
  const ScratchFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  write_file(path, "{\"step\":1,\"x\":1.0}\n{\"step\":2,\"x\":2.0}\n{\"step\":3,\"x\"");
  make_json_lines_logger(path, 2)->log(2, {{"x", 5}});
  EXPECT_EQ(read_file(path), "{\"step\":1,\"x\":1.0}\n{\"step\":2,\"x\":5.0}\n");
}

TEST(JsonLinesLogger, AValidationThatWillBeRepeatedIsCutOff) {
  const ScratchFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  write_file(path, "{\"step\":1,\"train/loss\":1.0}\n{\"step\":1,\"val/loss_epoch\":2.0}\n");
  make_json_lines_logger(path, 2, /*validated=*/false)->log(1, {{"val/loss_epoch", 2}});
  EXPECT_EQ(read_file(path), "{\"step\":1,\"train/loss\":1.0}\n{\"step\":1,\"val/loss_epoch\":2.0}\n");
}

TEST(TensorboardLogger, WritesAnEventFileIntoTheFolder) {
  const ScratchFolder folder;
  const auto logger = make_tensorboard_logger(folder.path() / "run");
  logger->log(1, {{"train/loss", 1.5}});
  const auto file = *fs::directory_iterator(folder.path() / "run");
  EXPECT_THAT(read_file(file.path()), HasSubstr("train/loss"));
}

TEST(ShortNumber, SwitchesToScientificAtTheEnds) {
  EXPECT_EQ(short_number(0.12345), "0.123");
  EXPECT_EQ(short_number(0), "0.000");
  EXPECT_EQ(short_number(-0.00012345), "-1.23e-04");
  EXPECT_EQ(short_number(12345), "1.23e+04");
}

TEST(RunName, FillsPlaceholders) {
  EXPECT_THAT(expand_run_name("a-{rank}-{time}"), testing::MatchesRegex("a-0-20[0-9-]+_[0-9-]+"));
  EXPECT_THAT(expand_run_name(""), testing::MatchesRegex("20[0-9-]+_[0-9-]+"));
}

TEST(RunName, RejectsAnotherPlaceholder) {
  EXPECT_THAT([] { expand_run_name("{step}"); }, testing::ThrowsMessage<UsageError>(HasSubstr("got '{step}'")));
}

}  // namespace
}  // namespace speculators
