// A checkpoint of another project while it is being converted: its config, its tensors under names that change, and
// the buffers of tensors that were made on the way. Internal to convert/.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "draft/convert/convert.h"
#include "draft/speculator.h"

namespace speculators {

struct ForeignDraft {
  std::string place;  // of its config.json
  Json config;
  TensorFile file;          // where the views of `tensors` point to,
  std::deque<Tensor> made;  // or here
  std::map<std::string, TensorView, std::less<>> tensors;
  ConvertNotes notes;

  const TensorView* find(std::string_view name) const;
  // Throws DataError naming the folder.
  const TensorView& get(std::string_view name) const;
  void rename_prefix(std::string_view from, std::string_view to);
  void drop(std::string_view what, const std::function<bool(const std::string& name)>& is_dropped);
  void put(const std::string& name, Tensor tensor);
  NamedTensors named_tensors() const;
};

ForeignDraft read_foreign_draft(const fs::path& folder);

// The verifier that a draft is bound to.
struct BoundVerifier {
  std::string name;
  Json config;  // the decoder's: a composite's text_config
  std::vector<std::string> architectures;
  TensorFile file;
};
BoundVerifier read_bound_verifier(const std::string& name);

// Sets the fields that the request overrides. Throws UsageError naming one that is not in `known`.
void apply_overrides(Json& fields, const Json& overrides, const std::vector<std::string>& known);

// Completes and writes a converted draft.
void save_converted(const fs::path& output, const std::string& algorithm, const ForeignDraft& draft,
                    const BoundVerifier& verifier, const Json& layer, const Json& fields, int64_t speculative_tokens);

void convert_eagle3(ForeignDraft& draft, const BoundVerifier& verifier, const Json& overrides, const fs::path& output);
void convert_dflash(ForeignDraft& draft, const BoundVerifier& verifier, const Json& overrides, const fs::path& output);

}  // namespace speculators
