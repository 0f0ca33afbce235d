#include "train/checkpoint_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/errors.h"
#include "base/json.h"
#include "base/leftovers.h"

namespace speculators {
namespace {

constexpr const char* kBest = "checkpoint_best";
constexpr const char* kValidation = "val_metrics.json";

fs::path temporary_name(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.tmp-{}", path.filename().string(), ::getpid());
}

// Gone at once: a kill while the files go leaves a temporary, not half a folder.
void remove_folder(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  const fs::path temporary = temporary_name(folder);
  fs::remove_all(temporary);
  fs::rename(folder, temporary);
  fs::remove_all(temporary);
}

// A relative link that is there, old or new, at any moment.
void replace_link(const fs::path& link, const std::string& target) {
  const fs::path temporary = temporary_name(link);
  fs::remove(temporary);
  fs::create_symlink(target, temporary);
  fs::rename(temporary, link);
}

Json to_json(const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) json[name] = value;
  return json;
}

std::optional<int64_t> epoch_of(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  int64_t epoch = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
  const bool is_number = error == std::errc() && end == name.data() + name.size() && epoch >= 0;
  return is_number && entry.is_directory() && !entry.is_symlink() ? std::optional(epoch) : std::nullopt;
}

std::vector<int64_t> epochs_in(const fs::path& folder) {
  std::vector<int64_t> epochs;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(folder, absent)) {
    if (const auto epoch = epoch_of(entry)) epochs.push_back(*epoch);
  }
  std::sort(epochs.begin(), epochs.end());
  return epochs;
}

// "epoch3_end", "epoch3_step500".
bool is_link_of(const fs::directory_entry& entry, int64_t epoch) {
  return entry.is_symlink() && entry.path().filename().string().starts_with(fmt::format("epoch{}_", epoch));
}

void remove_links_of(const fs::path& folder, int64_t epoch, const std::string& except = "") {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_link_of(entry, epoch) && entry.path().filename() != except) found.push_back(entry.path());
  }
  for (const auto& link : found) fs::remove(link);
}

std::optional<double> find_loss(const fs::path& folder) {
  const fs::path path = folder / kValidation;
  if (!fs::exists(path)) return std::nullopt;
  const Json json = read_json(path);
  return JsonObject(json, path.string()).get_double("loss_epoch");
}

// Between the two renames of a replacement a kill leaves only the old folder, under its temporary name.
void restore_moved_aside(const fs::path& save_path) {
  constexpr std::string_view kMark = ".old.tmp-";
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(save_path)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.find(kMark) != std::string::npos) found.push_back(entry.path());
  }
  for (const auto& old : found) {
    const std::string name = old.filename().string();
    const fs::path original = save_path / name.substr(1, name.find(kMark) - 1);
    if (!fs::exists(original)) fs::rename(old, original);
  }
}

}  // namespace

void CheckpointWriter::save(const std::string& name, const TrainingPosition& position, TrainableDraft& draft,
                            const Optimisers& optimisers, const Metrics& validation) {
  make_folders(parts_.save_path);
  write_folder(parts_.save_path / name, [&](const fs::path& folder) {
    parts_.save_for_serving(folder);
    for (const auto& [file, content] : parts_.notes) write_file(folder / file, content);
    if (!validation.empty()) write_json(folder / kValidation, to_json(validation));
    write_training_state(folder, position, draft.parameters(), optimisers);
  });
}

void CheckpointWriter::save_epoch(const TrainingPosition& position, TrainableDraft& draft, const Optimisers& optimisers,
                                  const Metrics& validation) {
  save(std::to_string(position.epoch), position, draft, optimisers, validation);
  link_epoch(position);
}

void CheckpointWriter::link_epoch(const TrainingPosition& position) {
  const std::string link = position.epoch_finished ? fmt::format("epoch{}_end", position.epoch)
                                                   : fmt::format("epoch{}_step{}", position.epoch, position.local_step);
  replace_link(parts_.save_path / link, std::to_string(position.epoch));
  remove_links_of(parts_.save_path, position.epoch, link);
  for (const char* aside : {kInterrupted, kLast}) remove_folder(parts_.save_path / aside);
}

void CheckpointWriter::save_aside(const std::string& name, const TrainingPosition& position, TrainableDraft& draft,
                                  const Optimisers& optimisers) {
  save(name, position, draft, optimisers, {});
  if (name == kLast) remove_folder(parts_.save_path / kInterrupted);
}

bool CheckpointWriter::is_saved(int64_t epoch) const {
  return has_training_state(parts_.save_path / std::to_string(epoch));
}

void CheckpointWriter::write_validation(int64_t epoch, const Metrics& validation) {
  write_json(parts_.save_path / std::to_string(epoch) / kValidation, to_json(validation));
}

void CheckpointWriter::mark_best(int64_t epoch) { replace_link(parts_.save_path / kBest, std::to_string(epoch)); }

void CheckpointWriter::keep_only(int64_t epoch) {
  for (const int64_t other : epochs_in(parts_.save_path)) {
    if (other == epoch || !is_saved(other)) continue;
    remove_links_of(parts_.save_path, other);
    remove_folder(parts_.save_path / std::to_string(other));
  }
}

void CheckpointWriter::save_plain() {
  make_folders(parts_.save_path);
  const fs::path folder = parts_.save_path / fmt::format(".plain.tmp-{}", ::getpid());
  make_folders(folder);
  parts_.save_for_serving(folder);
  for (const auto& [file, content] : parts_.notes) write_file(folder / file, content);
  for (const auto& entry : fs::directory_iterator(folder))
    fs::rename(entry.path(), parts_.save_path / entry.path().filename());
  fs::remove(folder);
}

std::optional<ResumePoint> find_resume_point(const fs::path& save_path) {
  if (!fs::is_directory(save_path)) return std::nullopt;
  restore_moved_aside(save_path);
  remove_leftovers_in(save_path);
  std::vector<std::string> names = {CheckpointWriter::kLast, CheckpointWriter::kInterrupted};
  const auto epochs = epochs_in(save_path);
  for (const int64_t epoch : epochs) names.push_back(std::to_string(epoch));

  std::optional<ResumePoint> newest;
  for (const std::string& name : names) {
    const fs::path folder = save_path / name;
    remove_leftovers_in(folder);
    if (!has_training_state(folder)) continue;
    ResumePoint point{folder, read_training_position(folder)};
    const std::optional<double> loss = find_loss(folder);
    point.validated = loss || name == CheckpointWriter::kLast;
    point.loss = loss.value_or(point.loss);
    const bool older = newest && point.position.global_step < newest->position.global_step;
    if (!older) newest = std::move(point);
  }
  if (!newest && !epochs.empty()) {
    throw DataError(
        fmt::format("{}: expected {} in the epoch folders, found none (did another program write them?); start from "
                    "one with --from-pretrained and another --save-path, or give --no-resume-from-checkpoint",
                    save_path.string(), "training_state.json and .safetensors"));
  }
  return newest;
}

}  // namespace speculators
