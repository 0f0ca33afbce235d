// For tests: one golden case of upstream's numbers (weights w.*, batch b.*, anchors r.*, gradients g.*) and the checks
// against it. Cases lie in tests/golden (our own) and, where it is there, in the shared folder.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/nonzero.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "draft/trainable.h"

namespace speculators::golden {

using TensorMap = std::map<std::string, torch::Tensor>;

inline torch::ScalarType torch_dtype(DType dtype) {
  if (dtype == DType::kI64) return torch::kInt64;
  return dtype == DType::kBool ? torch::kBool : torch::kFloat32;
}

inline TensorMap read_tensors(const fs::path& path) {
  TensorMap result;
  const TensorFile file = TensorFile::open(path);
  for (const auto& [name, view] : file.tensors()) {
    auto tensor = at::empty(view.shape, torch_dtype(view.dtype));
    std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
    result[name] = tensor;
  }
  return result;
}

struct Case {
  TensorMap tensors;
  Json meta;
  const torch::Tensor& get(const std::string& name) const { return tensors.at(name); }
  TensorMap group(const std::string& prefix) const {  // without the prefix
    TensorMap result;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with(prefix)) result[name.substr(prefix.size())] = tensor;
    }
    return result;
  }
};

inline fs::path shared_folder() {
  const char* variable = std::getenv("SPECULATORS_SHARED");
  return (variable ? fs::path(variable) : fs::path(SPECULATORS_SOURCE_DIR) / ".." / "shared") / "goldens";
}

inline Case read_case(const fs::path& folder, const std::string& name) {
  return {read_tensors(folder / (name + ".safetensors")), read_json(folder / "goldens.json").at(name)};
}

inline TrainBatch batch_of(const Case& c) {
  TrainBatch batch;
  batch.input_ids = c.get("b.input_ids").squeeze(0);
  batch.aux_hidden_states = c.get("b.hidden_states").squeeze(0);
  batch.last_hidden_states = c.get("b.verifier_last_hidden_states").squeeze(0);
  batch.loss_mask = c.get("b.loss_mask").squeeze(0).ne(0);
  batch.position_ids = c.get("b.position_ids").squeeze(0);
  batch.document_ids = c.get("b.document_ids").squeeze(0);
  return batch;
}

// The golden files hold only the head rows of the draft vocabulary; the others are never read.
inline VerifierTensors verifier_of(const Case& c) {
  VerifierTensors verifier;
  verifier.embed_tokens = c.get("w.embed_tokens.weight");
  verifier.final_norm = c.get("w.verifier_norm.weight");
  verifier.final_norm_eps = c.meta.value("rms_norm_eps", 1e-5);
  verifier.lm_head = c.get("w.verifier_lm_head.weight");
  if (c.tensors.count("w.t2d")) {
    auto head = torch::Tensor(verifier.embed_tokens).clone().fill_(1e9);
    head.index_copy_(0, c.get("w.t2d").nonzero().squeeze(1), verifier.lm_head);
    verifier.lm_head = head;
  }
  return verifier;
}

inline std::optional<VocabularyMap> vocabulary_of(const Case& c) {
  if (!c.tensors.count("w.t2d")) return std::nullopt;
  VocabularyMap map;
  const auto& t2d = c.get("w.t2d");
  const auto& d2t = c.get("w.d2t");
  map.t2d.assign(t2d.data_ptr<bool>(), t2d.data_ptr<bool>() + t2d.numel());
  map.d2t.assign(d2t.data_ptr<int64_t>(), d2t.data_ptr<int64_t>() + d2t.numel());
  return map;
}

// The nested decoder config of the case, through the same reader as a checkpoint's.
inline ModelConfig layer_config(const Case& c, const std::string& layer = "layers.0.") {
  const int64_t head_dim = c.meta.value("head_dim", int64_t{16});
  const auto rows = [&](const char* name) { return c.get("w." + layer + name + ".weight").size(0); };
  Json config = {{"model_type", c.meta.at("arch")},
                 {"hidden_size", c.get("w.embed_tokens.weight").size(1)},
                 {"vocab_size", c.get("w.embed_tokens.weight").size(0)},
                 {"num_hidden_layers", c.meta.at("layer_types").size()},
                 {"head_dim", head_dim},
                 {"num_attention_heads", rows("self_attn.q_proj") / head_dim},
                 {"num_key_value_heads", rows("self_attn.k_proj") / head_dim},
                 {"intermediate_size", rows("mlp.gate_proj")},
                 {"rms_norm_eps", c.meta.value("rms_norm_eps", 1e-5)},
                 {"max_position_embeddings", 512},
                 {"hidden_act", c.meta.value("hidden_act", "silu")},
                 {"attention_bias", c.meta.value("attention_bias", false)},
                 {"mlp_bias", c.meta.value("mlp_bias", false)},
                 {"layer_types", c.meta.at("layer_types")},
                 {"sliding_window", c.meta.at("sliding_window")},
                 {"use_sliding_window", !c.meta.at("sliding_window").is_null()}};
  config["rope_parameters"] = c.meta.value("rope_parameters", Json{{"rope_type", "default"}, {"rope_theta", 10000.0}});
  return parse_model_config(config, "golden case");
}

struct CaseName {
  bool shared = false;
  const char* name = "";
};
inline void PrintTo(const CaseName& name, std::ostream* out) { *out << name.name; }
inline fs::path folder_of(const CaseName& name) {
  return name.shared ? shared_folder() : fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "training";
}

// Every test of a golden case; skips a shared case where the folder is not there.
class GoldenTest : public testing::TestWithParam<CaseName> {
 protected:
  void SetUp() override {
    if (GetParam().shared && !fs::exists(shared_folder())) GTEST_SKIP() << "no " << shared_folder();
    c = read_case(folder_of(GetParam()), GetParam().name);
  }
  Case c;
};

inline void expect_near_relative(double found, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(found, expected, tolerance * std::max(std::abs(expected), 1e-3)) << what;
}

// Every gradient of the loss, within 1e-4 of its norm.
inline void expect_golden_gradients(const Case& c, const LossResult& result,
                                    const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& parameter : parameters) parameter.value.mutable_grad() = torch::Tensor();
  result.loss.backward();
  const TensorMap gradients = c.group("g.");
  EXPECT_EQ(gradients.size(), parameters.size());
  for (const NamedParameter& parameter : parameters) {
    ASSERT_TRUE(gradients.count(parameter.name)) << parameter.name;
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    const auto& expected = gradients.at(parameter.name);
    const double difference = (parameter.value.grad() - expected).norm().item<double>();
    EXPECT_LE(difference, 1e-4 * expected.norm().item<double>()) << parameter.name;
  }
}

// Loss, every metric (1e-5 relative) and every gradient.
inline void expect_golden(const Case& c, const LossResult& result, const std::vector<NamedParameter>& parameters) {
  expect_near_relative(result.loss.item<double>(), c.meta.at("loss").get<double>(), 1e-5, "loss");
  std::map<std::string, double> flat;
  for (const auto& [name, pair] : result.metrics) {
    flat[name + "_sum"] = pair.sum;
    flat[name + "_total"] = pair.total;
  }
  const Json& metrics = c.meta.at("metrics");
  EXPECT_EQ(flat.size(), metrics.size());
  for (const auto& [name, value] : metrics.items()) {
    ASSERT_TRUE(flat.count(name)) << name;
    expect_near_relative(flat.at(name), value.get<double>(), 1e-5, name);
  }
  expect_golden_gradients(c, result, parameters);
}

}  // namespace speculators::golden
