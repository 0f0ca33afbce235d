#include "draft/doctor/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"
#include "draft/draft_algorithm.h"
#include "draft/layer_checks.h"
#include "draft/load_weights.h"
#include "draft/verifier_tensors.h"

namespace speculators {
namespace {

using Severity = Finding::Severity;

// One speculator on the couch. Each rule is a member; `examine` is their order.
class Examination {
 public:
  explicit Examination(const fs::path& folder) : folder_(folder) {}

  Diagnosis examine() {
    if (!attempt([&] { speculator_ = load_speculator(folder_); })) return std::move(diagnosis_);
    diagnosis_.algorithm = speculator_.algorithm;
    check_files();
    check_layer_keys();
    check_rope();
    check_algorithm_fields();
    if (attempt([&] { file_ = TensorFile::open_folder(folder_); })) {
      attempt([&] { check_loaded_tensors(weight_table(), file_); });
      check_values();
      attempt([&] { load_draft_to_verifier(file_, speculator_.layer_config.vocab_size); });
    }
    check_verifier_folder();
    say_what_serves_it();
    return std::move(diagnosis_);
  }

 private:
  void add(Severity severity, std::string text) { diagnosis_.findings.push_back({severity, std::move(text)}); }
  void fault(std::string text) { add(Severity::kFault, std::move(text)); }
  void advise(std::string text) { add(Severity::kAdvice, std::move(text)); }

  // What a reader of ours refuses is a fault in its own words.
  template <class Action>
  bool attempt(Action&& action) {
    try {
      action();
      return true;
    } catch (const std::runtime_error& error) {
      fault(error.what());
      return false;
    }
  }

  bool is(std::string_view algorithm) const { return speculator_.algorithm == algorithm; }
  bool is_block() const { return is("dflash") || is("dflash2") || is("dspark") || is("xpress"); }
  bool is_chain() const { return is("eagle3") || is("peagle"); }
  const Json& config() const { return speculator_.config; }
  const Json& layer_json() const { return config().at("transformer_layer_config"); }
  std::string place() const { return (folder_ / "config.json").string(); }
  WeightTable weight_table() const {
    return get_draft_algorithm(speculator_.algorithm).weight_table(speculator_, place());
  }

  // vLLM reads every *.safetensors of the folder, whatever the index says.
  void check_files() {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      const bool expected = name == "model.safetensors" ||
                            (name.starts_with("model-") && fs::exists(folder_ / "model.safetensors.index.json"));
      if (!name.ends_with(".safetensors") || expected) continue;
      fault(fmt::format("{}: expected only the draft's weights, found {}, which vLLM loads as well; move it elsewhere",
                        folder_.string(), name));
    }
  }

  // Keys that vLLM takes from the layer config without a default, or with another one than ours.
  void check_layer_keys() {
    for (const char* key :
         {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
          "vocab_size", "rms_norm_eps", "max_position_embeddings", "hidden_act", "model_type"}) {
      if (layer_json().contains(key) && !layer_json().at(key).is_null()) continue;
      fault(fmt::format("{}: transformer_layer_config: expected {}, found none; vLLM stops at it, so write it out",
                        place(), key));
    }
    if (!layer_json().contains("rope_parameters")) {
      advise(
          fmt::format("{}: transformer_layer_config: expected rope_parameters, found the older keys; vLLM of "
                      "transformers 5 wants them as one object",
                      place()));
    }
  }

  void check_rope() {
    const auto rope = layer_json().find("rope_parameters");
    if (rope == layer_json().end() || !rope->contains("mrope_section")) return;
    fault(fmt::format("{}: rope_parameters: found mrope_section; a draft's positions are plain numbers, remove it",
                      place()));
  }

  void expect_written(const char* key, std::string_view reason) {
    if (config().contains(key) && !config().at(key).is_null()) return;
    advise(fmt::format("{}: expected {} written out, found none; {}", place(), key, reason));
  }

  void check_algorithm_fields() {
    if (!is("mtp")) expect_written("draft_vocab_size", "readers differ in what an absent one means");
    if (is_chain()) check_chain_fields();
    if (is_block()) check_block_fields();
  }

  void check_chain_fields() {
    expect_written("norm_before_residual", "vLLM takes true for eagle3 where speculators takes false");
    expect_written("eagle_aux_hidden_state_layer_ids", "the verifier's layers are guessed otherwise");
    const auto ids = config().find("eagle_aux_hidden_state_layer_ids");
    const size_t num_aux = ids == config().end() || ids->is_null() ? 3 : ids->size();
    if (num_aux != 3 && layer_json().value("num_aux_hidden_states", size_t{3}) != num_aux) {
      fault(
          fmt::format("{}: transformer_layer_config: num_aux_hidden_states: expected {}, the number of aux layers, "
                      "found {}; vLLM assumes three",
                      place(), num_aux, layer_json().value("num_aux_hidden_states", size_t{3})));
    }
    if (!is("peagle")) return;
    for (const char* key : {"fc_norm", "norm_output"}) {
      if (config().value(key, false)) {
        fault(fmt::format("{}: {}: expected false, found true; vLLM 0.32 does not hand it to a peagle draft", place(),
                          key));
      }
    }
  }

