#include "checkpoint/import_gguf.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_llama.h"
#include "checkpoint/gguf_tokenizer.h"
#include "checkpoint/safetensors.h"

namespace speculators {
namespace {

using Shard = std::vector<LlamaTensor>;

int64_t bytes_of(const LlamaTensor& tensor) {
  return TensorView{DType::kBF16, tensor.shape, {}}.num_elements() * size_of(DType::kBF16);
}

// Fills each shard before the next is begun; a tensor above the limit has one of its own.
std::vector<Shard> split_into_shards(const std::vector<LlamaTensor>& tensors, int64_t max_shard_bytes) {
  std::vector<Shard> shards(1);
  int64_t used = 0;
  for (const LlamaTensor& tensor : tensors) {
    if (used + bytes_of(tensor) > max_shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(tensor);
    used += bytes_of(tensor);
  }
  return shards;
}

void write_shard(const fs::path& path, const Shard& shard) {
  std::vector<Tensor> loaded;
  for (const LlamaTensor& tensor : shard) {
    loaded.push_back(make_tensor(tensor.shape, std::span<const Bf16>(load_llama_tensor(tensor))));
  }
  NamedTensors named;
  for (size_t i = 0; i < shard.size(); ++i) named.emplace_back(shard[i].name, loaded[i].view());
  write_safetensors(path, named);
}

void write_weights(const fs::path& folder, const std::vector<LlamaTensor>& tensors, int64_t max_shard_bytes) {
  const std::vector<Shard> shards = split_into_shards(tensors, max_shard_bytes);
  if (shards.size() == 1) {
    write_shard(folder / "model.safetensors", shards[0]);
    return;
  }
  int64_t total = 0;
  Json weight_map = Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    write_shard(folder / name, shards[i]);
    for (const LlamaTensor& tensor : shards[i]) {
      weight_map[tensor.name] = name;
      total += bytes_of(tensor);
    }
  }
  Json index = {{"metadata", Json{{"total_size", total}}}};
  index["weight_map"] = std::move(weight_map);
  write_json(folder / "model.safetensors.index.json", index);
}

Json config_json(const ModelConfig& config) {
  Json json = to_json(config);
  json["dtype"] = "bfloat16";
  // The dialect; without it transformers takes any large vocabulary for an old Mistral's and warns of a wrong pattern.
  json["transformers_version"] = "5.0.0";
  return json;
}

Json generation_config_json(const ModelConfig& config) {
  const Json whole = to_json(config);
  Json json = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (!whole[key].is_null()) json[key] = whole[key];
  }
  return json;
}

}  // namespace

void import_gguf(const fs::path& file, const fs::path& output_folder, int64_t max_shard_bytes) {
  const GgufFile gguf(file);
  const ModelConfig config = make_llama_config(gguf.metadata(), gguf.tensors());
  const auto tensors = list_llama_tensors(config, gguf.tensors(), file.string());
  const Json tokenizer = make_tokenizer(gguf.metadata());
  const Json tokenizer_config = make_tokenizer_config(gguf.metadata());
  try {
    write_folder(output_folder, [&](const fs::path& folder) {
      write_json(folder / "config.json", config_json(config));
      write_json(folder / "generation_config.json", generation_config_json(config));
      write_json(folder / "tokenizer.json", tokenizer);
      write_json(folder / "tokenizer_config.json", tokenizer_config);
      write_weights(folder, tensors, max_shard_bytes);
    });
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("{}: a text in its metadata is not valid UTF-8; is the file damaged?", file.string()));
  }
}

}  // namespace speculators
