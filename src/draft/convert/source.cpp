#include "draft/convert/source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/errors.h"
#include "base/nearest.h"

namespace speculators {

const TensorView* ForeignDraft::find(std::string_view name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : &found->second;
}

const TensorView& ForeignDraft::get(std::string_view name) const {
  if (const TensorView* found = find(name)) return *found;
  std::vector<std::string> names;
  for (const auto& [known, tensor] : tensors) names.push_back(known);
  throw DataError(fmt::format("{}: expected tensor {}, found none of that name{}; is this a draft of the algorithm?",
                              file.path().string(), name, did_you_mean(name, names)));
}

void ForeignDraft::rename_prefix(std::string_view from, std::string_view to) {
  std::map<std::string, TensorView, std::less<>> renamed;
  for (auto& [name, tensor] : tensors) {
    const bool matches = name.starts_with(from);
    renamed.emplace(matches ? std::string(to) + name.substr(from.size()) : name, std::move(tensor));
  }
  tensors = std::move(renamed);
}

void ForeignDraft::drop(std::string_view what, const std::function<bool(const std::string& name)>& is_dropped) {
  const size_t count = std::erase_if(tensors, [&](const auto& item) { return is_dropped(item.first); });
  if (count > 0) notes.push_back(fmt::format("{}: {} tensor{} left out", what, count, count == 1 ? "" : "s"));
}

void ForeignDraft::put(const std::string& name, Tensor tensor) {
  tensors[name] = made.emplace_back(std::move(tensor)).view();
}

NamedTensors ForeignDraft::named_tensors() const { return {tensors.begin(), tensors.end()}; }

ForeignDraft read_foreign_draft(const fs::path& folder) {
  ForeignDraft draft;
  draft.place = (folder / "config.json").string();
  draft.config = read_json(folder / "config.json");
  if (!draft.config.is_object()) throw DataError(fmt::format("{}: expected an object", draft.place));
  draft.file = TensorFile::open_folder(folder);
  draft.tensors = draft.file.tensors();
  return draft;
}

BoundVerifier read_bound_verifier(const std::string& name) {
  const fs::path folder = name;
  BoundVerifier verifier{.name = name, .config = read_json(folder / "config.json")};
  const JsonObject top(verifier.config, (folder / "config.json").string());
  verifier.architectures = top.find_strings("architectures").value_or(std::vector<std::string>{});
  if (top.has("text_config")) {
    const Json text = top.get_object("text_config").value();
    verifier.config = text;
  }
  verifier.file = TensorFile::open_folder(folder);
  return verifier;
}

void apply_overrides(Json& fields, const Json& overrides, const std::vector<std::string>& known) {
  if (overrides.is_null()) return;
  for (const auto& [key, value] : overrides.items()) {
    if (std::ranges::find(known, key) == known.end()) {
      throw UsageError(fmt::format("--algorithm-kwargs: expected {}, found \"{}\"", fmt::join(known, ", "), key));
    }
    fields[key] = value;
  }
}

void save_converted(const fs::path& output, const std::string& algorithm, const ForeignDraft& draft,
                    const BoundVerifier& verifier, const Json& layer, const Json& fields, int64_t speculative_tokens) {
  Speculator speculator;
  speculator.algorithm = algorithm;
  speculator.layer_config = parse_model_config(layer, draft.place);
  speculator.verifier_name_or_path = verifier.name;
  speculator.verifier_architectures = verifier.architectures;
  speculator.speculative_tokens = speculative_tokens;
  const DType dtype = draft.get("fc.weight").dtype;
  const char* dtype_name = dtype == DType::kBF16 ? "bfloat16" : dtype == DType::kF16 ? "float16" : "float32";
  save_speculator(output, complete_speculator(speculator, fields, dtype_name), draft.named_tensors());
}

}  // namespace speculators
