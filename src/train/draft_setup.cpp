#include "train/draft_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/errors.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "draft/convert/convert.h"
#include "draft/mtp/native_weights.h"
#include "draft/verifier_tensors.h"
#include "tokenizer/tokenizer.h"
#include "train/draft_vocabulary_files.h"
#include "train/tensor_bridge.h"

namespace speculators {
namespace {

// Verifiers whose norms multiply by 1 + w.
constexpr std::array<std::string_view, 9> kZeroCentred = {
    "gemma",        "gemma2",           "gemma3",     "gemma3_text",    "qwen3_5",
    "qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "recurrent_gemma"};

torch::Tensor copy_of(const TensorView& view, torch::Device device) {
  return to_torch(view).to(device, torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
}

std::vector<std::string> architectures_of(const fs::path& verifier_folder) {
  const fs::path path = verifier_folder / "config.json";
  const Json json = read_json(path);  // of a composite model the outer one
  return JsonObject(json, path.string()).find_strings("architectures").value_or(std::vector<std::string>{});
}

bool has_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json");
}

ModelConfig read_draft_config(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / "config.json" : path;
  const Json json = read_json(file);
  const JsonObject top(json, file.string());
  const auto nested = top.find_object("transformer_layer_config");  // of a whole speculator
  const JsonObject layer = nested ? *nested : top;
  layer.get_string("model_type");
  return parse_model_config(layer.value(), layer.place());
}

// The reduced vocabulary that a checkpoint carries; nothing when it has all tokens.
std::optional<VocabularyMap> read_vocabulary(const TensorFile& file) {
  const TensorView *d2t = file.find("d2t"), *t2d = file.find("t2d");
  if (!d2t || !t2d) return std::nullopt;
  const auto members = to_ints(*t2d, file.path().string() + ": t2d");
  return VocabularyMap{.t2d = std::vector<bool>(members.begin(), members.end()),
                       .d2t = to_ints(*d2t, file.path().string() + ": d2t")};
}

// The draft's parameters move as leaves; what it froze came from the verifier's tensors, which are on `device` already.
void move_to(TrainableDraft& draft, torch::Device device) {
  if (device.is_cpu()) return;
  for (const auto& parameter : draft.parameters()) parameter.value.set_data(parameter.value.to(device));
}

// mtp goes on with the layer that the verifier has; one without gets a fresh layer of its family.
std::map<std::string, torch::Tensor> read_native_weights(const fs::path& verifier_folder, DraftSetup& setup) {
  const TensorFile file = TensorFile::open_folder(verifier_folder);
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, view] : find_native_weights(file, setup.verifier.num_hidden_layers)) {
    weights[name] = copy_of(view, torch::kCPU);
  }
  if (weights.empty()) {
    setup.warnings.push_back(fmt::format("{}: no MTP layer (mtp.*) found; training a fresh one of {} layers",
                                         verifier_folder.string(), setup.verifier.model_type));
  }
  return weights;
}

void start_fresh(const TrainOptions& options, const VerifierTensors& tensors, DraftSetup& setup) {
  TrainableRequest request;
  request.algorithm = options.speculator_type;
  request.options = resolve_options(options.speculator_type, options.draft);
  request.verifier = setup.verifier;
  if (!options.draft_config.empty()) {
    request.draft_config = read_draft_config(options.draft_config);
    request.draft_config->vocab_size = setup.verifier.vocab_size;
  }
  request.tensors = tensors;
  request.vocabulary = choose_draft_vocabulary(options, options.data_path, setup.verifier.vocab_size);
  request.seed = static_cast<uint64_t>(options.seed);
  const bool is_mtp = options.speculator_type == "mtp";
  if (is_mtp) request.native_weights = read_native_weights(options.verifier_name_or_path, setup);
  if (!request.options.mask_token_id && options.speculator_type != "eagle3" && !is_mtp) {
    request.options.mask_token_id = choose_mask_token(options.verifier_name_or_path, setup.verifier);
  }
  setup.draft = make_trainable_draft(request);
  setup.speculator.algorithm = options.speculator_type;
  setup.speculator.layer_config = layer_config_of(request);
}

// A folder for the time of its scope.
struct PassingFolder {
  fs::path path;
  ~PassingFolder() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
};

// The folder itself, or for another project's draft the speculator that it converts to.
fs::path as_speculator(const fs::path& folder, const TrainOptions& options, PassingFolder& converted,
                       DraftSetup& setup) {
  const std::string algorithm = find_foreign_algorithm(folder);
  if (algorithm.empty()) return folder;
  std::string name = (fs::temp_directory_path() / "speculators-converted-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw DataError(fmt::format("{}: cannot be made", name));
  converted.path = name;
  const ConvertNotes notes = convert_to_speculator(
      {.model = folder, .verifier = options.verifier_name_or_path, .algorithm = algorithm}, converted.path / "draft");
  setup.warnings.push_back(fmt::format("{}: converted from {}'s own format", folder.string(), algorithm));
  for (const std::string& note : notes) setup.warnings.push_back(note);
  return converted.path / "draft";
}

void start_from(const fs::path& given, const TrainOptions& options, const VerifierTensors& tensors, DraftSetup& setup) {
  PassingFolder converted;
  const fs::path folder = as_speculator(given, options, converted, setup);
  setup.speculator = load_speculator(folder);
  std::optional<VocabularyMap> vocabulary;
  std::map<std::string, torch::Tensor> weights;
  if (has_weights(folder)) {
    const TensorFile file = TensorFile::open_folder(folder);
    vocabulary = read_vocabulary(file);
    weights = read_tensors(file);
  } else {
    VocabularyOptions wanted = options;
    const JsonObject config(setup.speculator.config, (folder / "config.json").string());
    wanted.draft_vocab_size = config.find_int("draft_vocab_size");
    vocabulary = choose_draft_vocabulary(wanted, options.data_path, setup.verifier.vocab_size);
    setup.warnings.push_back(
        fmt::format("{}: no weights beside the config; starting from fresh ones", folder.string()));
    if (setup.speculator.algorithm == "mtp") weights = read_native_weights(options.verifier_name_or_path, setup);
  }
  setup.draft =
      make_trainable_draft(setup.speculator, options.draft, tensors, vocabulary, static_cast<uint64_t>(options.seed));
  if (weights.empty()) return;
  try {
    setup.draft->load(weights);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", folder.string(), error.what()));
  }
}

}  // namespace

DraftSetup make_draft(const TrainOptions& options, torch::Device device) {
  const fs::path folder = options.verifier_name_or_path;
  if (!fs::is_directory(folder)) {
    throw UsageError(
        fmt::format("--verifier-name-or-path: expected a folder, got '{}'; download the verifier or import it first",
                    folder.string()));
  }
  DraftSetup setup;
  setup.verifier = read_model_config(folder);
  const bool is_chain = options.speculator_type == "eagle3" || options.speculator_type == "peagle";
  const bool upstream_norm = options.draft.compat_upstream && is_chain;
  const auto tensors = load_verifier_tensors(folder, setup.verifier, device, upstream_norm, setup.warnings);
  if (options.from_pretrained.empty()) {
    start_fresh(options, tensors, setup);
  } else {
    start_from(options.from_pretrained, options, tensors, setup);
  }
  move_to(*setup.draft, device);
  setup.speculator.folder.clear();
  setup.speculator.verifier_name_or_path = fs::absolute(folder).lexically_normal().string();
  setup.speculator.verifier_architectures = architectures_of(folder);
  setup.speculator.speculative_tokens = setup.draft->speculative_tokens();
  setup.speculator = complete_speculator(setup.speculator, setup.draft->config_fields());
  return setup;
}

VerifierTensors load_verifier_tensors(const fs::path& folder, const ModelConfig& verifier, torch::Device device,
                                      bool upstream_norm, std::vector<std::string>& warnings) {
  const TensorFile file = TensorFile::open_folder(folder);
  const VerifierTensorViews views = find_verifier_tensors(file, verifier.vocab_size, verifier.hidden_size);
  VerifierTensors tensors;
  tensors.embed_tokens = copy_of(views.embed_tokens, device);
  const bool tied = views.lm_head.bytes.data() == views.embed_tokens.bytes.data();
  tensors.lm_head = tied ? tensors.embed_tokens : copy_of(views.lm_head, device);
  tensors.final_norm_eps = verifier.rms_norm_eps;
  if (!views.final_norm) {
    warnings.push_back(
        fmt::format("{}: no final norm found; targets are computed with weights of 1", file.path().string()));
    tensors.final_norm = torch::ones({verifier.hidden_size}, torch::TensorOptions().device(device));
    return tensors;
  }
  tensors.final_norm = copy_of(*views.final_norm, device);
  const bool zero_centred =
      std::find(kZeroCentred.begin(), kZeroCentred.end(), verifier.model_type) != kZeroCentred.end();
  if (zero_centred && !upstream_norm) tensors.final_norm += 1;
  return tensors;
}

int64_t choose_mask_token(const fs::path& verifier_folder, const ModelConfig& verifier) {
  std::optional<int64_t> pad = verifier.pad_token_id, eos, unk;
  if (!verifier.eos_token_ids.empty()) eos = verifier.eos_token_ids.front();
  if (fs::exists(verifier_folder / "tokenizer.json")) {
    const Tokenizer tokenizer = Tokenizer::load(verifier_folder);
    if (const auto mask = tokenizer.mask_id()) return *mask;
    if (tokenizer.vocab_size() < verifier.vocab_size) return tokenizer.vocab_size();
    if (const auto id = tokenizer.pad_id()) pad = *id;
    if (const auto id = tokenizer.eos_id()) eos = *id;
    if (const auto id = tokenizer.unk_id()) unk = *id;
  }
  for (const auto& id : {pad, eos, unk}) {
    if (id) return *id;
  }
  throw UsageError(fmt::format("--mask-token-id: expected a token id, since {} names no mask, pad, eos or unk token",
                               verifier_folder.string()));
}

void save_for_serving(const fs::path& folder, const Speculator& speculator, TrainableDraft& draft) {
  const auto tensors = serving_tensors(draft.saved_tensors());
  save_speculator(folder, speculator, views_of(tensors));
}

}  // namespace speculators
