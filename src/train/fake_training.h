// Test support: a tiny draft and data source, and a whole training run over them. Dims: A*Dv = 4, Dv = 2.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/scratch_folder.h"
#include "train/tensor_bridge.h"
#include "train/trainer.h"

namespace speculators {

// A linear map from aux to last hidden states, trained by squared error on rows drawn by the seed.
class FakeDraft : public TrainableDraft {
 public:
  LossResult forward(const TrainBatch& batch, uint64_t seed) override {
    if (batch.input_ids.eq(poison_).any().item<bool>()) return {torch::full({}, NAN), {}};
    const auto drawn = torch::rand({batch.input_ids.size(0)}, at::detail::createCPUGenerator(seed)).lt(0.8);
    const auto rows = batch.document_ids.ge(0).logical_and(drawn).to(torch::kFloat32);
    const auto error = batch.aux_hidden_states.mm(weight_.t()) + bias_ - batch.last_hidden_states;
    const auto loss = (error.square().sum(1) * rows).sum() / (rows.sum() + 1e-5);
    const double count = rows.sum().item<double>();
    return {loss, {{"loss", {loss.item<double>(), 1}}, {"full_acc_0", {count / 2, count}}}};
  }
  std::vector<NamedParameter> parameters() override { return {{"fc.weight", weight_}, {"norm.weight", bias_}}; }
  std::vector<NamedParameter> saved_tensors() override { return parameters(); }
  Json config_fields() const override { return Json::object(); }
  int64_t speculative_tokens() const override { return 3; }
  const std::vector<int64_t>& aux_layer_ids() const override { return aux_layer_ids_; }
  TrainDocument prepare(TrainDocument document) const override { return document; }
  void load(const std::map<std::string, torch::Tensor>&) override {}
  double needed_flops(const TrainBatch&) const override { return 1e6; }

  int64_t poison_ = -1;  // the loss of a row with this token id is NaN

 private:
  torch::Tensor weight_ = torch::full({2, 4}, 0.1).requires_grad_();
  torch::Tensor bias_ = torch::zeros({2}).requires_grad_();
  std::vector<int64_t> aux_layer_ids_ = {1, 2};
};

// Row r: 3 + r % 4 tokens of id r, states from a fixed formula.
class FakeSource : public SampleSource {
 public:
  explicit FakeSource(int64_t num_rows) : num_rows_(num_rows) {}
  int64_t num_rows() const override { return num_rows_; }
  int64_t length(int64_t row) const override { return 3 + row % 4; }
  LoadedDocument load(int64_t row) const override { return {.document = make(row, length(row)), .problem = ""}; }
  TrainDocument empty_document() const override { return make(0, 0); }

 private:
  static TrainDocument make(int64_t row, int64_t count) {
    const auto steps = torch::arange(count * 4, torch::kFloat32).view({count, 4});
    const auto aux = (steps * 0.7 + static_cast<double>(row)).sin();
    return {.input_ids = torch::full({count}, row, torch::kInt64),
            .aux_hidden_states = aux.to(torch::kBFloat16),
            .last_hidden_states = (aux.narrow(1, 0, 2) * 0.5 + 0.25).to(torch::kBFloat16),
            .loss_mask = torch::ones({count}, torch::kBool),
            .position_ids = torch::arange(count, torch::kInt64)};
  }
  int64_t num_rows_;
};

struct FakeRunOptions {
  TrainerOptions trainer{.epochs = 2};
  std::string optimiser = "muon";
  std::function<void(const StepReport&)> on_step = [](const StepReport&) {};
  int64_t poison = -1;
};

// Trains 20 rows (16 for training) in `folder`, resuming what is there; what cli and run_train do, without options.
inline TrainingPosition run_fake_training(const fs::path& folder, const FakeRunOptions& options) {
  const FakeSource source(20);
  FakeDraft draft;
  draft.poison_ = options.poison;
  const auto [train_rows, validation_rows] = split_rows(source.num_rows(), 0.8);
  const auto prepare = [&](TrainDocument document) { return draft.prepare(std::move(document)); };
  BatchLoader train(source, train_rows, {.row_length = 8, .seed = 42}, prepare, {});
  BatchLoader validation(source, validation_rows, {.row_length = 8, .seed = 0}, prepare, {});
  auto optimisers = make_optimisers(draft.parameters(), {.optimiser = options.optimiser, .lr = 0.02, .muon_lr = 0.02});
  CheckpointWriter writer(
      {.save_path = folder,
       .save_for_serving =
           [&](const fs::path& to) { write_tensors(to / "model.safetensors", serving_tensors(draft.saved_tensors())); },
       .notes = {{"run.yaml", "train:\n"}}});
  const auto point = find_resume_point(folder);
  MetricLoggers loggers;
  loggers.push_back(make_json_lines_logger(folder / "metrics.jsonl", point ? point->position.global_step + 1 : 0,
                                           point && point->validated));
  const Schedule schedule{.warmup_steps = 2, .total_steps = options.trainer.epochs * train.num_batches(0)};
  Trainer trainer({draft, train, validation, optimisers, schedule, writer, loggers}, options.trainer,
                  {.on_step = options.on_step});
  if (point) {
    load_training_state(point->folder, draft, optimisers);
    trainer.resume(*point);
  }
  trainer.run();
  return trainer.position();
}

}  // namespace speculators
