// For tests: a tiny random verifier, vocabulary and packed batch, the same for every draft.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

#include "checkpoint/model_config.h"
#include "draft/trainable.h"

namespace speculators::random_batch {

constexpr int64_t kHidden = 16, kVerifierVocab = 30, kDraftVocab = 10;

inline torch::Tensor noise(at::IntArrayRef shape, uint64_t seed) {
  return at::empty(shape, torch::kFloat32).normal_(0.0, 1.0, at::detail::createCPUGenerator(seed));
}

inline ModelConfig layer_config(int64_t num_layers, const std::string& model_type = "llama") {
  ModelConfig layer;
  layer.model_type = model_type;
  layer.vocab_size = kVerifierVocab;
  layer.hidden_size = kHidden;
  layer.intermediate_size = 20;
  layer.num_hidden_layers = num_layers;
  layer.num_attention_heads = 4;
  layer.num_key_value_heads = 2;
  layer.head_dim = 4;
  layer.max_position_embeddings = 64;
  return layer;
}

inline VerifierTensors verifier() {
  VerifierTensors tensors;
  tensors.embed_tokens = noise({kVerifierVocab, kHidden}, 1);
  tensors.lm_head = noise({kVerifierVocab, kHidden}, 2);
  tensors.final_norm = 1.0 + 0.1 * noise({kHidden}, 3);
  return tensors;
}

// Every third token.
inline VocabularyMap vocabulary() {
  VocabularyMap map;
  map.t2d.resize(kVerifierVocab);
  for (int64_t k = 0; k < kDraftVocab; ++k) {
    map.t2d[3 * k] = true;
    map.d2t.push_back(2 * k);
  }
  return map;
}

// One document of `length` rows, the first `prompt` not supervised.
inline TrainDocument document(int64_t length, int64_t prompt, int64_t num_aux, uint64_t seed) {
  TrainDocument result;
  result.input_ids =
      at::empty({length}, torch::kInt64).random_(0, kVerifierVocab, at::detail::createCPUGenerator(seed));
  result.aux_hidden_states = noise({length, num_aux * kHidden}, seed + 1);
  result.last_hidden_states = noise({length, kHidden}, seed + 2);
  result.loss_mask = at::arange(length) >= prompt;
  result.position_ids = at::arange(length);
  return result;
}

// Documents behind each other and `padding` rows.
inline TrainBatch pack(const std::vector<TrainDocument>& documents, int64_t padding) {
  const auto joined = [&](torch::Tensor TrainDocument::*field) {
    std::vector<torch::Tensor> parts;
    for (const TrainDocument& d : documents) parts.push_back(d.*field);
    auto shape = parts[0].sizes().vec();
    shape[0] = padding;
    parts.push_back(at::zeros(shape, parts[0].options()));
    return at::cat(parts);
  };
  TrainBatch batch;
  batch.input_ids = joined(&TrainDocument::input_ids);
  batch.aux_hidden_states = joined(&TrainDocument::aux_hidden_states);
  batch.last_hidden_states = joined(&TrainDocument::last_hidden_states);
  batch.loss_mask = joined(&TrainDocument::loss_mask);
  batch.position_ids = joined(&TrainDocument::position_ids);
  batch.document_ids = at::zeros({batch.input_ids.size(0)}, torch::kInt64) - 1;
  int64_t begin = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    const int64_t length = documents[i].input_ids.size(0);
    batch.document_ids.narrow(0, begin, length).fill_(static_cast<int64_t>(i));
    begin += length;
  }
  return batch;
}

inline TrainBatch batch(int64_t num_aux) {
  return pack({document(9, 3, num_aux, 10), document(6, 0, num_aux, 20), document(7, 2, num_aux, 30)}, 3);
}

// Backward of the loss; each parameter's gradient, which is then cleared.
inline std::map<std::string, torch::Tensor> gradients(TrainableDraft& draft, const LossResult& result) {
  result.loss.backward();
  std::map<std::string, torch::Tensor> found;
  for (const NamedParameter& parameter : draft.parameters()) {
    found[parameter.name] = parameter.value.grad().defined() ? parameter.value.grad().clone() : torch::Tensor();
    parameter.value.mutable_grad() = torch::Tensor();
  }
  return found;
}

// Two drafts of equal weights give the same loss, metrics and gradients.
inline void expect_same_step(TrainableDraft& a, TrainableDraft& b, const TrainBatch& batch) {
  std::map<std::string, torch::Tensor> weights;
  for (const NamedParameter& parameter : a.parameters()) weights[parameter.name] = parameter.value.detach();
  b.load(weights);
  const LossResult left = a.forward(batch, 5), right = b.forward(batch, 5);
  EXPECT_NEAR(left.loss.item<double>(), right.loss.item<double>(), 1e-5 * std::abs(right.loss.item<double>()));
  ASSERT_EQ(left.metrics.size(), right.metrics.size());
  for (const auto& [name, pair] : left.metrics) {
    EXPECT_NEAR(pair.sum, right.metrics.at(name).sum, 1e-4) << name;
    EXPECT_EQ(pair.total, right.metrics.at(name).total) << name;
  }
  const auto found = gradients(a, left), expected = gradients(b, right);
  for (const auto& [name, gradient] : expected) {
    ASSERT_TRUE(found.at(name).defined() && gradient.defined()) << name;
    EXPECT_LE((found.at(name) - gradient).norm().item<double>(), 1e-4 * gradient.norm().item<double>() + 1e-8) << name;
  }
}

}  // namespace speculators::random_batch
