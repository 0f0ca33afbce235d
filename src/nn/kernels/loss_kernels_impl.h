// Losses over a vocabulary row for RowKernels. Included once per instruction set; see row_kernels.h.
// Source: reference algorithms.md 10.1. p target, q draft probabilities; z draft logits.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/kernels/layer_kernels_impl.h"
#include "nn/loss_spec.h"

namespace speculators::nn {
namespace {

constexpr float kSmallestOverlap = 1e-5f;

struct Maximum {
  float value;
  int64_t index;  // the first one
};

Maximum find_maximum(const float* z, int64_t count) {
  float best = z[0];
#pragma omp simd reduction(max : best)
  for (int64_t i = 0; i < count; ++i) best = z[i] > best ? z[i] : best;
  constexpr int64_t kBlock = 64;  // a block is searched as a whole before its elements are
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = std::min(start + kBlock, count);
    int hits = 0;
#pragma omp simd reduction(+ : hits)
    for (int64_t i = start; i < end; ++i) hits += z[i] == best;
    if (hits == 0) continue;
    for (int64_t i = start; i < end; ++i) {
      if (z[i] == best) return {best, i};
    }
  }
  return {best, 0};  // only for NaN
}

// e = exp(z - maximum); gives the sum. e may be z.
float exponentials(const float* z, float maximum, int64_t count, float* e) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    const float value = fast_exp(z[i] - maximum);
    e[i] = value;
    sum += value;
  }
  return sum;
}

void target_row(float* z, int64_t vocab, float* logs, std::vector<float>& e, TargetRow& row) {
  const Maximum maximum = find_maximum(z, vocab);
  row.argmax = maximum.index;
  const float sum = exponentials(z, maximum.value, vocab, e.data());
  const float inverse = 1.0f / sum, log_sum = std::log(sum);
  float entropy = 0;
#pragma omp simd reduction(+ : entropy)
  for (int64_t i = 0; i < vocab; ++i) {
    const float p = e[i] * inverse, log_p = z[i] - maximum.value - log_sum;
    entropy += p * log_p;
    z[i] = p;
    e[i] = log_p;
  }
  row.negative_entropy = entropy;
  row.probabilities = z;
  if (!logs) return;
  std::copy(e.begin(), e.end(), logs);
  row.log_probabilities = logs;
}

void target_rows(float* logits, int64_t num_rows, int64_t vocab, bool with_probabilities, float* logs,
                 TargetRow* rows) {
  parallel_ranges(num_rows, vocab * 8, [&](int64_t begin, int64_t end, int) {
    std::vector<float> buffer(vocab);
    for (int64_t r = begin; r < end; ++r) {
      rows[r] = TargetRow{};
      if (with_probabilities) {
        target_row(logits + r * vocab, vocab, logs ? logs + r * vocab : nullptr, buffer, rows[r]);
      } else {
        rows[r].argmax = find_maximum(logits + r * vocab, vocab).index;
      }
    }
  });
}

// A draft row between its passes.
struct RowState {
  const TargetRow& target;
  float* z;  // logits
  float* q;  // exp(z - maximum), later probabilities
  int64_t vocab;
  float maximum = 0, log_sum = 0;
  float overlap = 0, mass = 0;            // sum min(p, q); sum of q where q <= p
  float cross = 0;                        // sum p (log q)
  float reverse_kl = 0, q_to_middle = 0;  // KL(q || p); KL(q || m)
  // Gradient: q * to_q + p * to_p + q [q <= p] * to_inside, and to_hit at the target's argmax.
  float to_q = 0, to_p = 0, to_inside = 0, to_hit = 0;
};

void measure_cross(RowState& s) {
  const float *p = s.target.probabilities, *z = s.z;
  const float maximum = s.maximum;
  float cross = 0, mass = 0;
#pragma omp simd reduction(+ : cross, mass)
  for (int64_t i = 0; i < s.vocab; ++i) {
    cross += p[i] * (z[i] - maximum);
    mass += p[i];
  }
  s.cross = cross - mass * s.log_sum;
}

void measure_overlap(RowState& s) {
  const float *p = s.target.probabilities, *q = s.q;
  float overlap = 0, mass = 0;
#pragma omp simd reduction(+ : overlap, mass)
  for (int64_t i = 0; i < s.vocab; ++i) {
    const bool inside = q[i] <= p[i];
    overlap += inside ? q[i] : p[i];
    mass += inside ? q[i] : 0.0f;
  }
  s.overlap = overlap;
  s.mass = mass;
}

void measure_reverse_kl(RowState& s) {
  const float *log_p = s.target.log_probabilities, *q = s.q, *z = s.z;
  const float shift = s.maximum + s.log_sum;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < s.vocab; ++i) sum += q[i] * (z[i] - shift - log_p[i]);
  s.reverse_kl = sum;
}

float log_middle(float p, float q) { return fast_log(std::max(0.5f * (p + q), 1.2e-38f)); }

// Gives the Jensen-Shannon divergence.
float measure_jsd(RowState& s) {
  const float *p = s.target.probabilities, *log_p = s.target.log_probabilities, *q = s.q, *z = s.z;
  const float shift = s.maximum + s.log_sum;
  float p_side = 0, q_side = 0;
#pragma omp simd reduction(+ : p_side, q_side)
  for (int64_t i = 0; i < s.vocab; ++i) {
    const float middle = log_middle(p[i], q[i]);
    p_side += p[i] * (log_p[i] - middle);
    q_side += q[i] * (z[i] - shift - middle);
  }
  s.q_to_middle = q_side;
  return 0.5f * (p_side + q_side);
}

