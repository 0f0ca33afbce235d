#include "draft/training/frozen_tensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/nonzero.h>
#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {
namespace {

void check_shape(const torch::Tensor& tensor, at::IntArrayRef expected, const char* name) {
  if (tensor.defined() && tensor.sizes() == expected) return;
  const std::string found = tensor.defined() ? fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", ")) : "nothing";
  throw DataError(
      fmt::format("verifier tensor {}: expected [{}], found {}; is this the verifier that the draft belongs to?", name,
                  fmt::join(expected.vec(), ", "), found));
}

torch::Tensor membership_of(const VocabularyMap& map) {
  auto t2d = at::empty({static_cast<int64_t>(map.t2d.size())}, torch::kBool);
  std::copy(map.t2d.begin(), map.t2d.end(), t2d.data_ptr<bool>());
  return t2d;
}

torch::Tensor offsets_of(const VocabularyMap& map) {
  auto d2t = at::empty({static_cast<int64_t>(map.d2t.size())}, torch::kInt64);
  std::copy(map.d2t.begin(), map.d2t.end(), d2t.data_ptr<int64_t>());
  return d2t;
}

}  // namespace

FrozenTensors make_frozen_tensors(const VerifierTensors& verifier, const std::optional<VocabularyMap>& vocabulary,
                                  const FrozenShape& shape) {
  const at::NoGradGuard no_grad;
  check_shape(verifier.embed_tokens, {shape.verifier_vocab_size, shape.hidden_size}, "embed_tokens");
  check_shape(verifier.lm_head, {shape.verifier_vocab_size, shape.hidden_size}, "lm_head");
  check_shape(verifier.final_norm, {shape.hidden_size}, "final_norm");
  const bool reduced = shape.draft_vocab_size != shape.verifier_vocab_size;
  if (reduced != vocabulary.has_value()) {
    throw DataError(fmt::format("draft vocabulary: expected {} for {} of {} tokens, found {}",
                                reduced ? "t2d and d2t" : "no mapping", shape.draft_vocab_size,
                                shape.verifier_vocab_size, reduced ? "none" : "one"));
  }
  FrozenTensors frozen;
  frozen.embed_tokens = verifier.embed_tokens.to(torch::kFloat32);
  frozen.heads.lm_head = verifier.lm_head;
  if (reduced) {
    check_vocabulary_map(*vocabulary, "draft vocabulary");
    check_shape(offsets_of(*vocabulary), {shape.draft_vocab_size}, "d2t");
    check_shape(membership_of(*vocabulary), {shape.verifier_vocab_size}, "t2d");
    frozen.t2d = membership_of(*vocabulary);
    frozen.d2t = offsets_of(*vocabulary);
    const auto rows = frozen.t2d.nonzero().squeeze(1).to(verifier.lm_head.device());
    frozen.heads.lm_head = verifier.lm_head.index_select(0, rows);
  }
  frozen.heads.lm_head = frozen.heads.lm_head.to(torch::kFloat32).contiguous();
  frozen.heads.verifier_lm_head = frozen.heads.lm_head;
  frozen.heads.verifier_norm = verifier.final_norm.to(torch::kFloat32);
  frozen.heads.verifier_norm_eps = verifier.final_norm_eps;
  return frozen;
}

}  // namespace speculators
