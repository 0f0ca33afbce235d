// Optimisers of the drafts: AdamW for everything, or Muon for the matrices and AdamW for the rest.
// Source: reference algorithms.md 13.1-13.3; Muon: K. Jordan et al. (2024), arXiv:2502.16982 for the adjusted rate.
// State is fp32 on the parameters' device. Not thread-safe.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "draft/trainable.h"

namespace speculators {

struct OptimiserOptions {
  std::string optimiser = "muon";  // muon or adamw
  double lr = 1e-3;
  double weight_decay = 0.01;
  double muon_lr = 1e-3;
  double muon_momentum = 0.95;
  double muon_weight_decay = 0.1;
  int64_t muon_ns_steps = 5;
  std::string muon_adjust_lr_fn = "match_rms_adamw";  // or "original"
  // Orthogonalise in bf16 as upstream does, on a CPU too, where that is up to 1000 times slower than fp32.
  bool compat_upstream = false;
};

// One parameter group with its rule. Parameters without a gradient are left as they are.
class Optimiser {
 public:
  virtual ~Optimiser() = default;
  virtual std::string name() const = 0;  // "AdamW", "Muon"
  virtual double base_lr() const = 0;
  // One update with rate base_lr * factor. Reads the gradients, changes the values.
  virtual void step(double factor) = 0;
  // The state tensors by name, shared and not copied: save them, or copy loaded values into them.
  virtual std::vector<NamedParameter> state() = 0;
  virtual int64_t num_steps() const = 0;
  virtual void set_num_steps(int64_t num_steps) = 0;
};

using Optimisers = std::vector<std::unique_ptr<Optimiser>>;

// {AdamW}, or {Muon, AdamW} without a group that would be empty. Throws UsageError for an unknown name or a negative
// rate.
Optimisers make_optimisers(const std::vector<NamedParameter>& parameters, const OptimiserOptions& options);

// Whether Muon takes this parameter: a matrix with both sides above 1 that is neither an embedding nor a head.
bool is_muon_parameter(const NamedParameter& parameter);

// The orthogonal factor of `update` [rows, cols] by Newton-Schulz, computed in `dtype` (fp32 or bf16), returned as
// fp32.
torch::Tensor orthogonalise(const torch::Tensor& update, int64_t num_steps, torch::Dtype dtype);

// Scales all gradients so that their common norm is at most `max_norm` (0: only measures). Returns the norm before.
double clip_gradients(const std::vector<NamedParameter>& parameters, double max_norm);
void clear_gradients(const std::vector<NamedParameter>& parameters);

}  // namespace speculators
