#include "checkpoint/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/errors.h"
#include "base/nearest.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/torch_archive.h"

namespace speculators {
namespace {

constexpr std::string_view kSingleFiles[] = {"model.safetensors", "pytorch_model.bin"};
constexpr std::string_view kIndexSuffix = ".index.json";

using WeightMap = std::map<std::string, std::string>;

// A shard is a file beside the index: a path could lead anywhere on the machine.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

WeightMap read_weight_map(const fs::path& index) {
  nlohmann::json content;
  try {
    content = nlohmann::json::parse(read_file(index));
  } catch (const nlohmann::json::parse_error& error) {
    throw DataError(fmt::format("{}: not valid JSON at byte {}; is the file complete?", index.string(), error.byte));
  }
  const auto found = content.is_object() ? content.find("weight_map") : content.end();
  if (!content.is_object() || found == content.end() || !found->is_object()) {
    throw DataError(fmt::format("{}: expected an object with \"weight_map\"", index.string()));
  }
  WeightMap map;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>())) {
      throw DataError(fmt::format("{}: weight_map: {}: expected a file name beside the index", index.string(), tensor));
    }
    map.emplace(tensor, shard.get<std::string>());
  }
  if (map.empty()) throw DataError(fmt::format("{}: weight_map lists no tensor", index.string()));
  return map;
}

void throw_all(const fs::path& place, const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  constexpr size_t kShown = 20;
  const std::vector<std::string> shown(problems.begin(), problems.begin() + std::min(kShown, problems.size()));
  const auto more = problems.size() > kShown ? fmt::format("; and {} more", problems.size() - kShown) : "";
  throw DataError(fmt::format("{}: {}{}", place.string(), fmt::join(shown, "; "), more));
}

using TensorPointers = std::vector<const NamedTensors::value_type*>;
using Metadata = std::map<std::string, std::string, std::less<>>;

nlohmann::ordered_json make_header(const fs::path& path, const TensorPointers& in_order, const Metadata& metadata) {
  auto header = nlohmann::ordered_json::object();
  header["__metadata__"] = {{"format", "pt"}};
  for (const auto& [key, text] : metadata) header["__metadata__"][key] = text;
  std::set<std::string_view> names = {"__metadata__"};
  int64_t offset = 0;
  for (const auto* item : in_order) {
    const auto& [name, tensor] = *item;
    const auto num_bytes = static_cast<int64_t>(tensor.bytes.size());
    if (!names.insert(name).second) {
      throw DataError(fmt::format("{}: {}: two tensors of this name", path.string(), name));
    }
    if (tensor.num_elements() * size_of(tensor.dtype) != num_bytes) {
      throw ShapeError(fmt::format("{}: {}: {} {} does not fill {} bytes", path.string(), name, name_of(tensor.dtype),
                                   shape_string(tensor.shape), num_bytes));
    }
    nlohmann::ordered_json entry = {{"dtype", name_of(tensor.dtype)}, {"shape", tensor.shape}};
    entry["data_offsets"] = {offset, offset + num_bytes};
    header.emplace(name, std::move(entry));
    offset += num_bytes;
  }
  return header;
}

// Tensors that are not in the shard where the index puts them; missing shards have been named before.
void check_index(const fs::path& folder, const WeightMap& weight_map, const WeightMap& shard_of,
                 std::vector<std::string>& problems) {
  for (const auto& [name, shard] : weight_map) {
    const auto at = shard_of.find(name);
    const bool is_there = at != shard_of.end() && at->second == shard;
    if (!is_there && fs::exists(folder / shard)) {
      problems.push_back(fmt::format("{} is not in {}, where the index puts it", name, shard));
    }
  }
}

}  // namespace

TensorFile TensorFile::open(const fs::path& file) {
  TensorFile result;
  result.path_ = file;
  result.maps_.emplace_back(file);
  if (file.extension() == ".bin") {
    TorchArchive archive = read_torch_archive(result.maps_.back().bytes(), file.string());
    result.tensors_ = std::move(archive.tensors);
    result.copies_ = std::move(archive.copies);
    return result;
  }
  auto header = parse_safetensors(result.maps_.back().bytes(), file);
  result.tensors_ = std::move(header.tensors);
  result.metadata_ = std::move(header.metadata);
  return result;
}

TensorFile TensorFile::open_folder(const fs::path& folder) {
  for (const std::string_view name : kSingleFiles) {
    const fs::path index = folder / (std::string(name) + std::string(kIndexSuffix));
    if (fs::exists(index)) return open_shards(folder, index);
    if (fs::exists(folder / name)) return open(folder / name);
  }
  throw DataError(
      fmt::format("{}: expected {} or {}{}, found neither; is this a checkpoint folder in safetensors form?",
                  folder.string(), kSingleFiles[0], kSingleFiles[0], kIndexSuffix));
}

TensorFile TensorFile::open_shards(const fs::path& folder, const fs::path& index) {
  const WeightMap weight_map = read_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map) shards.insert(shard);

  TensorFile result;
  result.path_ = folder;
  std::vector<std::string> problems;
  WeightMap shard_of;  // where each tensor was found
  for (const std::string& shard : shards) {
    if (!fs::exists(folder / shard)) {
      problems.push_back(fmt::format("shard {} is missing", shard));
      continue;
    }
    TensorFile part = open(folder / shard);
    for (auto& [name, tensor] : part.tensors_) {
      const auto [at, is_new] = shard_of.emplace(name, shard);
      if (!is_new) problems.push_back(fmt::format("{} is in {} and in {}", name, at->second, shard));
      result.tensors_.emplace(name, std::move(tensor));
    }
    result.metadata_.merge(part.metadata_);
    std::ranges::move(part.maps_, std::back_inserter(result.maps_));
    std::ranges::move(part.copies_, std::back_inserter(result.copies_));
  }
  check_index(folder, weight_map, shard_of, problems);
  throw_all(index, problems);
  return result;
}

const TensorView* TensorFile::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const TensorView& TensorFile::get(std::string_view name) const {
  if (const TensorView* found = find(name)) return *found;
  std::vector<std::string> names;
  for (const auto& [known, tensor] : tensors_) names.push_back(known);
  throw DataError(fmt::format("{}: expected tensor {}, found none of that name{}", path_.string(), name,
                              did_you_mean(name, names)));
}

void write_safetensors(const fs::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string, std::less<>>& metadata) {
  // The format allows no gaps, so wide elements go first: then every tensor is aligned for its type.
  TensorPointers in_order;
  for (const auto& item : tensors) in_order.push_back(&item);
  std::ranges::stable_sort(in_order, std::ranges::greater{},
                           [](const auto* item) { return size_of(item->second.dtype); });

  std::string text = make_header(path, in_order, metadata).dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = text.size();

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(text);
  for (const auto* item : in_order) file.write(item->second.bytes);
  file.commit();
}

}  // namespace speculators
