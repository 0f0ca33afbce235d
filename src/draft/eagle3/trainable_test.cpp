#include "draft/eagle3/trainable.h"

#include "draft/eagle3/trainable_model.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

Eagle3Model golden_model(const golden::Case& c, bool compat_upstream) {
  Eagle3Config config;
  const Json& fields = c.meta.at("algorithm_config");
  config.layer = golden::layer_config(c, c.meta.at("layer_types").size());
  config.draft_vocab_size = c.get("w.lm_head.weight").size(0);
  config.aux_layer_ids = {2, 4, 5};
  config.norm_before_residual = fields.at("norm_before_residual").get<bool>();
  config.norm_before_fc = fields.at("norm_before_fc").get<bool>();
  config.fc_norm = fields.at("fc_norm").get<bool>();
  config.norm_output = fields.at("norm_output").get<bool>();
  Eagle3TrainingOptions options;
  options.ttt_steps = c.meta.at("call").at("ttt_steps").get<int64_t>();
  options.ttt_step_loss_decay = c.meta.at("call").at("ttt_step_loss_decay").get<double>();
  options.loss = nn::parse_loss_spec(c.meta.at("call").at("loss_config").dump());
  options.compat_upstream = compat_upstream;
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  Eagle3Model model = make_eagle3_model(
      config, options, make_frozen_tensors(golden::verifier_of(c), golden::vocabulary_of(c), shape), /*seed=*/1);
  std::vector<NamedParameter> parameters;
  visit_parameters(model, [&](const std::string& name, torch::Tensor& value) { parameters.push_back({name, value}); });
  load_parameters(parameters, c.group("w."));
  return model;
}

std::vector<NamedParameter> parameters_of(Eagle3Model& model) {
  std::vector<NamedParameter> parameters;
  visit_parameters(model, [&](const std::string& name, torch::Tensor& value) { parameters.push_back({name, value}); });
  return parameters;
}

class SharedEagle3 : public testing::TestWithParam<const char*> {};

TEST_P(SharedEagle3, PlainPathGivesUpstreamsNumbers) {
  if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
  const golden::Case c = golden::read_case(golden::shared_folder(), GetParam());
  Eagle3Model model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, eagle3_forward_plain(model, golden::batch_of(c)), parameters_of(model));
}

TEST_P(SharedEagle3, FusedPathGivesUpstreamsNumbers) {
  if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
  const golden::Case c = golden::read_case(golden::shared_folder(), GetParam());
  Eagle3Model model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, eagle3_forward(model, golden::batch_of(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Cases, SharedEagle3, testing::Values("eagle3_llama", "eagle3_qwen3_2l"));

}  // namespace
}  // namespace speculators
