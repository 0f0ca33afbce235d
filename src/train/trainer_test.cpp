#include "train/trainer.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "base/errors.h"
#include "base/json.h"
#include "base/progress.h"
#include "train/fake_training.h"

namespace speculators {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

// "step loss norm" of every training line, exact.
std::vector<std::string> curve(const fs::path& folder) {
  std::vector<std::string> lines;
  std::istringstream file(read_file(folder / "metrics.jsonl"));
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line);
    if (!json.contains("train/loss")) continue;
    lines.push_back(json["step"].dump() + " " + json["train/loss"].dump() + " " + json["train/gradient_norm"].dump());
  }
  return lines;
}

double validation_loss(const fs::path& folder, int64_t epoch) {
  return read_json(folder / std::to_string(epoch) / "val_metrics.json").at("loss_epoch").get<double>();
}

// Runs in a process of its own, so that signals end that one. Returns its wait status.
int run_in_child(const fs::path& folder, const FakeRunOptions& options) {
  const pid_t child = ::fork();
  if (child == 0) {
    install_stop_handlers();
    try {
      run_fake_training(folder, options);
    } catch (const Interrupted&) {
      ::_exit(130);
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

auto raise_at(int64_t step, int signal) {
  return [=](const StepReport& report) {
    if (report.step == step) ::raise(signal);
  };
}

TEST(Trainer, TheLossFalls) {
  const ScratchFolder folder;
  std::vector<double> losses;
  run_fake_training(folder.path(), {.trainer = {.epochs = 6},
                                    .on_step = [&](const StepReport& report) { losses.push_back(report.loss); }});
  EXPECT_LT(losses.back(), 0.5 * losses.front());
}

TEST(Trainer, LeavesOneFolderPerEpochWithItsLinks) {
  const ScratchFolder folder;
  run_fake_training(folder.path(), {});
  for (const char* file :
       {"model.safetensors", "training_state.json", "training_state.tensors", "val_metrics.json", "run.yaml"}) {
    EXPECT_TRUE(fs::exists(folder.path() / "0" / file)) << file;
    EXPECT_TRUE(fs::exists(folder.path() / "1" / file)) << file;
  }
  EXPECT_EQ(fs::read_symlink(folder.path() / "epoch1_end"), "1");
  const bool second_is_better = validation_loss(folder.path(), 1) < validation_loss(folder.path(), 0);
  EXPECT_EQ(fs::read_symlink(folder.path() / "checkpoint_best"), second_is_better ? "1" : "0");
}

TEST(Trainer, ARunGivesTheSameCurveTwice) {
  const ScratchFolder first, second;
  run_fake_training(first.path(), {});
  run_fake_training(second.path(), {});
  EXPECT_EQ(curve(first.path()), curve(second.path()));
}

// Killed without warning in the middle of the second epoch; the last state is that of the first epoch's end.
TEST(Trainer, AfterAKillTheCurveIsBitEqual) {
  for (const char* optimiser : {"muon", "adamw"}) {
    const ScratchFolder whole, killed;
    const FakeRunOptions options{.optimiser = optimiser};
    run_fake_training(whole.path(), options);
    const auto steps = static_cast<int64_t>(curve(whole.path()).size());
    FakeRunOptions dies = options;
    dies.on_step = raise_at(steps - 2, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(run_in_child(killed.path(), dies)));
    run_fake_training(killed.path(), options);
    EXPECT_EQ(curve(killed.path()), curve(whole.path())) << optimiser;
    EXPECT_EQ(validation_loss(killed.path(), 1), validation_loss(whole.path(), 1)) << optimiser;
  }
}

TEST(Trainer, GoesOnInsideAnEpochFromASubEpochCheckpoint) {
  const ScratchFolder whole, killed;
  FakeRunOptions options{.trainer = {.epochs = 1, .checkpoint_freq = 0.25}};
  run_fake_training(whole.path(), options);
  FakeRunOptions dies = options;
  dies.on_step = raise_at(6, SIGKILL);
  ASSERT_TRUE(WIFSIGNALED(run_in_child(killed.path(), dies)));
  EXPECT_THAT(find_resume_point(killed.path())->position.next_batch, testing::Gt(0));
  run_fake_training(killed.path(), options);
  EXPECT_EQ(curve(killed.path()), curve(whole.path()));
}

TEST(Trainer, ASignalSavesAndTheNextRunGoesOnFromThere) {
  const ScratchFolder whole, stopped;
  run_fake_training(whole.path(), {});
  const int status = run_in_child(stopped.path(), {.on_step = raise_at(5, SIGTERM)});
  ASSERT_EQ(WEXITSTATUS(status), 130);
  EXPECT_EQ(find_resume_point(stopped.path())->folder.filename(), "interrupted");
  EXPECT_EQ(curve(stopped.path()).size(), 5u);
  run_fake_training(stopped.path(), {});
  EXPECT_EQ(curve(stopped.path()), curve(whole.path()));
  EXPECT_FALSE(fs::exists(stopped.path() / "interrupted"));
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    names.push_back(entry.is_symlink() ? name + " -> " + fs::read_symlink(entry.path()).string() : name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Killed behind the last epoch's folder, once before its link and once before `checkpoint_best`.
TEST(Trainer, LinksThatAKillPreventedAreMade) {
  const ScratchFolder folder;
  run_fake_training(folder.path(), {});
  const auto names = names_in(folder.path());
  const std::string metrics = read_file(folder.path() / "metrics.jsonl");
  ASSERT_LT(validation_loss(folder.path(), 1), validation_loss(folder.path(), 0));
  fs::remove(folder.path() / "checkpoint_best");
  fs::create_symlink("0", folder.path() / "checkpoint_best");
  run_fake_training(folder.path(), {});
  EXPECT_EQ(names_in(folder.path()), names);
  fs::remove(folder.path() / "epoch1_end");
  fs::remove(folder.path() / "1" / "val_metrics.json");
  run_fake_training(folder.path(), {});
  EXPECT_EQ(names_in(folder.path()), names);
  EXPECT_EQ(read_file(folder.path() / "metrics.jsonl"), metrics);
}

// The second epoch is worse than the first, and the run is killed between them.
TEST(Trainer, AResumedRunKnowsTheBestLossOfItsEpoch) {
  const ScratchFolder folder;
  run_fake_training(folder.path(), {.trainer = {.epochs = 1}});
  write_json(folder.path() / "0" / "val_metrics.json", {{"loss_epoch", 1e-9}});
  run_fake_training(folder.path(), {});
  EXPECT_EQ(fs::read_symlink(folder.path() / "checkpoint_best"), "0");
}

TEST(Trainer, AKillBeforeTheValidationBehindMaxStepsIsMadeGood) {
  const ScratchFolder folder;
  const FakeRunOptions few{.trainer = {.epochs = 2, .max_steps = 3}};
  run_fake_training(folder.path(), few);
  fs::remove(folder.path() / "0" / "val_metrics.json");
  run_fake_training(folder.path(), few);
  EXPECT_TRUE(fs::exists(folder.path() / "0" / "val_metrics.json"));
}

TEST(Trainer, AFinishedRunStaysAsItIs) {
  const ScratchFolder folder;
  run_fake_training(folder.path(), {});
  const auto before = curve(folder.path());
  run_fake_training(folder.path(), {});
  EXPECT_EQ(curve(folder.path()), before);
}

TEST(Trainer, MaxStepsEndsTrainingAndALongerRunGoesOn) {
  const ScratchFolder whole, parts;
  run_fake_training(whole.path(), {});
  FakeRunOptions few{.trainer = {.epochs = 2, .max_steps = 3}};
  EXPECT_EQ(run_fake_training(parts.path(), few).global_step, 3);
  EXPECT_EQ(curve(parts.path()).size(), 3u);
  EXPECT_TRUE(fs::exists(parts.path() / "0" / "val_metrics.json"));
  run_fake_training(parts.path(), {});
  EXPECT_EQ(curve(parts.path()), curve(whole.path()));
}

TEST(Trainer, AccumulationAveragesTheRowsOfAnUpdate) {
  const ScratchFolder single, pairs;
  std::vector<double> one, two;
  FakeRunOptions options{.trainer = {.epochs = 1, .max_steps = 2}};
  options.on_step = [&](const StepReport& report) { one.push_back(report.loss); };
  run_fake_training(single.path(), options);
  options.trainer.gradient_accumulation = 2;
  options.trainer.max_steps = 1;
  options.on_step = [&](const StepReport& report) { two.push_back(report.loss); };
  run_fake_training(pairs.path(), options);
  EXPECT_DOUBLE_EQ(two.at(0), (one.at(0) + one.at(1)) / 2);  // the first update has rate 0
}

TEST(Trainer, ANonFiniteLossStopsItNamingStepAndSamples) {
  const ScratchFolder folder;
  EXPECT_THAT(([&] { run_fake_training(folder.path(), {.poison = 3}); }),
              ThrowsMessage<DataError>(
                  testing::AllOf(HasSubstr("training step "), HasSubstr("found loss nan"), HasSubstr("3"))));
}

TEST(Trainer, SaveBestKeepsOneEpochAndWhatIsNotIts) {
  const ScratchFolder folder;
  make_folders(folder.path());
  write_file(folder.path() / "notes.txt", "mine");
  run_fake_training(folder.path(), {.trainer = {.epochs = 4, .save_best = true}});
  std::vector<std::string> epochs;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos) epochs.push_back(name);
  }
  ASSERT_EQ(epochs.size(), 1u);
  EXPECT_EQ(fs::read_symlink(folder.path() / "checkpoint_best"), epochs[0]);
  EXPECT_TRUE(fs::exists(folder.path() / "notes.txt"));
  EXPECT_TRUE(fs::exists(folder.path() / "metrics.jsonl"));
}

TEST(Trainer, LogsValidationUnderItsOwnNames) {
  const ScratchFolder folder;
  run_fake_training(folder.path(), {});
  EXPECT_THAT(read_file(folder.path() / "metrics.jsonl"),
              testing::AllOf(HasSubstr("\"val/full_acc_0_epoch\":0.5"),
                             HasSubstr("\"val/estimated_acceptance_length_epoch\":1.5"), HasSubstr("\"lr/Muon\":"),
                             HasSubstr("\"profile/tokens_per_s\":")));
}

TEST(Trainer, RejectsAFractionAboveOneAsCheckpointFrequency) {
  const ScratchFolder folder;
  EXPECT_THAT(([&] { run_fake_training(folder.path(), {.trainer = {.checkpoint_freq = 1.5}}); }),
              ThrowsMessage<UsageError>(HasSubstr("checkpoint-freq: expected a whole number")));
}

}  // namespace
}  // namespace speculators
