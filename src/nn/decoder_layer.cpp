#include "nn/decoder_layer.h"

namespace speculators::nn {
namespace {

void visit_part(LinearGroup& group, size_t part, const std::string& name, const ParameterVisitor& visit) {
  visit(name + ".weight", group.weight(part));
  if (group.has_bias()) visit(name + ".bias", group.bias(part));
}

void visit_norm(torch::Tensor& weight, const std::string& name, const ParameterVisitor& visit) {
  if (weight.defined()) visit(name + ".weight", weight);
}

}  // namespace

DecoderLayer::DecoderLayer(const LayerShape& s, at::Generator& generator) : shape(s) {
  q = LinearGroup(s.num_inputs, {s.num_heads * s.head_dim}, s.attention_bias, generator);
  kv = LinearGroup(s.num_inputs, {s.num_kv_heads * s.head_dim, s.num_kv_heads * s.head_dim}, s.attention_bias,
                   generator);
  o = LinearGroup(s.num_heads * s.head_dim, {s.hidden_size}, s.attention_bias, generator);
  gate_up = LinearGroup(s.hidden_size, {s.intermediate_size, s.intermediate_size}, s.mlp_bias, generator);
  down = LinearGroup(s.intermediate_size, {s.hidden_size}, s.mlp_bias, generator);
  if (s.has_qk_norms) {
    q_norm = make_norm_parameter(s.head_dim);
    k_norm = make_norm_parameter(s.head_dim);
  }
  input_layernorm = make_norm_parameter(s.hidden_size);
  if (s.has_hidden_norm) hidden_norm = make_norm_parameter(s.hidden_size);
  post_attention_layernorm = make_norm_parameter(s.hidden_size);
}

void visit_parameters(DecoderLayer& layer, const std::string& prefix, const ParameterVisitor& visit) {
  visit_norm(layer.input_layernorm, prefix + "input_layernorm", visit);
  visit_norm(layer.hidden_norm, prefix + "hidden_norm", visit);
  visit_part(layer.q, 0, prefix + "self_attn.q_proj", visit);
  visit_part(layer.kv, 0, prefix + "self_attn.k_proj", visit);
  visit_part(layer.kv, 1, prefix + "self_attn.v_proj", visit);
  visit_norm(layer.q_norm, prefix + "self_attn.q_norm", visit);
  visit_norm(layer.k_norm, prefix + "self_attn.k_norm", visit);
  visit_part(layer.o, 0, prefix + "self_attn.o_proj", visit);
  visit_norm(layer.post_attention_layernorm, prefix + "post_attention_layernorm", visit);
  visit_part(layer.gate_up, 0, prefix + "mlp.gate_proj", visit);
  visit_part(layer.gate_up, 1, prefix + "mlp.up_proj", visit);
  visit_part(layer.down, 0, prefix + "mlp.down_proj", visit);
}

}  // namespace speculators::nn
