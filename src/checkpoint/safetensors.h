// safetensors: 8 bytes little-endian header length, a JSON header, then raw tensor bytes. Read through a memory map,
// written whole or not at all. Every kind of damage is named: file, tensor, expected, found.
// Source: docs/formats/safetensors.md. Readers are const and may be shared between threads.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "checkpoint/tensor_view.h"

namespace speculators {

// Named tensors from one file, or from a checkpoint folder: `model.safetensors`, or the shards that
// `model.safetensors.index.json` lists; else torch's own `pytorch_model.bin` or its shards. Throws DataError for
// damage.
class TensorFile {
 public:
  static TensorFile open(const fs::path& file);  // a name that ends in .bin: a torch archive
  static TensorFile open_folder(const fs::path& folder);

  const TensorView* find(std::string_view name) const;  // null when there is none
  const TensorView& get(std::string_view name) const;   // throws DataError listing the nearest names
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }
  const fs::path& path() const { return path_; }

 private:
  static TensorFile open_shards(const fs::path& folder, const fs::path& index);

  fs::path path_;
  std::vector<MappedFile> maps_;
  std::deque<std::vector<std::byte>> copies_;  // of tensors that no file holds densely
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

using NamedTensors = std::vector<std::pair<std::string, TensorView>>;

// The format allows no gaps, so wide elements go first, else in the order given: every tensor is aligned for its type.
// `metadata` goes under "__metadata__" ({"format": "pt"} is added). Throws ShapeError when bytes do not match a shape,
// DataError for a name given twice or a failed write.
void write_safetensors(const fs::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string, std::less<>>& metadata = {});

}  // namespace speculators
