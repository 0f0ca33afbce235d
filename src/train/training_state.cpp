#include "train/training_state.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "train/tensor_bridge.h"

namespace speculators {
namespace {

constexpr int64_t kVersion = 1;
// A safetensors file by another name: vLLM reads every *.safetensors of a folder as weights.
constexpr const char* kTensors = "training_state.tensors";
constexpr const char* kCursor = "training_state.json";

std::vector<NamedParameter> all_tensors(const std::vector<NamedParameter>& parameters, const Optimisers& optimisers) {
  std::vector<NamedParameter> tensors;
  for (const auto& parameter : parameters) tensors.push_back({"master." + parameter.name, parameter.value.detach()});
  for (const auto& optimiser : optimisers) {
    for (auto& state : optimiser->state()) tensors.push_back(std::move(state));
  }
  return tensors;
}

Json cursor_json(const TrainingPosition& position, const Optimisers& optimisers) {
  Json steps = Json::object();
  for (const auto& optimiser : optimisers) steps[optimiser->name()] = optimiser->num_steps();
  return {{"epoch", position.epoch},
          {"local_step", position.epoch_finished ? 0 : position.local_step},  // upstream: 0 means the end of the epoch
          {"global_step", position.global_step},
          {"version", kVersion},
          {"steps_in_epoch", position.local_step},
          {"next_batch", position.next_batch},
          {"epoch_finished", position.epoch_finished},
          {"best_loss", std::isfinite(position.best_loss) ? Json(position.best_loss) : Json(nullptr)},
          {"data", position.data_fingerprint},
          {"optimiser_steps", steps}};
}

}  // namespace

void write_training_state(const fs::path& folder, const TrainingPosition& position,
                          const std::vector<NamedParameter>& parameters, const Optimisers& optimisers) {
  write_tensors(folder / kTensors, all_tensors(parameters, optimisers));
  write_json(folder / kCursor, cursor_json(position, optimisers));
}

bool has_training_state(const fs::path& folder) {
  return fs::exists(folder / kCursor) && fs::exists(folder / kTensors);
}

TrainingPosition read_training_position(const fs::path& folder) {
  const Json json = read_json(folder / kCursor);
  const JsonObject cursor(json, (folder / kCursor).string());
  if (const int64_t version = cursor.get_int("version"); version != kVersion) {
    throw DataError(
        fmt::format("{}: version: expected {}, found {}; use the program that wrote it, or --from-pretrained",
                    cursor.place(), kVersion, version));
  }
  TrainingPosition position;
  position.epoch = cursor.get_int("epoch");
  position.local_step = cursor.get_int("steps_in_epoch");
  position.global_step = cursor.get_int("global_step");
  position.next_batch = cursor.get_int("next_batch");
  position.epoch_finished = cursor.get_bool("epoch_finished");
  position.best_loss = cursor.find_double("best_loss").value_or(position.best_loss);
  position.data_fingerprint = cursor.get_string("data");
  return position;
}

void load_training_state(const fs::path& folder, TrainableDraft& draft, const Optimisers& optimisers) {
  const torch::NoGradGuard no_grad;
  const TensorFile file = TensorFile::open(folder / kTensors);
  const auto wanted = all_tensors(draft.parameters(), optimisers);
  std::string complaints;
  for (const auto& [name, value] : wanted) {
    const TensorView* view = file.find(name);
    if (!view) complaints += fmt::format("; {}: missing", name);
    if (view && (view->shape != value.sizes().vec() || view->dtype != DType::kF32)) {
      complaints += fmt::format("; {}: expected F32 [{}], found {} {}", name, fmt::join(value.sizes(), ", "),
                                name_of(view->dtype), shape_string(view->shape));
    }
  }
  if (!complaints.empty()) {
    throw DataError(
        fmt::format("{}: cannot resume{}; were other options given for draft or optimizer? Choose another "
                    "--save-path to start anew",
                    file.path().string(), complaints));
  }
  for (const auto& [name, value] : wanted) value.copy_(to_torch(file.get(name)));
  const Json json = read_json(folder / kCursor);
  const JsonObject steps = JsonObject(json, (folder / kCursor).string()).get_object("optimiser_steps");
  for (const auto& optimiser : optimisers) optimiser->set_num_steps(steps.get_int(optimiser->name()));
}

}  // namespace speculators
