#include "draft/dflash/trainable.h"

#include "draft/dflash/targets.h"
#include "draft/dflash/trainable_model.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

std::vector<NamedParameter> parameters_of(DFlashModel& model) {
  std::vector<NamedParameter> parameters;
  visit_parameters(model, [&](const std::string& name, torch::Tensor& value) { parameters.push_back({name, value}); });
  return parameters;
}

DFlashModel golden_model(const golden::Case& c, bool compat_upstream) {
  DFlashConfig config;
  const Json& fields = c.meta.at("algorithm_config");
  const Json& call = c.meta.at("call");
  config.layer = golden::layer_config(c, c.meta.at("layer_types").size());
  config.draft_vocab_size = c.get("w.lm_head.weight").size(0);
  config.aux_layer_ids = {2, 4, 5};
  config.block_size = fields.at("block_size").get<int64_t>();
  config.mask_token_id = fields.at("mask_token_id").get<int64_t>();
  config.sample_from_anchor = fields.at("sample_from_anchor").get<bool>();
  config.sliding_window_non_causal = fields.at("sliding_window_non_causal").get<bool>();
  DFlashTrainingOptions options;
  options.max_anchors = call.at("max_anchors").get<int64_t>();
  options.decay_gamma = call.at("gamma").get<double>();
  if (call.value("per_position_loss_weight", "") == "dpace") {
    options.position_weight = PositionWeight::kDPace;
    options.dpace_alpha = call.at("dpace_alpha").get<double>();
  }
  options.loss = nn::parse_loss_spec(call.at("loss_config").dump());
  options.compat_upstream = compat_upstream;
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  DFlashModel model = make_dflash_model(
      config, options, make_frozen_tensors(golden::verifier_of(c), golden::vocabulary_of(c), shape), /*seed=*/1);
  load_parameters(parameters_of(model), c.group("w."));
  return model;
}

std::vector<int64_t> golden_anchors(const golden::Case& c) {
  std::vector<int64_t> anchors;
  for (int64_t i = 0; i < c.get("r.anchors").numel(); ++i) {
    if (c.get("r.anchor_valid")[i].item<bool>()) anchors.push_back(c.get("r.anchors")[i].item<int64_t>());
  }
  return anchors;
}

class SharedDFlash : public testing::TestWithParam<const char*> {};

TEST_P(SharedDFlash, PlainPathGivesUpstreamsNumbers) {
  if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
  const golden::Case c = golden::read_case(golden::shared_folder(), GetParam());
  DFlashModel model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, dflash_forward_plain(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(SharedDFlash, FusedPathGivesUpstreamsNumbers) {
  if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
  const golden::Case c = golden::read_case(golden::shared_folder(), GetParam());
  DFlashModel model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, dflash_forward(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(SharedDFlash, DrawsUpstreamsAnchorsFromUpstreamsSeed) {
  if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
  const golden::Case c = golden::read_case(golden::shared_folder(), GetParam());
  const DFlashModel model = golden_model(c, /*compat_upstream=*/true);
  const BatchRows rows = read_batch_rows(golden::batch_of(c), 3 * 32, 32);
  EXPECT_EQ(draw_anchors(rows, model.config, model.options, c.meta.at("torch_seed_before_forward").get<uint64_t>()),
            golden_anchors(c));
}

INSTANTIATE_TEST_SUITE_P(Cases, SharedDFlash,
                         testing::Values("dflash_dpace", "dflash_fixed_sfa_noncausal", "dflash_invalid_blocks"));

}  // namespace
}  // namespace speculators
