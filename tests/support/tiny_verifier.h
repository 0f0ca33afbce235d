// Writes tiny Hugging Face verifier folders with random bf16 weights, for tests: config.json and model.safetensors.
// Free of gtest.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "checkpoint/model_config.h"
#include "checkpoint/tensor_view.h"

namespace speculators::testing {

// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

using OwnedTensors = std::vector<std::pair<std::string, Tensor>>;

// Three layers, hidden size 16, 4 query and 2 key/value heads of 8, vocabulary 40, context 128, an untied head.
ModelConfig tiny_config(const std::string& model_type = "llama");

// Every tensor that a folder with this config has; the same seed gives the same weights on every machine.
OwnedTensors tiny_tensors(const ModelConfig& config, uint64_t seed = 1);

// Writes `folder`/config.json and `folder`/model.safetensors.
void write_verifier(const fs::path& folder, const ModelConfig& config, const OwnedTensors& tensors);
void write_tiny_verifier(const fs::path& folder, const ModelConfig& config, uint64_t seed = 1);

}  // namespace speculators::testing
