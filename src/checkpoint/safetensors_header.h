// The JSON header of one safetensors file, checked: every tensor has a known dtype, its bytes match shape x dtype, and
// the tensors fill the data section without holes or overlaps. Internal to checkpoint/.
// Source: docs/formats/safetensors.md.
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/files.h"
#include "checkpoint/tensor_view.h"

namespace speculators {

struct SafetensorsHeader {
  std::map<std::string, TensorView, std::less<>> tensors;  // views into the bytes given to the parser
  std::map<std::string, std::string, std::less<>> metadata;
};

// `file` is the whole file. Throws DataError that starts with `path` for any damage.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const fs::path& path);

}  // namespace speculators