void add_tv_gradient(RowState& s, float weight) {
  s.to_q += weight * s.mass;
  s.to_inside -= weight;
}

void add_kl_gradient(RowState& s, float weight) {
  s.to_q += weight;
  s.to_p -= weight;
}

// The value of one kind; its share of the gradient goes into the coefficients.
float measure(RowState& s, LossKind kind, float weight) {
  const float tv = 1.0f - s.overlap;
  switch (kind) {
    case LossKind::kKlDiv:
      add_kl_gradient(s, weight);
      return s.target.negative_entropy - s.cross;
    case LossKind::kReverseKl:
      measure_reverse_kl(s);
      return s.reverse_kl;
    case LossKind::kJsd:
      return measure_jsd(s);
    case LossKind::kCrossEntropy:
      s.to_q += weight;
      s.to_hit -= weight;
      return s.maximum + s.log_sum - s.z[s.target.argmax];
    case LossKind::kTotalVariation:
      add_tv_gradient(s, weight);
      return tv;
    case LossKind::kNegLogAcceptance:
      if (s.overlap > kSmallestOverlap) add_tv_gradient(s, weight / s.overlap);
      return -std::log(std::max(s.overlap, kSmallestOverlap));
    case LossKind::kLkHybrid: {
      const float mix = std::exp(-3.0f * s.overlap);
      add_kl_gradient(s, weight * mix);
      add_tv_gradient(s, weight * (1.0f - mix));
      return mix * (s.target.negative_entropy - s.cross) + (1.0f - mix) * tv;
    }
  }
  return 0;
}

// The gradient takes the place of the logits.
void write_gradient(RowState& s, const LossWeights& weights) {
  const float *p = s.target.probabilities, *log_p = s.target.log_probabilities, *q = s.q;
  float* z = s.z;
  const float to_q = s.to_q, to_p = s.to_p, to_inside = s.to_inside, shift = s.maximum + s.log_sum;
  const float reverse = weights.weight[static_cast<int>(LossKind::kReverseKl)];
  const float half_jsd = 0.5f * weights.weight[static_cast<int>(LossKind::kJsd)];
  if (reverse != 0 || half_jsd != 0) {
#pragma omp simd
    for (int64_t i = 0; i < s.vocab; ++i) {
      const float log_q = z[i] - shift;
      const float inside = q[i] <= p[i] ? to_inside : 0.0f;
      z[i] = q[i] * (to_q + inside + reverse * (log_q - log_p[i] - s.reverse_kl) +
                     half_jsd * (log_q - log_middle(p[i], q[i]) - s.q_to_middle)) +
             p[i] * to_p;
    }
  } else if (to_inside != 0) {
#pragma omp simd
    for (int64_t i = 0; i < s.vocab; ++i) z[i] = q[i] * (to_q + (q[i] <= p[i] ? to_inside : 0.0f)) + p[i] * to_p;
  } else if (to_p != 0) {
#pragma omp simd
    for (int64_t i = 0; i < s.vocab; ++i) z[i] = q[i] * to_q + p[i] * to_p;
  } else {
#pragma omp simd
    for (int64_t i = 0; i < s.vocab; ++i) z[i] = q[i] * to_q;
  }
  z[s.target.argmax] += s.to_hit;
}

bool wants(const LossWeights& weights, std::initializer_list<LossKind> kinds) {
  return std::any_of(kinds.begin(), kinds.end(), [&](LossKind kind) { return weights.wanted[static_cast<int>(kind)]; });
}

void draft_row(RowState& s, const LossWeights& weights, bool wants_gradient, DraftRow& result) {
  const Maximum maximum = find_maximum(s.z, s.vocab);
  result = DraftRow{};
  result.argmax = maximum.index;
  s.maximum = maximum.value;
  const float sum = exponentials(s.z, s.maximum, s.vocab, s.q), inverse = 1.0f / sum;
  s.log_sum = std::log(sum);
#pragma omp simd
  for (int64_t i = 0; i < s.vocab; ++i) s.q[i] *= inverse;
  if (wants(weights, {LossKind::kKlDiv, LossKind::kLkHybrid})) measure_cross(s);
  if (wants(weights, {LossKind::kTotalVariation, LossKind::kNegLogAcceptance, LossKind::kLkHybrid})) measure_overlap(s);
  for (int kind = 0; kind < 7; ++kind) {
    if (!weights.wanted[kind]) continue;
    result.values[kind] = measure(s, static_cast<LossKind>(kind), weights.weight[kind]);
    result.total += weights.weight[kind] * result.values[kind];
  }
  if (wants_gradient) {
    write_gradient(s, weights);
  } else {
    std::fill(s.z, s.z + s.vocab, 0.0f);
  }
}

void draft_rows(float* logits, int64_t num_rows, int64_t vocab, const TargetRow* const* targets,
                const uint8_t* wants_gradient, const LossWeights& weights, DraftRow* rows) {
  parallel_ranges(num_rows, vocab * 8, [&](int64_t begin, int64_t end, int) {
    std::vector<float> q(vocab);
    for (int64_t r = begin; r < end; ++r) {
      RowState state{*targets[r], logits + r * vocab, q.data(), vocab};
      draft_row(state, weights, wants_gradient[r], rows[r]);
    }
  });
}

}  // namespace
}  // namespace speculators::nn
