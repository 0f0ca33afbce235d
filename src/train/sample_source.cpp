#include "train/sample_source.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "data/arrow_dataset.h"
#include "hidden_states/existing_files.h"
#include "hidden_states/hidden_states.h"
#include "train/tensor_bridge.h"

namespace speculators {
namespace {

// A tensor over the mapped bytes; the map lives as long as the tensor. Nothing may write to it.
torch::Tensor view_of(const std::shared_ptr<TensorFile>& file, const std::string& name) {
  const TensorView& view = file->get(name);
  const auto dtype = torch_dtype(view.dtype, file->path().string() + ": " + name);
  auto* bytes = const_cast<std::byte*>(view.bytes.data());
  return at::from_blob(
      bytes, view.shape, [file](void*) {}, torch::TensorOptions().dtype(dtype));
}

// One pass over the exponents of bf16 values: all bits set means infinity or NaN.
bool has_non_finite(const torch::Tensor& states) {
  if (states.scalar_type() != torch::kBFloat16) return !states.isfinite().all().item<bool>();
  const std::span values(static_cast<const uint16_t*>(states.const_data_ptr()), static_cast<size_t>(states.numel()));
  uint32_t found = 0;
  for (const uint16_t value : values) found |= uint32_t{(value & 0x7f80u) == 0x7f80u};
  return found != 0;
}

void check_sizes(const TensorView& states, const TensorView& ids, int64_t num_layers, int64_t hidden_size,
                 const std::string& place) {
  if (states.dtype == DType::kBool || states.dtype == DType::kI64 || states.dtype == DType::kI32) {
    throw DataError(fmt::format("{}: hidden_states: expected floating-point values, found {}; generate this row again",
                                place, name_of(states.dtype)));
  }
  const bool fits = states.shape.size() == 3 && states.shape[1] == num_layers && states.shape[2] == hidden_size;
  if (!fits) {
    throw DataError(
        fmt::format("{}: hidden_states: expected [tokens, {}, {}] (aux layers and the last one), found {}; were "
                    "they made with the same verifier and --target-layer-ids?",
                    place, num_layers, hidden_size, shape_string(states.shape)));
  }
  if (ids.dtype != DType::kI64 || ids.shape != std::vector<int64_t>{states.shape[0]}) {
    throw DataError(fmt::format("{}: token_ids: expected I64 [{}], found {} {}", place, states.shape[0],
                                name_of(ids.dtype), shape_string(ids.shape)));
  }
}

// Layers of a file, the last one included: as asked for, else whatever it holds.
int64_t num_stored_layers(const TensorFile& file, int64_t num_aux_layers) {
  if (num_aux_layers != kAnyAuxLayers) return num_aux_layers + 1;
  const auto& shape = file.get("hidden_states").shape;
  return shape.size() == 3 ? std::max<int64_t>(1, shape[1]) : 1;
}

class PreparedSource final : public SampleSource {
 public:
  PreparedSource(PreparedFolder folder, std::vector<Sample> samples)
      : folder_(std::move(folder)), samples_(std::move(samples)) {}

  int64_t num_rows() const override { return static_cast<int64_t>(samples_.size()); }
  int64_t length(int64_t row) const override { return static_cast<int64_t>(samples_[row].token_ids.size()); }

  LoadedDocument load(int64_t row) const override {
    const fs::path path = hidden_states_path(folder_.hidden_states_path, row);
    if (!fs::exists(path)) {
      return refuse(fmt::format("{}: expected the hidden states of row {}, found no file; run generate-offline-data",
                                path.string(), row));
    }
    try {
      TrainDocument document = map_hidden_states(path, folder_.num_aux_layers, folder_.hidden_size);
      const std::string problem = add_sample(document, samples_[row]);
      if (!problem.empty()) return refuse(fmt::format("{}: {}", path.string(), problem));
      return {.document = std::move(document), .problem = ""};
    } catch (const DataError& error) {
      return refuse(error.what());
    }
  }

