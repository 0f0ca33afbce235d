#include "draft/training/batch_rows.h"

#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {
namespace {

void check_sizes(const torch::Tensor& tensor, at::IntArrayRef expected, const char* name) {
  if (tensor.defined() && tensor.sizes() == expected) return;
  const std::string found = tensor.defined() ? fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", ")) : "nothing";
  throw ShapeError(
      fmt::format("training batch: {}: expected [{}], found {}", name, fmt::join(expected.vec(), ", "), found));
}

}  // namespace

BatchRows read_batch_rows(const TrainBatch& batch, int64_t aux_width, int64_t hidden_size) {
  check_sizes(batch.input_ids, {batch.input_ids.defined() ? batch.input_ids.numel() : 0}, "input_ids");
  const int64_t length = batch.input_ids.numel();
  check_sizes(batch.aux_hidden_states, {length, aux_width}, "aux_hidden_states");
  check_sizes(batch.last_hidden_states, {length, hidden_size}, "last_hidden_states");
  check_sizes(batch.loss_mask, {length}, "loss_mask");
  check_sizes(batch.position_ids, {length}, "position_ids");
  check_sizes(batch.document_ids, {length}, "document_ids");

  const auto mask = batch.loss_mask.ne(0).to(torch::kCPU, torch::kUInt8).contiguous();
  BatchRows rows;
  rows.documents = host_values(batch.document_ids);
  rows.supervised.assign(mask.data_ptr<uint8_t>(), mask.data_ptr<uint8_t>() + length);
  return rows;
}

std::vector<int64_t> host_values(const torch::Tensor& values) {
  const auto host = values.to(torch::kCPU, torch::kInt64).contiguous();
  return {host.const_data_ptr<int64_t>(), host.const_data_ptr<int64_t>() + host.numel()};
}

std::vector<int64_t> document_starts(const BatchRows& rows) {
  std::vector<int64_t> starts(rows.documents.size());
  for (int64_t i = 0; i < rows.num_rows(); ++i) {
    starts[i] = rows.same_document(i - 1, i) ? starts[i - 1] : i;
  }
  return starts;
}

}  // namespace speculators
