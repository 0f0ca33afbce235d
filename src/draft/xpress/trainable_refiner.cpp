#include "draft/xpress/trainable_refiner.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tril.h>

#include "nn/fused_ops.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

torch::Tensor product(const XPressModel& model, const torch::Tensor& x, const torch::Tensor& weight) {
  return nn::linear_plain(x, weight, {}, model.options.compute_dtype);
}

// x + W_down (silu(W_gate x) W_up x)
torch::Tensor add_mlp(const XPressModel& model, const torch::Tensor& x) {
  const auto gate = nn::activation_plain("silu", product(model, x, model.mlp_gate));
  return x + product(model, gate * product(model, x, model.mlp_up), model.mlp_down);
}

// Columns of in_proj that read the state, the mean or the token.
torch::Tensor in_proj_part(const XPressModel& model, int64_t part) {
  return model.in_proj.narrow(1, part * model.config.xpress_rank, model.config.xpress_rank);
}

}  // namespace

torch::Tensor refiner_features(const XPressModel& model, const torch::Tensor& states) {
  const auto blocks = states.unflatten(0, {-1, model.config.block_size});  // [G, L, D]
  const auto own = product(model, product(model, states, model.down_h), in_proj_part(model, 0));
  const auto shared = product(model, product(model, blocks.mean(1), model.down_g), in_proj_part(model, 1));  // [G, r]
  return (own.view({blocks.size(0), blocks.size(1), -1}) + shared.unsqueeze(1)).flatten(0, 1);
}

torch::Tensor refiner_latents(const XPressModel& model, const torch::Tensor& features,
                              const std::vector<int64_t>& previous) {
  const auto embedded = nn::repeat_rows(model.token_embed, nn::index_tensor(previous));
  const auto tokens = product(model, embedded, in_proj_part(model, 2));  // [N*G*L, r]
  const auto inputs = tokens.view({-1, features.size(0), features.size(1)}) + features;
  const auto a = inputs.view({-1, model.config.block_size, features.size(1)});  // [N*G, L, r]
  const auto mixed = at::matmul(at::tril(model.mix_l), a.permute({2, 1, 0}));   // [r, L, N*G]
  return add_mlp(model, (a + mixed.permute({2, 1, 0})).flatten(0, 1));
}

torch::Tensor refiner_latents_plain(const XPressModel& model, const torch::Tensor& states,
                                    const std::vector<int64_t>& previous) {
  const auto h = states.unflatten(0, {-1, model.config.block_size});  // [G, L, D]
  const auto g = h.mean(1, /*keepdim=*/true).expand_as(h);
  const auto embedded = at::embedding(model.token_embed, nn::index_tensor(previous, states.device()));
  const auto inputs =
      at::cat({product(model, h.flatten(0, 1), model.down_h), product(model, g.flatten(0, 1), model.down_g), embedded},
              1);  // [G*L, 3r]
  const auto a = product(model, inputs, model.in_proj).unflatten(0, {-1, model.config.block_size});
  return add_mlp(model, (a + at::einsum("ckj,njc->nkc", {at::tril(model.mix_l), a})).flatten(0, 1));
}

}  // namespace speculators
