// The weights in a `pytorch_model.bin`: torch.save's ZIP archive of a state dict. Storages are read where they lie; the
// pickle is read as inert values (pickle_machine.h), so a hostile file can do nothing but be refused.
// Source: docs/formats/torch.md (torch/serialization.py, torch/_utils.py). Internal to checkpoint/.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/tensor_view.h"

namespace speculators {

struct TorchArchive {
  std::map<std::string, TensorView, std::less<>> tensors;  // views into `bytes` or `copies`
  std::deque<std::vector<std::byte>> copies;               // tensors that are no dense block of their storage
};

// Throws DataError that starts with `place` for damage, for anything but a dict of tensors, and for files of torch
// before 1.6.
TorchArchive read_torch_archive(std::span<const std::byte> bytes, const std::string& place);

}  // namespace speculators
