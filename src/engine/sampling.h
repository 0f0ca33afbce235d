// From logits to a token: the distribution after temperature, min-p, top-k and top-p, and one draw from it.
// Source: vLLM's order (reference vllm_contract.md): temperature, min-p on the whole row, top-k, then top-p on what is
// left; ties at the top-k border are kept. Pure functions of one row, so any thread may call them. Dims: Vv verifier
// vocabulary.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace speculators {

struct SamplingParams {
  double temperature = 0;  // 0: greedy
  int64_t top_k = 0;       // 0: off
  double top_p = 1;
  double min_p = 0;
  uint64_t seed = 0;  // a request's text depends on its seed only, whatever else runs
};

// Temperatures too small to divide by count as 0, as in vLLM.
bool is_greedy(const SamplingParams& params);

// Throws UsageError naming the parameter, its range and what was found.
void check_sampling_params(const SamplingParams& params);

// The generator of a request. Neighbouring seeds give unrelated streams.
std::mt19937_64 make_generator(uint64_t seed);

// Uniform in [0, 1), 53 random bits.
double draw_uniform(std::mt19937_64& random);

// Turns logits into the distribution in place; needs temperature > 0. Excluded tokens get exactly 0. `scratch` is
// working memory that grows to the largest vocabulary seen; one per thread.
void to_distribution(std::span<float> logits, const SamplingParams& params, std::vector<int32_t>& scratch);

// Draws an index with probability weights[i] / sum(weights); the sum must be positive. Never returns an index of weight
// 0.
int32_t draw(std::span<const float> weights, std::mt19937_64& random);

// Best and second-best value of a row and where the best is (first maximum).
struct TopTwo {
  int32_t best = 0;
  float value = 0;   // of the best
  float margin = 0;  // best minus second
};
TopTwo top_two(std::span<const float> logits);
TopTwo top_one(std::span<const float> logits);  // cheaper: margin stays 0

}  // namespace speculators
