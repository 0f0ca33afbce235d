#include "train/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/errors.h"
#include "train/fake_training.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : optimisers_(make_optimisers(draft_.parameters(), {})),
        writer_({.save_path = path(), .save_for_serving = [this](const fs::path& to) { save_(to); }, .notes = {}}) {}

  fs::path path() const { return folder_.path() / "run"; }
  static TrainingPosition at(int64_t epoch, int64_t step, bool finished = true) {
    TrainingPosition position;
    position.epoch = epoch;
    position.global_step = step;
    position.local_step = step;
    position.epoch_finished = finished;
    return position;
  }
  void save(const TrainingPosition& position) { writer_.save_epoch(position, draft_, optimisers_); }

  ScratchFolder folder_;
  FakeDraft draft_;
  Optimisers optimisers_;
  std::function<void(const fs::path&)> save_ = [this](const fs::path& to) {
    write_tensors(to / "model.safetensors", serving_tensors(draft_.saved_tensors()));
  };
  CheckpointWriter writer_;
};

TEST_F(CheckpointTest, ServesInBf16AndResumesInFp32) {
  save(at(0, 5));
  EXPECT_EQ(TensorFile::open(path() / "0" / "model.safetensors").get("fc.weight").dtype, DType::kBF16);
  EXPECT_EQ(TensorFile::open(path() / "0" / "training_state.tensors").get("master.fc.weight").dtype, DType::kF32);
}

// vLLM takes every *.safetensors of a folder for weights and refuses what it does not know.
TEST_F(CheckpointTest, OnlyTheModelIsASafetensorsFile) {
  save(at(0, 5));
  for (const auto& entry : fs::directory_iterator(path() / "0")) {
    const fs::path name = entry.path().filename();
    if (name.extension() == ".safetensors") EXPECT_EQ(name, "model.safetensors");
  }
}

TEST_F(CheckpointTest, StateComesBackExactly) {
  const torch::NoGradGuard no_grad;
  draft_.parameters()[0].value.fill_(1.0 / 3);
  optimisers_[0]->state()[0].value.fill_(1.0 / 7);
  optimisers_[0]->set_num_steps(300);
  save(at(0, 300));
  draft_.parameters()[0].value.zero_();
  optimisers_[0]->state()[0].value.zero_();
  optimisers_[0]->set_num_steps(0);
  load_training_state(path() / "0", draft_, optimisers_);
  EXPECT_EQ(draft_.parameters()[0].value[0][0].item<float>(), 1.0f / 3);
  EXPECT_EQ(optimisers_[0]->state()[0].value[0][0].item<float>(), 1.0f / 7);
  EXPECT_EQ(optimisers_[0]->num_steps(), 300);
}

TEST_F(CheckpointTest, TheNewestStateWins) {
  save(at(0, 5));
  save(at(1, 9));
  EXPECT_EQ(find_resume_point(path())->folder, path() / "1");
  writer_.save_aside(CheckpointWriter::kInterrupted, at(2, 12, false), draft_, optimisers_);
  EXPECT_EQ(find_resume_point(path())->folder, path() / "interrupted");
}

TEST_F(CheckpointTest, AnEpochReplacesTheInterruptedState) {
  writer_.save_aside(CheckpointWriter::kInterrupted, at(0, 3, false), draft_, optimisers_);
  save(at(0, 5));
  EXPECT_FALSE(fs::exists(path() / "interrupted"));
}

TEST_F(CheckpointTest, AnEpochHasOneLink) {
  save(at(0, 3, false));
  EXPECT_EQ(fs::read_symlink(path() / "epoch0_step3"), "0");
  save(at(0, 5));
  EXPECT_EQ(fs::read_symlink(path() / "epoch0_end"), "0");
  EXPECT_FALSE(fs::exists(fs::symlink_status(path() / "epoch0_step3")));
}

TEST_F(CheckpointTest, AFinishedEpochWithoutFiguresIsNotValidated) {
  save(at(0, 5));
  EXPECT_FALSE(find_resume_point(path())->validated);
  writer_.write_validation(0, {{"loss_epoch", 2.0}});
  EXPECT_TRUE(find_resume_point(path())->validated);
}

TEST_F(CheckpointTest, TheResumePointKnowsItsValidationLoss) {
  save(at(0, 5));
  writer_.write_validation(0, {{"loss_epoch", 2.0}});
  EXPECT_EQ(find_resume_point(path())->loss, 2.0);
}

TEST_F(CheckpointTest, TemporariesInsideAnEpochAreRemoved) {
  save(at(0, 5));
  write_file(path() / "0" / ".val_metrics.json.tmp-123", "half");
  find_resume_point(path());
  EXPECT_FALSE(fs::exists(path() / "0" / ".val_metrics.json.tmp-123"));
}

TEST_F(CheckpointTest, AFreshFolderHasNothingToResume) { EXPECT_FALSE(find_resume_point(path())); }

TEST_F(CheckpointTest, EpochsOfAnotherProgramAreNamed) {
  make_folders(path() / "0");
  EXPECT_THAT([&] { find_resume_point(path()); },
              ThrowsMessage<DataError>(HasSubstr("did another program write them?")));
}

// Killed while the second epoch's folder is half written: the first one is what is found.
TEST_F(CheckpointTest, AKillWhileWritingLeavesTheOlderState) {
  save(at(0, 5));
  const pid_t child = ::fork();
  if (child == 0) {
    save_ = [](const fs::path& to) {
      write_file(to / "model.safetensors", "half");
      ::raise(SIGKILL);
    };
    save(at(1, 9));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(find_resume_point(path())->folder, path() / "0");
  for (const auto& entry : fs::directory_iterator(path())) EXPECT_NE(entry.path().filename().string()[0], '.');
}

// Killed between the two renames of a replacement: the old folder stands aside under a temporary name.
TEST_F(CheckpointTest, AKillWhileReplacingBringsTheOldStateBack) {
  save(at(0, 5));
  fs::rename(path() / "0", path() / ".0.old.tmp-123");
  const auto point = find_resume_point(path());
  ASSERT_TRUE(point);
  EXPECT_EQ(point->folder, path() / "0");
  EXPECT_TRUE(has_training_state(path() / "0"));
}

TEST_F(CheckpointTest, KeepOnlyLeavesForeignFolders) {
  save(at(0, 5));
  save(at(1, 9));
  make_folders(path() / "7");
  writer_.keep_only(1);
  EXPECT_FALSE(fs::exists(path() / "0"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(path() / "epoch0_end")));
  EXPECT_TRUE(fs::exists(path() / "7"));
}

TEST_F(CheckpointTest, AnotherOptimiserCannotResume) {
  save(at(0, 5));
  const auto other = make_optimisers(draft_.parameters(), {.optimiser = "adamw"});
  EXPECT_THAT([&] { load_training_state(path() / "0", draft_, other); },
              ThrowsMessage<DataError>(HasSubstr("adamw.first_moment.fc.weight: missing")));
}

TEST_F(CheckpointTest, AStateOfAnotherVersionIsRefused) {
  save(at(0, 5));
  write_file(path() / "0" / "training_state.json", "{\"version\": 9}");
  EXPECT_THAT([&] { find_resume_point(path()); }, ThrowsMessage<DataError>(HasSubstr("version: expected 1, found 9")));
}

TEST_F(CheckpointTest, ATruncatedStateIsRefused) {
  save(at(0, 5));
  const auto file = path() / "0" / "training_state.tensors";
  fs::resize_file(file, fs::file_size(file) - 8);
  EXPECT_THROW(load_training_state(path() / "0", draft_, optimisers_), DataError);
}

}  // namespace
}  // namespace speculators
