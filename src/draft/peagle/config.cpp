#include "draft/peagle/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {

PEagleConfig parse_peagle_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  PEagleConfig result{parse_chain_config(config, layer, /*default_embed_requires_grad=*/true, place)};
  result.mask_token_id = JsonObject(config, place).get_int("mask_token_id");
  if (result.mask_token_id < 0 || result.mask_token_id >= layer.vocab_size) {
    throw DataError(fmt::format("{}: mask_token_id: expected an id in [0, {}), found {}", place, layer.vocab_size,
                                result.mask_token_id));
  }
  return result;
}

Json to_json(const PEagleConfig& config) {
  Json fields = chain_fields(config);
  fields["mask_token_id"] = config.mask_token_id;
  return fields;
}

}  // namespace speculators
