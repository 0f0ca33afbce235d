#include "draft/mtp/native_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/errors.h"
#include "draft/mtp/weights.h"

namespace speculators {
namespace {

struct Renaming {
  std::string_view native, speculator;  // prefixes; the layer's own comes last, since it begins them all
};
constexpr std::array<Renaming, 5> kQwen = {{{"mtp.fc.", "input_proj."},
                                            {"mtp.norm.", "final_layernorm."},
                                            {"mtp.pre_fc_norm_hidden.", "hidden_layernorm."},
                                            {"mtp.pre_fc_norm_embedding.", "token_layernorm."},
                                            {"mtp.layers.0.", ""}}};
constexpr std::array<Renaming, 5> kDeepSeek = {{{"eh_proj.", "input_proj."},
                                                {"shared_head.norm.", "final_layernorm."},
                                                {"hnorm.", "hidden_layernorm."},
                                                {"enorm.", "token_layernorm."},
                                                {"", ""}}};

const std::array<Renaming, 5>& renamings(MtpNaming naming) { return naming == MtpNaming::kQwen ? kQwen : kDeepSeek; }

std::string native_prefix(MtpNaming naming, int64_t num_layers) {
  return naming == MtpNaming::kQwen ? "" : fmt::format("model.layers.{}.", num_layers);
}

bool has_prefix(const TensorFile& file, const std::string& prefix) {
  const auto found = file.tensors().lower_bound(prefix);
  return found != file.tensors().end() && found->first.starts_with(prefix);
}

// Copies of the verifier's that DeepSeek's layer carries.
bool is_frozen_copy(std::string_view name) {
  return name.starts_with("embed_tokens.") || name.starts_with("shared_head.head.");
}

}  // namespace

std::optional<MtpNaming> find_mtp_naming(const TensorFile& verifier, int64_t num_layers) {
  if (has_prefix(verifier, "mtp.")) return MtpNaming::kQwen;
  // An ordinary layer of a deeper verifier has no such projection.
  if (verifier.find(native_prefix(MtpNaming::kDeepSeek, num_layers) + "eh_proj.weight")) return MtpNaming::kDeepSeek;
  return std::nullopt;
}

std::optional<std::string> speculator_name(std::string_view native, MtpNaming naming, int64_t num_layers) {
  const std::string prefix = native_prefix(naming, num_layers);
  if (!native.starts_with(prefix)) return std::nullopt;
  native.remove_prefix(prefix.size());
  if (naming == MtpNaming::kDeepSeek && is_frozen_copy(native)) return std::nullopt;
  for (const Renaming& renaming : renamings(naming)) {
    if (!native.starts_with(renaming.native)) continue;
    return fmt::format("{}{}{}", kMtpLayer, renaming.speculator, native.substr(renaming.native.size()));
  }
  return std::nullopt;
}

std::optional<std::string> native_name(std::string_view speculator, MtpNaming naming, int64_t num_layers) {
  if (!speculator.starts_with(kMtpLayer)) return std::nullopt;
  speculator.remove_prefix(std::string_view(kMtpLayer).size());
  for (const Renaming& renaming : renamings(naming)) {
    if (!speculator.starts_with(renaming.speculator)) continue;
    return fmt::format("{}{}{}", native_prefix(naming, num_layers), renaming.native,
                       speculator.substr(renaming.speculator.size()));
  }
  return std::nullopt;
}

NamedTensors find_native_weights(const TensorFile& verifier, int64_t num_layers) {
  NamedTensors found;
  const auto naming = find_mtp_naming(verifier, num_layers);
  if (!naming) return found;
  for (const auto& [name, tensor] : verifier.tensors()) {
    const auto renamed = speculator_name(name, *naming, num_layers);
    if (!renamed) continue;
    if (renamed->find(".mlp.experts.") != std::string::npos) {
      throw DataError(fmt::format("{}: {}: expected an MTP layer with one MLP, found experts, which are not known here",
                                  verifier.path().string(), name));
    }
    found.emplace_back(*renamed, tensor);
  }
  return found;
}

}  // namespace speculators
