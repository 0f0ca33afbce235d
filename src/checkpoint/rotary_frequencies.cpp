#include "checkpoint/rotary_frequencies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr float kTwoPi = 2 * std::numbers::pi_v<float>;

// Long waves are slowed by `factor`, short ones kept, those between blended.
float llama3_frequency(float frequency, const RopeParameters& rope, int64_t original_length) {
  const auto factor = static_cast<float>(*rope.factor);
  const auto low = static_cast<float>(*rope.low_freq_factor), high = static_cast<float>(*rope.high_freq_factor);
  const auto original = static_cast<float>(original_length);
  const float wavelength = kTwoPi / frequency;
  if (wavelength < original / high) return frequency;
  if (wavelength > original / low) return frequency / factor;
  const float smooth = (original / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

double yarn_scale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

double yarn_attention_factor(const RopeParameters& rope) {
  if (rope.attention_factor) return *rope.attention_factor;
  if (rope.mscale.value_or(0) != 0 && rope.mscale_all_dim.value_or(0) != 0) {
    return yarn_scale(*rope.factor, *rope.mscale) / yarn_scale(*rope.factor, *rope.mscale_all_dim);
  }
  return yarn_scale(*rope.factor, 1);
}

// Channels that turn often within the original context keep their frequency, those that turn seldom are slowed.
void apply_yarn(std::vector<double>& frequencies, const RopeParameters& rope, int64_t head_dim,
                int64_t original_length) {
  const auto channel_of = [&](double turns) {
    return static_cast<double>(head_dim) *
           std::log(static_cast<double>(original_length) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(rope.rope_theta));
  };
  const double low = std::max(std::floor(channel_of(rope.beta_fast.value_or(32))), 0.0);
  double high = std::min(std::ceil(channel_of(rope.beta_slow.value_or(1))), static_cast<double>(head_dim - 1));
  if (high == low) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const auto slowed = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    const auto frequency = static_cast<float>(frequencies[i]);
    frequencies[i] = frequency / static_cast<float>(*rope.factor) * slowed + frequency * (1 - slowed);
  }
}

}  // namespace

RotaryFrequencies rotary_frequencies(const ModelConfig& config) {
  const RopeParameters& rope = config.rope;
  if (rope.rope_type == "longrope" || rope.partial_rotary_factor.value_or(1) != 1) {
    throw DataError(
        fmt::format("config.json: rope_type {} with partial_rotary_factor {}: expected default, linear, dynamic, "
                    "llama3 or yarn over "
                    "whole heads; this model cannot be run here",
                    rope.rope_type, rope.partial_rotary_factor.value_or(1)));
  }
  const int64_t original_length = rope.original_max_position_embeddings.value_or(config.max_position_embeddings);
  RotaryFrequencies result;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
    float frequency = 1.0f / std::pow(static_cast<float>(rope.rope_theta), exponent);
    if (rope.rope_type == "linear") frequency /= static_cast<float>(*rope.factor);
    if (rope.rope_type == "llama3") frequency = llama3_frequency(frequency, rope, original_length);
    result.values.push_back(frequency);
  }
  if (rope.rope_type == "yarn") {
    apply_yarn(result.values, rope, config.head_dim, original_length);
    result.attention_factor = yarn_attention_factor(rope);
  }
  return result;
}

}  // namespace speculators
