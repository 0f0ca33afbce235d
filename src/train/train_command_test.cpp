#include "train/train_command.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "base/errors.h"
#include "base/options.h"
#include "base/progress.h"
#include "draft/convert/convert.h"
#include "draft/mtp/native_weights.h"
#include "draft/speculator.h"
#include "train/draft_setup.h"
#include "train/tiny_verifier_for_test.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> curve(const fs::path& run) {
  std::vector<std::string> lines;
  std::istringstream file(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line);
    if (json.contains("train/loss"))
      lines.push_back(json["train/loss"].dump() + " " + json["train/gradient_norm"].dump());
  }
  return lines;
}

// Trains in a process of its own; `signal` is raised after `step` updates.
int train_in_child(const TrainOptions& options, int64_t step = -1, int signal = 0) {
  const pid_t child = ::fork();
  if (child == 0) {
    install_stop_handlers();
    try {
      train(options, {}, {.on_step = [&](const StepReport& report) {
              if (report.step == step) ::raise(signal);
            }});
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

class TrainTest : public testing::TestWithParam<const char*> {
 protected:
  TrainOptions options(const std::string& run) const { return verifier_.options(GetParam(), run); }
  TinyVerifier verifier_;
};

INSTANTIATE_TEST_SUITE_P(Algorithms, TrainTest,
                         testing::Values("eagle3", "peagle", "dflash", "dflash2", "dspark", "mtp", "xpress"));

TEST_P(TrainTest, LearnsAndLeavesASpeculatorThatLoads) {
  std::vector<double> losses;
  auto wanted = options("run");
  wanted.epochs = 12;
  wanted.optimizer = "adamw";
  wanted.lr = 3e-3;
  const TrainReport report = train(wanted, {{"run.yaml", "train:\n"}},
                                   {.on_step = [&](const StepReport& step) { losses.push_back(step.loss); }});
  EXPECT_LT(losses.back(), 0.8 * losses.at(0));
  EXPECT_FALSE(report.already_trained);
  const Speculator saved = load_speculator(report.checkpoint);
  EXPECT_EQ(saved.algorithm, GetParam());
  EXPECT_EQ(saved.speculative_tokens, saved.algorithm == "dspark" ? 4 : 3);  // from the anchor on
  EXPECT_EQ(find_verifier_folder(saved), verifier_.folder());
  EXPECT_THAT(saved.verifier_architectures, testing::ElementsAre("LlamaForCausalLM"));
  EXPECT_TRUE(fs::exists(report.checkpoint / "run.yaml"));
  EXPECT_EQ(fs::exists(verifier_.data() / "d2t-32.npy"), wanted.draft_vocab_size.has_value());
}

TEST_P(TrainTest, AfterAKillTheCurveIsBitEqual) {
  auto whole = options("whole"), killed = options("killed");
  ASSERT_EQ(train_in_child(whole), 0);
  const auto expected = curve(whole.save_path);
  ASSERT_GT(expected.size(), 8u);
  ASSERT_TRUE(WIFSIGNALED(train_in_child(killed, static_cast<int64_t>(expected.size()) - 1, SIGKILL)));
  ASSERT_EQ(train_in_child(killed), 0);
  EXPECT_EQ(curve(killed.save_path), expected);
}

TEST_P(TrainTest, ASignalSavesAndTheSameOptionsGoOn) {
  auto whole = options("whole"), stopped = options("stopped");
  ASSERT_EQ(train_in_child(whole), 0);
  ASSERT_EQ(WEXITSTATUS(train_in_child(stopped, 3, SIGTERM)), 130);
  EXPECT_EQ(curve(stopped.save_path).size(), 3u);
  ASSERT_EQ(train_in_child(stopped), 0);
  EXPECT_EQ(curve(stopped.save_path), curve(whole.save_path));
}

TEST_P(TrainTest, ASecondRunFindsNothingToDo) {
  const auto first = train(options("run"), {});
  const auto second = train(options("run"), {});
  EXPECT_TRUE(second.already_trained);
  EXPECT_EQ(second.num_steps, first.num_steps);
  EXPECT_EQ(second.checkpoint, first.checkpoint);
}

TEST_P(TrainTest, DryRunWritesASpeculatorBesideWhatIsThere) {
  auto dry = options("dry");
  dry.dry_run = true;
  make_folders(dry.save_path);
  write_file(fs::path(dry.save_path) / "mine.txt", "kept");
  EXPECT_EQ(train(dry, {}).checkpoint, dry.save_path);
  EXPECT_EQ(load_speculator(dry.save_path).algorithm, GetParam());
  EXPECT_TRUE(fs::exists(fs::path(dry.save_path) / "mine.txt"));
}

TEST_P(TrainTest, StartsFromThePretrainedWeights) {
  const auto first = train(options("first"), {});
  auto second = verifier_.options(GetParam(), "second");
  second.draft.num_layers = std::nullopt;
  second.from_pretrained = first.checkpoint.string();
  second.dry_run = true;
  train(second, {});
  const auto before = TensorFile::open(first.checkpoint / "model.safetensors"),
             after = TensorFile::open(fs::path(second.save_path) / "model.safetensors");
  for (const auto& [name, tensor] : before.tensors()) {
    EXPECT_TRUE(torch::equal(to_torch(tensor), to_torch(after.get(name)))) << name;
  }
}

TEST(TrainFromAnotherProject, StartsFromItsWeights) {
  const TinyVerifier verifier;
  auto dry = verifier.options("eagle3", "first");
  dry.dry_run = true;
  const auto first = train(dry, {});
  const fs::path published = fs::path(dry.save_path).parent_path() / "published";
  convert_from_speculator(first.checkpoint, published);
  auto second = verifier.options("eagle3", "second");
  second.draft.num_layers = std::nullopt;
  second.from_pretrained = published.string();
  second.dry_run = true;
  train(second, {});
  const auto before = TensorFile::open_folder(first.checkpoint), after = TensorFile::open_folder(second.save_path);
  for (const auto& [name, tensor] : before.tensors()) {
    EXPECT_TRUE(torch::equal(to_torch(tensor), to_torch(after.get(name)))) << name;
  }
}

TEST_P(TrainTest, AConfigWithoutWeightsGivesAFreshDraft) {
  auto dry = options("dry");
  dry.dry_run = true;
  train(dry, {});
  fs::remove(fs::path(dry.save_path) / "model.safetensors");
  auto second = options("second");
  second.draft.num_layers = std::nullopt;
  second.draft_vocab_size = std::nullopt;
  second.from_pretrained = dry.save_path;
  second.max_steps = 1;
  EXPECT_EQ(train(second, {}).num_steps, 1);
}

TEST_P(TrainTest, HiddenStatesOfOtherLayersAreRefused) {
  if (GetParam() == std::string("mtp")) GTEST_SKIP() << "reads the last layer alone, which every file holds";
  write_json(verifier_.states() / "hidden_states.json", {{"layer_ids", {1, 4, 5, 8}}});
  EXPECT_THAT([&] { train(options("run"), {}); },
              ThrowsMessage<UsageError>(HasSubstr("aux layers [2, 4, 5], found [1, 4, 5]")));
}

TEST_P(TrainTest, AMissingFileOfHiddenStatesIsNamed) {
  fs::remove(hidden_states_path(verifier_.states(), 3));
  EXPECT_THAT([&] { train(options("run"), {}); }, ThrowsMessage<DataError>(HasSubstr("hs_3.safetensors")));
}

TEST_P(TrainTest, ARunInsideAnEpochRefusesOtherData) {
  auto first = options("run");
  first.max_steps = 2;
  train(first, {});
  auto second = options("run");
  second.total_seq_len = 40;
  EXPECT_THAT([&] { train(second, {}); }, ThrowsMessage<UsageError>(HasSubstr("row length 40")));
}

class MtpTrainTest : public testing::Test {
 protected:
  static torch::Tensor input_projection(const fs::path& folder, const char* name) {
    return to_torch(TensorFile::open_folder(folder).get(name)).to(torch::kFloat32).clone();
  }
  TinyVerifier verifier_;
};

TEST_F(MtpTrainTest, GoesOnWithTheVerifiersOwnLayer) {
  auto dry = verifier_.options("mtp", "dry");
  dry.dry_run = true;
  train(dry, {});
  const TensorFile base = TensorFile::open_folder(verifier_.folder()), head = TensorFile::open_folder(dry.save_path);
  NamedTensors tensors;
  for (const auto& [name, tensor] : base.tensors()) tensors.emplace_back(name, tensor);
  for (const auto& [name, tensor] : head.tensors()) {
    tensors.emplace_back(*native_name(name, MtpNaming::kQwen, TinyVerifier::kLayers), tensor);
  }
  const fs::path with_layer = verifier_.run("with_layer");
  make_folders(with_layer);
  write_file(with_layer / "config.json", read_file(verifier_.folder() / "config.json"));
  write_safetensors(with_layer / "model.safetensors", tensors);
  auto second = verifier_.options("mtp", "second");
  second.verifier_name_or_path = with_layer.string();
  second.seed = 7;  // fresh weights would be others
  second.dry_run = true;
  train(second, {});
  EXPECT_TRUE(input_projection(second.save_path, "mtp_layers.0.input_proj.weight")
                  .equal(input_projection(with_layer, "mtp.fc.weight")));
}

TEST_F(MtpTrainTest, SaysThatTheVerifierHasNoLayer) {
  EXPECT_THAT(make_draft(verifier_.options("mtp", "run"), torch::kCPU).warnings,
              testing::Contains(HasSubstr("no MTP layer (mtp.*) found; training a fresh one of llama layers")));
}

TEST(TrainOptions, AnMtpHeadTakesNoShapeOfItsOwn) {
  TrainOptions options;
  options.verifier_name_or_path = "v";
  options.save_path = "s";
  options.speculator_type = "mtp";
  options.draft.num_layers = 2;
  EXPECT_THAT([&] { check_train_options(options); },
              ThrowsMessage<UsageError>(HasSubstr("--speculator-type mtp: expected none of --draft-config")));
}

TEST(TrainOptions, ExclusiveSourcesOfTheDraftAreRefused) {
  TrainOptions options;
  options.verifier_name_or_path = "v";
  options.from_pretrained = "a";
  options.draft_config = "b";
  EXPECT_THAT([&] { check_train_options(options); },
              ThrowsMessage<UsageError>(HasSubstr("expected no --draft-config")));
  options.draft_config.clear();
  options.draft.num_layers = 2;
  EXPECT_THAT([&] { check_train_options(options); },
              ThrowsMessage<UsageError>(HasSubstr("expected none of --num-layers")));
}

TEST(TrainOptions, KeepsUpstreamsDefaults) {
  const TrainOptions options;
  EXPECT_EQ(options.optimizer, "muon");
  EXPECT_EQ(options.lr, 1e-3);
  EXPECT_EQ(options.epochs, 20);
  EXPECT_EQ(options.total_seq_len, 8192);
  EXPECT_EQ(options.seed, 42);
  EXPECT_EQ(options.train_data_ratio, 0.9);
}

TEST(TrainOptions, DeclaresEachNameOnce) {
  TrainOptions options;
  std::vector<std::string> names;
  for (const Option& option : list_options(options).items) names.push_back(option.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace speculators
