#include "draft/mtp/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

constexpr const char* kNormedHiddenStates = "mtp_normed_hidden_states";

void check_family(const std::string& model_type, const std::string& place) {
  if (model_type == "llama" || model_type == "qwen3") return;
  throw DataError(
      fmt::format("{}: transformer_layer_config: model_type: expected llama or qwen3, the families whose layers an MTP "
                  "head is made of here, found {}",
                  place, model_type));
}

}  // namespace

ModelConfig MtpConfig::layer() const {
  ModelConfig one = verifier;
  one.num_hidden_layers = 1;
  one.layer_types.clear();
  one.sliding_window.reset();
  return one;
}

MtpConfig parse_mtp_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  const JsonObject fields(config, place);
  check_family(layer.model_type, place);
  if (const int64_t layers = fields.find_int("num_nextn_predict_layers").value_or(1); layers != 1) {
    throw DataError(
        fmt::format("{}: num_nextn_predict_layers: expected 1, the layer that is applied again and again, found {}",
                    place, layers));
  }
  MtpConfig result;
  result.verifier = layer;
  result.normed_hidden_states = fields.find_bool(kNormedHiddenStates).value_or(false);
  check_draft_layers(result.layer(), place);
  return result;
}

Json to_json(const MtpConfig& config) {
  Json fields = {
      {"num_nextn_predict_layers", 1},
      {"transformer_layer_config",
       {{"architectures", config.verifier.architectures},
        {"dtype", "bfloat16"},
        {"tie_word_embeddings", config.verifier.tie_word_embeddings}}},
  };
  if (config.normed_hidden_states) fields[kNormedHiddenStates] = true;
  return fields;
}

}  // namespace speculators