  void check_all() const override {
    if (folder_.on_missing != "raise") return;
    for (int64_t row = 0; row < num_rows(); ++row) {
      const fs::path path = hidden_states_path(folder_.hidden_states_path, row);
      if (!fs::exists(path)) load(row);  // says so
      const int64_t num_layers = num_stored_layers(TensorFile::open(path), folder_.num_aux_layers);
      const std::string problem = find_problem(path, samples_[row], num_layers, folder_.hidden_size, /*whole=*/false);
      if (!problem.empty()) throw DataError(problem);
    }
  }

  TrainDocument empty_document() const override {
    const auto bf16 = torch::TensorOptions().dtype(torch::kBFloat16);
    const auto int64 = torch::TensorOptions().dtype(torch::kInt64);
    return {.input_ids = torch::zeros({0}, int64),
            .aux_hidden_states =
                torch::zeros({0, std::max<int64_t>(0, folder_.num_aux_layers) * folder_.hidden_size}, bf16),
            .last_hidden_states = torch::zeros({0, folder_.hidden_size}, bf16),
            .loss_mask = torch::zeros({0}, torch::kBool),
            .position_ids = torch::zeros({0}, int64)};
  }

 private:
  LoadedDocument refuse(const std::string& problem) const {
    if (folder_.on_missing == "raise") throw DataError(problem);
    return {.document = std::nullopt, .problem = folder_.on_missing == "skip" ? "" : problem};
  }

  // Mask and positions; returns what does not fit.
  static std::string add_sample(TrainDocument& document, const Sample& sample) {
    const int64_t length = document.input_ids.size(0);
    const std::span stored(document.input_ids.const_data_ptr<int64_t>(), static_cast<size_t>(length));
    if (!std::equal(stored.begin(), stored.end(), sample.token_ids.begin(), sample.token_ids.end())) {
      return fmt::format(
          "token_ids: expected the {} ids of the data set's row, found {} other ids; was the data set prepared "
          "anew?",
          sample.token_ids.size(), length);
    }
    document.loss_mask = torch::empty({length}, torch::kBool);
    std::transform(sample.loss_mask.begin(), sample.loss_mask.end(), document.loss_mask.data_ptr<bool>(),
                   [](uint8_t bit) { return bit != 0; });
    document.position_ids = torch::arange(length, torch::kInt64);
    return "";
  }

  PreparedFolder folder_;
  std::vector<Sample> samples_;
};

}  // namespace

TrainDocument map_hidden_states(const fs::path& path, int64_t num_aux_layers, int64_t hidden_size) {
  const torch::NoGradGuard no_grad;
  const auto file = std::make_shared<TensorFile>(TensorFile::open(path));
  const std::string place = path.string();
  const int64_t num_layers = num_stored_layers(*file, num_aux_layers);
  check_sizes(file->get("hidden_states"), file->get("token_ids"), num_layers, hidden_size, place);
  auto states = view_of(file, "hidden_states");
  if (states.scalar_type() == torch::kFloat8_e4m3fn) {
    states = states.to(torch::kBFloat16) * view_of(file, "hidden_states_scales").to(torch::kBFloat16);
  }
  if (has_non_finite(states)) {
    throw DataError(place + ": hidden_states: expected finite values, found infinity or NaN; generate this row again");
  }
  states = states.flatten(1);  // [n, (A+1)*Dv]
  TrainDocument document;
  document.input_ids = view_of(file, "token_ids");
  document.aux_hidden_states = states.narrow(1, 0, std::max<int64_t>(0, num_aux_layers) * hidden_size);
  document.last_hidden_states = states.narrow(1, (num_layers - 1) * hidden_size, hidden_size);
  return document;
}

std::unique_ptr<SampleSource> open_prepared_folder(const PreparedFolder& folder) {
  auto samples = read_dataset(folder.data_path);
  if (samples.empty()) {
    throw DataError(
        fmt::format("{}: expected at least one row, found none; run prepare-data", folder.data_path.string()));
  }
  return std::make_unique<PreparedSource>(folder, std::move(samples));
}

}  // namespace speculators
