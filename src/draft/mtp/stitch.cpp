#include "draft/mtp/stitch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/errors.h"
#include "base/leftovers.h"
#include "checkpoint/safetensors.h"
#include "draft/mtp/config.h"
#include "draft/mtp/native_weights.h"
#include "draft/mtp/weights.h"
#include "draft/speculator.h"

namespace speculators {
namespace {

using Replacements = std::map<std::string, TensorView>;  // by the verifier's names

// One of them is the other or lies in it.
bool overlap(const fs::path& a, const fs::path& b) {
  const fs::path left = fs::weakly_canonical(a), right = fs::weakly_canonical(b);
  const auto [in_left, in_right] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  return in_left == left.end() || in_right == right.end();
}

void check_folders(const fs::path& speculator, const fs::path& verifier, const fs::path& output) {
  for (const fs::path& folder : {speculator, verifier}) {
    if (!fs::exists(folder / "config.json")) {
      throw UsageError(fmt::format(
          "stitch-mtp: {}: expected a folder with a config.json, found none; download it first", folder.string()));
    }
    if (overlap(folder, output)) {
      throw UsageError(fmt::format("--output-path {}: expected a folder apart from {}, since that stays as it is",
                                   output.string(), folder.string()));
    }
  }
  if (fs::exists(output) && !fs::exists(output / "config.json") && !fs::is_empty(output)) {
    throw UsageError(fmt::format(
        "--output-path {}: expected a new folder or an earlier model, found something else; give another name",
        output.string()));
  }
}

bool is_plain_float(DType dtype) { return dtype == DType::kBF16 || dtype == DType::kF16 || dtype == DType::kF32; }

Replacements find_replacements(const TensorFile& head, const MtpConfig& config, const TensorFile& verifier) {
  const int64_t num_layers = config.verifier.num_hidden_layers;
  const auto naming = find_mtp_naming(verifier, num_layers);
  if (!naming) {
    throw DataError(
        fmt::format("{}: expected an MTP layer (mtp.*), found none; only a verifier that has one can serve a "
                    "trained one",
                    verifier.path().string()));
  }
  Replacements replacements;
  std::vector<std::string> faults;
  for (const auto& [name, tensor] : head.tensors()) {
    const auto native = native_name(name, *naming, num_layers);
    if (!native) continue;  // copies of the verifier's
    const TensorView* old = verifier.find(*native);
    if (!old) {
      faults.push_back(fmt::format("{}: missing", *native));
    } else if (old->shape != tensor.shape) {
      faults.push_back(fmt::format("{}: expected {} as the head has it, found {}", *native, shape_string(tensor.shape),
                                   shape_string(old->shape)));
    } else if (!is_plain_float(old->dtype)) {
      faults.push_back(fmt::format("{}: expected BF16, F16 or F32, found {}", *native, name_of(old->dtype)));
    }
    replacements[*native] = tensor;
  }
  for (const auto& [name, tensor] : find_native_weights(verifier, num_layers)) {
    const std::string native = *native_name(name, *naming, num_layers);
    if (!replacements.contains(native)) faults.push_back(fmt::format("{}: not a tensor of the head", native));
  }
  if (faults.empty()) return replacements;
  throw DataError(
      fmt::format("{}: {} tensor(s) of the MTP layer do not fit {}; is this the verifier that it was "
                  "trained for?\n  {}",
                  verifier.path().string(), faults.size(), head.path().string(), fmt::join(faults, "\n  ")));
}

// How many of the file's tensors are replaced.
int64_t count_replaced(const TensorFile& shard, const Replacements& replacements) {
  return std::count_if(shard.tensors().begin(), shard.tensors().end(),
                       [&](const auto& entry) { return replacements.contains(entry.first); });
}

void write_shard(const TensorFile& shard, const Replacements& replacements, const fs::path& path) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : shard.tensors()) {
    const auto found = replacements.find(name);
    tensors.emplace_back(name, found == replacements.end() ? tensor : found->second);
  }
  write_safetensors(path, tensors, shard.metadata());
}

void copy_whole_file(const fs::path& from, const fs::path& to) {
  const MappedFile source(from);
  AtomicFile file(to);
  file.write(source.bytes());
  file.commit();
}

// Everything below `from`; safetensors files that hold a replaced tensor are written anew.
void copy_with_replacements(const fs::path& from, const fs::path& to, const Replacements& replacements,
                            StitchReport& report) {
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path target = to / entry.path().filename();
    if (entry.is_directory()) {
      make_folders(target);
      copy_with_replacements(entry.path(), target, {}, report);
      continue;
    }
    const bool is_shard = !replacements.empty() && entry.path().extension() == ".safetensors";
    if (is_shard) {
      const TensorFile shard = TensorFile::open(entry.path());
      if (const int64_t count = count_replaced(shard, replacements); count > 0) {
        write_shard(shard, replacements, target);
        report.num_tensors += count;
        ++report.num_shards;
        continue;
      }
    }
    copy_whole_file(entry.path(), target);
  }
}

}  // namespace

StitchReport stitch_mtp(const fs::path& speculator_folder, const fs::path& verifier_folder,
                        const fs::path& output_folder) {
  check_folders(speculator_folder, verifier_folder, output_folder);
  const Speculator speculator = load_speculator(speculator_folder);
  const std::string place = (speculator_folder / "config.json").string();
  if (speculator.algorithm != "mtp") {
    throw UsageError(fmt::format("{}: speculators_model_type: expected mtp, found {}", place, speculator.algorithm));
  }
  const MtpConfig config = parse_mtp_config(speculator.config, speculator.layer_config, place);
  const TensorFile head = TensorFile::open_folder(speculator_folder);
  check_loaded_tensors(mtp_weights(config), head);
  const Replacements replacements = find_replacements(head, config, TensorFile::open_folder(verifier_folder));
  StitchReport report;
  remove_leftovers(output_folder);
  write_folder(output_folder, [&](const fs::path& temporary) {
    copy_with_replacements(verifier_folder, temporary, replacements, report);
  });
  return report;
}

}  // namespace speculators
