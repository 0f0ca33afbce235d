#include "train/collate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"

namespace speculators {
namespace {

void check_document(const TrainDocument& document, const TrainDocument& first) {
  const int64_t rows = document.input_ids.size(0);
  const auto check = [&](const char* field, const torch::Tensor& tensor, int64_t width) {
    const bool fits = tensor.size(0) == rows && (width == 0 || (tensor.dim() == 2 && tensor.size(1) == width));
    if (fits) return;
    throw ShapeError(
        fmt::format("packing: {}: expected [{}{}], got [{}]; were these hidden states made by the same verifier?",
                    field, rows, width ? fmt::format(", {}", width) : "", fmt::join(tensor.sizes(), ", ")));
  };
  check("aux_hidden_states", document.aux_hidden_states, first.aux_hidden_states.size(1));
  check("last_hidden_states", document.last_hidden_states, first.last_hidden_states.size(1));
  check("loss_mask", document.loss_mask, 0);
  check("position_ids", document.position_ids, 0);
}

// Rows are copied (and converted) straight into the packed tensor; only the tail has to be cleared.
torch::Tensor make_rows(const torch::Tensor& like, int64_t length, torch::Dtype dtype) {
  auto sizes = like.sizes().vec();
  sizes[0] = length;
  return torch::empty(sizes, torch::TensorOptions().dtype(dtype));
}

}  // namespace

TrainBatch pack_documents(const std::vector<TrainDocument>& documents, int64_t length, torch::Dtype compute_dtype) {
  if (documents.empty()) throw ShapeError("packing: expected at least one document (an empty one for a padding row)");
  const torch::NoGradGuard no_grad;
  const TrainDocument& first = documents.front();
  TrainBatch batch;
  batch.input_ids = make_rows(first.input_ids, length, torch::kInt64);
  batch.aux_hidden_states = make_rows(first.aux_hidden_states, length, compute_dtype);
  batch.last_hidden_states = make_rows(first.last_hidden_states, length, compute_dtype);
  batch.loss_mask = make_rows(first.loss_mask, length, torch::kBool);
  batch.position_ids = make_rows(first.position_ids, length, torch::kInt64);
  batch.document_ids = make_rows(first.input_ids, length, torch::kInt64);

  int64_t used = 0, document_id = 0;
  for (const TrainDocument& document : documents) {
    check_document(document, first);
    const int64_t rows = std::min(document.input_ids.size(0), length - used);
    const auto copy = [&](const torch::Tensor& to, const torch::Tensor& from) {
      to.narrow(0, used, rows).copy_(from.narrow(0, 0, rows));
    };
    copy(batch.input_ids, document.input_ids);
    copy(batch.aux_hidden_states, document.aux_hidden_states);
    copy(batch.last_hidden_states, document.last_hidden_states);
    copy(batch.loss_mask, document.loss_mask);
    copy(batch.position_ids, document.position_ids);
    batch.document_ids.narrow(0, used, rows).fill_(document_id++);
    used += rows;
  }
  for (auto* field :
       {&batch.input_ids, &batch.aux_hidden_states, &batch.last_hidden_states, &batch.loss_mask, &batch.position_ids}) {
    field->narrow(0, used, length - used).zero_();
  }
  batch.document_ids.narrow(0, used, length - used).fill_(-1);
  return batch;
}

TrainBatch to_device(TrainBatch batch, torch::Device device) {
  if (device.is_cpu()) return batch;
  for (auto* field : {&batch.input_ids, &batch.aux_hidden_states, &batch.last_hidden_states, &batch.loss_mask,
                      &batch.position_ids, &batch.document_ids}) {
    *field = field->to(device);
  }
  return batch;
}

}  // namespace speculators