  void check_block_fields() {
    const int64_t block_size = config().value("block_size", int64_t{8});
    const bool from_anchor = config().value("sample_from_anchor", is("dspark"));
    const int64_t expected = from_anchor ? block_size : block_size - 1;
    if (speculator_.speculative_tokens > expected) {
      fault(fmt::format("{}: speculative_tokens: expected at most {}, what a block of {} predicts, found {}", place(),
                        expected, block_size, speculator_.speculative_tokens));
    }
    expect_written("sample_from_anchor", "vLLM's default has changed between releases");
    if (is("dflash") && from_anchor) {
      advise(fmt::format("{}: sample_from_anchor: found true; vLLM before 0.28 refuses it for dflash", place()));
    }
    const bool has_windows = has_sliding_layers(speculator_.layer_config);
    if (!has_windows && !config().value("sliding_window_non_causal", true)) {
      fault(
          fmt::format("{}: sliding_window_non_causal: expected true for a draft without sliding layers, found false; "
                      "vLLM then attends causally inside the block, as the draft was not trained",
                      place()));
    }
  }

  // A parameter that training never filled is NaN, or all zeros.
  void check_values() {
    for (const auto& [name, tensor] : file_.tensors()) {
      if (tensor.dtype != DType::kBF16 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kF32) continue;
      const std::vector<float> values = to_floats(tensor, name);
      const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
      if (bad != values.end()) {
        fault(fmt::format("{}: {}: expected finite numbers, found {} at element {}; train or convert again",
                          file_.path().string(), name, *bad, bad - values.begin()));
      } else if (!values.empty() && !name.ends_with(".bias") &&
                 std::ranges::all_of(values, [](float value) { return value == 0; })) {
        fault(fmt::format("{}: {}: every value is 0; was this tensor ever filled?", file_.path().string(), name));
      }
    }
  }

  void check_verifier_folder() {
    fs::path verifier;
    if (!attempt([&] { verifier = find_verifier_folder(speculator_); })) return;
    const ModelConfig& layer = speculator_.layer_config;
    std::vector<int64_t> ids = {0};  // mtp reads the last layer, which every verifier has
    if (!is("mtp")) {
      const char* key = is_chain() ? "eagle_aux_hidden_state_layer_ids" : "aux_hidden_state_layer_ids";
      ids = JsonObject(config(), place()).find_ints(key).value_or(std::vector<int64_t>{});
    }
    if (!attempt([&] { check_verifier(verifier, layer, ids); })) return;
    const ModelConfig served = read_model_config(verifier);
    if (layer.max_position_embeddings < served.max_position_embeddings) {
      advise(
          fmt::format("{}: max_position_embeddings: expected the verifier's {}, found {}; behind that position the "
                      "draft is out of its range",
                      place(), served.max_position_embeddings, layer.max_position_embeddings));
    }
    const auto mask = config().find("mask_token_id");
    if (mask != config().end() && mask->is_number_integer() && mask->get<int64_t>() >= served.vocab_size) {
      fault(fmt::format("{}: mask_token_id: expected an id below {}, found {}", place(), served.vocab_size,
                        mask->get<int64_t>()));
    }
    attempt([&] { find_verifier_tensors(TensorFile::open_folder(verifier), served.vocab_size, served.hidden_size); });
  }

  void say_what_serves_it() {
    std::vector<std::string>& needs = diagnosis_.needs;
    if (is("xpress")) {
      needs.push_back("this program; no released vLLM knows xpress (proposed in vllm#54448)");
    } else if (is("mtp")) {
      needs.push_back("this program, or vLLM with the verifier that `stitch-mtp` writes");
    } else if (is("dspark") || is("dflash2")) {
      needs.push_back(
          "this program, or vLLM's V2 runner (a GPU): vllm#48639 for dspark, vllm#52816 and #53797 for dflash2");
    } else if (is("eagle3") && speculator_.layer_config.model_type == "qwen3") {
      needs.push_back("this program, or vLLM with #43132 (qwen3 layers); 0.32 has it");
    } else if (is("dflash") && file_.find("embed_tokens.weight") == nullptr) {
      needs.push_back("this program, or a vLLM that shares the verifier's embedding with a dflash draft; 0.32 does");
    } else {
      needs.push_back("this program, or vLLM; tried with 0.32");
    }
  }

  fs::path folder_;
  Speculator speculator_;
  TensorFile file_;
  Diagnosis diagnosis_;
};

}  // namespace

bool Diagnosis::has_faults() const {
  return std::ranges::any_of(findings, [](const Finding& finding) { return finding.severity == Severity::kFault; });
}

Diagnosis diagnose(const fs::path& folder) { return Examination(folder).examine(); }

}  // namespace speculators
