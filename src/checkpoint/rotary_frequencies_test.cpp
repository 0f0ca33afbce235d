#include "checkpoint/rotary_frequencies.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators {
namespace {

// Expected values: transformers 5 (modeling_rope_utils) for head_dim 16.
ModelConfig make_config(RopeParameters rope, int64_t max_position_embeddings) {
  ModelConfig config;
  config.head_dim = 16;
  config.max_position_embeddings = max_position_embeddings;
  config.rope = std::move(rope);
  return config;
}

void expect_frequencies(const ModelConfig& config, const std::vector<double>& expected) {
  const std::vector<double> values = rotary_frequencies(config).values;
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i] / expected[i], 1.0, 3e-7) << i;
}

TEST(RotaryFrequencies, DefaultEqualsTransformers) {
  expect_frequencies(make_config({.rope_theta = 1e5}, 8192),
                     {1.0, 2.371373624e-01, 5.623412877e-02, 1.333521493e-02, 3.162277862e-03, 7.498941850e-04,
                      1.778279402e-04, 4.216965317e-05});
}

TEST(RotaryFrequencies, LinearEqualsTransformers) {
  expect_frequencies(make_config({.rope_type = "linear", .factor = 4.0}, 8192),
                     {2.5e-01, 7.905694097e-02, 2.500000037e-02, 7.905694656e-03, 2.499999944e-03, 7.905694656e-04,
                      2.500000119e-04, 7.905694656e-05});
}

TEST(RotaryFrequencies, Llama3EqualsTransformers) {
  expect_frequencies(make_config({.rope_type = "llama3",
                                  .rope_theta = 5e5,
                                  .factor = 8.0,
                                  .low_freq_factor = 1.0,
                                  .high_freq_factor = 4.0,
                                  .original_max_position_embeddings = 8192},
                                 131072),
                     {1.0, 1.939227581e-01, 3.760603070e-02, 7.292665076e-03, 5.248460220e-04, 3.428102355e-05,
                      6.647869668e-06, 1.289173156e-06});
}

TEST(RotaryFrequencies, YarnEqualsTransformers) {
  const ModelConfig config = make_config(
      {.rope_type = "yarn", .rope_theta = 1e6, .factor = 4.0, .original_max_position_embeddings = 32768}, 131072);
  expect_frequencies(config, {1.0, 1.778279394e-01, 3.162277862e-02, 4.217559937e-03, 5.000000237e-04, 4.445698505e-05,
                              7.905693565e-06, 1.405853368e-06});
  EXPECT_NEAR(rotary_frequencies(config).attention_factor, 1.138629436111989, 1e-12);
}

TEST(RotaryFrequencies, LongropeIsRefused) {
  EXPECT_THAT([] { rotary_frequencies(make_config({.rope_type = "longrope"}, 4096)); },
              ::testing::ThrowsMessage<DataError>(::testing::HasSubstr("rope_type longrope")));
}

}  // namespace
}  // namespace speculators
