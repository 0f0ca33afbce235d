// Proposers against upstream's training forward (shared/goldens; skipped where that folder is absent): step 0 of
// EAGLE-3 for every row, DFlash blocks for every anchor. The goldens' weights are fp32 and a proposer's are bf16, so
// log-probabilities agree to some hundredths only; golden_test.cpp is the sharp test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "draft/dflash/config.h"
#include "draft/eagle3/config.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

constexpr int64_t kNumAux = 3;
constexpr double kTolerance = 0.08;  // 2^-9 per weight; a mask or norm done wrong shows as 0.3 and more

fs::path shared_goldens() {
  const char* variable = std::getenv("SPECULATORS_SHARED");
  return (variable ? fs::path(variable) : fs::path(SPECULATORS_SOURCE_DIR) / ".." / "shared") / "goldens";
}

class SharedGolden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!fs::exists(shared_goldens() / "goldens.json")) GTEST_SKIP() << shared_goldens() << " is absent";
    golden_.emplace(TensorFile::open(shared_goldens() / (std::string(GetParam()) + ".safetensors")));
    const Json meta = read_json(shared_goldens() / "goldens.json").at(GetParam());
    const Json fields = meta.at("algorithm_config");
    algorithm_ = fields.at("speculators_model_type").get<std::string>();
    from_anchor_ = fields.value("sample_from_anchor", false);
    make_proposer(meta, fields);
  }

  void make_proposer(const Json& meta, const Json& fields) {
    ModelConfig layer = testing::tiny_layers(meta.at("arch").get<std::string>(), meta.at("layer_types"));
    layer.sliding_window.reset();
    if (!meta.at("sliding_window").is_null()) layer.sliding_window = meta.at("sliding_window").get<int64_t>();
    layer.rms_norm_eps = 1e-5;
    layer.hidden_size = golden_->get("w.norm.weight").shape[0];
    layer.vocab_size = golden_->get("w.embed_tokens.weight").shape[0];
    layer.intermediate_size = golden_->get("w.layers.0.mlp.down_proj.weight").shape[1];
    layer.num_attention_heads = 2;
    layer.num_key_value_heads = 1;
    layer.head_dim = 16;
    hidden_size_ = layer.hidden_size;
    const Speculator speculator = testing::new_speculator(algorithm_, layer, own_fields(fields, layer), 3);
    const fs::path folder = testing::write_speculator(folder_.path(), speculator);
    write_weights(folder, get_draft_algorithm(algorithm_).weight_table(speculator, "golden"));
    write_safetensors(folder_.path() / "verifier" / "model.safetensors",
                      {{"model.embed_tokens.weight", golden_->get("w.embed_tokens.weight")}});
    proposer_ = load_proposer(folder);
  }
  Json own_fields(const Json& fields, const ModelConfig& layer) const {
    if (algorithm_ == "eagle3") return to_json(parse_eagle3_config(fields, layer, "golden"));
    return to_json(parse_dflash_config(fields, layer, "golden"));
  }
  void write_weights(const fs::path& folder, const WeightTable& table) const {
    NamedTensors views;
    for (const WeightSpec& spec : table) {
      if (spec.required != WeightPresence::kNever) views.emplace_back(spec.name, golden_->get("w." + spec.name));
    }
    write_safetensors(folder / "model.safetensors", views);
  }

  // Largest difference of log-probabilities between the proposal behind `n` rows of a document and golden logits.
  double difference(int64_t document, int64_t n, int64_t num_tokens, int64_t logits_row) {
    const std::string prefix = "d" + std::to_string(document) + ".";
    std::vector<int32_t> tokens;
    for (int64_t id : to_ints(golden_->get(prefix + "input_ids"), "ids")) tokens.push_back(static_cast<int32_t>(id));
    const std::vector<float> aux = to_floats(golden_->get(prefix + "hidden_states"), "aux");
    const std::vector<float> logits = to_floats(golden_->get("o.logits0"), "logits");
    const auto sequence = proposer_->make_sequence();
    std::mt19937_64 random(1);
    const ProposalRequest request = {.sequence = sequence.get(),
                                     .tokens = std::span(tokens).first(n + 1),
                                     .aux = std::span(aux).first(n * kNumAux * hidden_size_),
                                     .num_tokens = num_tokens,
                                     .temperature = 1,
                                     .random = &random};
    const Proposal proposal = proposer_->propose({&request, 1}).at(0);
    const auto width = static_cast<int64_t>(proposal.probabilities.size()) / num_tokens;
    double largest = 0;
    for (int64_t k = 0; k < num_tokens; ++k) {
      const float* row = logits.data() + (logits_row + k) * width;
      double sum = 0;
      for (int64_t v = 0; v < width; ++v) sum += std::exp(double{row[v]});
      for (int64_t v = 0; v < width; ++v) {
        const double expected = row[v] - std::log(sum), got = std::log(double{proposal.probabilities[k * width + v]});
        largest = std::max(largest, std::abs(got - expected));
      }
    }
    return largest;
  }

  int64_t document_length(int64_t document) const {
    return golden_->get("d" + std::to_string(document) + ".input_ids").shape[0];
  }

  std::optional<TensorFile> golden_;
  testing::TemporaryFolder folder_;
  std::string algorithm_;
  bool from_anchor_ = false;
  int64_t hidden_size_ = 0;
  std::unique_ptr<Proposer> proposer_;
};

class SharedEagle3 : public SharedGolden {};
class SharedDFlash : public SharedGolden {};

// Row j of a document is packed row j behind the rows of the documents before it, one fewer than tokens each.
TEST_P(SharedEagle3, FirstStepIsUpstreams) {
  int64_t packed = 0;
  for (int64_t document : {0, 1}) {
    const int64_t num_rows = document_length(document) - 1;
    for (int64_t j = 0; j < num_rows; ++j)
      EXPECT_LT(difference(document, j + 1, 1, packed + j), kTolerance) << "row " << j;
    packed += num_rows;
  }
}

TEST_P(SharedDFlash, BlocksAreUpstreams) {
  const std::vector<int64_t> anchors = to_ints(golden_->get("r.anchors"), "anchors");
  const std::vector<int64_t> valid = to_ints(golden_->get("r.anchor_valid"), "valid");
  const int64_t block = golden_->get("o.logits0").shape[1] / static_cast<int64_t>(anchors.size());
  const int64_t first = from_anchor_ ? 0 : 1;
  for (size_t b = 0; b < anchors.size(); ++b) {
    if (!valid[b]) continue;
    const int64_t document = anchors[b] < document_length(0) ? 0 : 1;
    const int64_t n = anchors[b] - document * document_length(0);
    const int64_t row = static_cast<int64_t>(b) * block + first;
    EXPECT_LT(difference(document, n, block - first, row), kTolerance) << "anchor " << anchors[b];
  }
}

std::string name_of_case(const ::testing::TestParamInfo<const char*>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(Upstream, SharedEagle3, ::testing::Values("eagle3_llama", "eagle3_qwen3_2l"), name_of_case);
INSTANTIATE_TEST_SUITE_P(Upstream, SharedDFlash,
                         ::testing::Values("dflash_dpace", "dflash_fixed_sfa_noncausal", "dflash_invalid_blocks"),
                         name_of_case);

}  // namespace
}  // namespace speculators
