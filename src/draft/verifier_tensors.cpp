#include "draft/verifier_tensors.h"

#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {
namespace {

const std::vector<std::string> kEmbedding = {"embed_tokens.weight", "tok_embeddings.weight", "llm.embed.weight",
                                             "backbone.embeddings.weight"};
const std::vector<std::string> kHead = {"lm_head.weight", "output.weight", "llm.unembed.weight"};
const std::vector<std::string> kFinalNorm = {"model.norm.weight", "llm.norm.weight", "backbone.norm_f.weight",
                                             "norm.weight"};

void check_shape(const TensorView& tensor, std::vector<int64_t> expected, const TensorFile& file,
                 std::string_view what) {
  if (tensor.shape == expected) return;
  throw DataError(fmt::format("{}: {}: expected {}, found {}; is this the speculator's verifier?", file.path().string(),
                              what, shape_string(expected), shape_string(tensor.shape)));
}

}  // namespace

const TensorView* find_by_suffix(const TensorFile& file, const std::vector<std::string>& candidates) {
  for (const std::string& candidate : candidates) {
    if (const TensorView* exact = file.find(candidate)) return exact;
    const TensorView* best = nullptr;
    size_t best_length = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      if (!name.ends_with(candidate) || (best && name.size() >= best_length)) continue;
      best = &tensor;
      best_length = name.size();
    }
    if (best) return best;
  }
  return nullptr;
}

VerifierTensorViews find_verifier_tensors(const TensorFile& verifier, int64_t vocab_size, int64_t hidden_size) {
  const TensorView* embedding = find_by_suffix(verifier, kEmbedding);
  if (!embedding) {
    throw DataError(fmt::format("{}: expected an embedding (a name that ends with {}), found none",
                                verifier.path().string(), fmt::join(kEmbedding, ", ")));
  }
  const TensorView* head = find_by_suffix(verifier, kHead);
  if (!head) head = embedding;
  check_shape(*embedding, {vocab_size, hidden_size}, verifier, "embedding");
  check_shape(*head, {vocab_size, hidden_size}, verifier, "output head");
  const TensorView* norm = find_by_suffix(verifier, kFinalNorm);
  if (norm) check_shape(*norm, {hidden_size}, verifier, "final norm");
  return {*embedding, *head, norm};
}

}  // namespace speculators
