#include "draft/draft_vocabulary.h"

#include "draft/load_weights.h"
#include "draft/verifier_tensors.h"

namespace speculators {

DraftVocabulary::DraftVocabulary(TensorFile weights, const fs::path& verifier_folder, const ModelConfig& layer,
                                 VocabularySource source)
    : weights_(std::move(weights)), draft_to_verifier_(load_draft_to_verifier(weights_, layer.vocab_size)) {
  const bool reduced = !draft_to_verifier_.empty();
  const bool from_verifier = source == VocabularySource::kVerifier;
  const TensorView* embedding = from_verifier ? nullptr : weights_.find("embed_tokens.weight");
  const TensorView* head = from_verifier && !reduced ? nullptr : weights_.find("lm_head.weight");

  VerifierTensorViews shared;
  if (!embedding || !head) {
    verifier_ = TensorFile::open_folder(verifier_folder);
    shared = find_verifier_tensors(*verifier_, layer.vocab_size, layer.hidden_size);
  }
  const std::string verifier_place = verifier_folder.string();
  embedding_ = std::make_unique<EmbeddingTable>(embedding ? *embedding : shared.embed_tokens,
                                                embedding ? weights_.path().string() : verifier_place);
  lm_head_ = load_linear(head ? *head : shared.lm_head,
                         (head ? weights_.path().string() : verifier_place) + ": lm_head.weight");
}

}  // namespace speculators
