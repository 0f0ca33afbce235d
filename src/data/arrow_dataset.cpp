#include "data/arrow_dataset.h"

#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "data/arrow_file.h"

namespace speculators {
namespace {

// One column of integer lists: ours is int64, others may have written narrower
// integers or booleans.
class ListColumn {
 public:
  ListColumn(const arrow::RecordBatch& batch, const char* name, const fs::path& path) : name_(name), path_(path) {
    column_ = batch.GetColumnByName(name);
    if (!column_) {
      throw DataError(
          fmt::format("{}: expected a column '{}', found {}; was this folder made by "
                      "prepare-data?",
                      path.string(), name, fmt::join(batch.schema()->field_names(), ", ")));
    }
    if (column_->type_id() != arrow::Type::LIST) fail_type(*column_->type());
    list_ = static_cast<const arrow::ListArray*>(column_.get());
    items_ = list_->values();
    if (column_->null_count() != 0 || items_->null_count() != 0) {
      throw DataError(fmt::format("{}: column {}: expected no missing values, found some", path.string(), name));
    }
  }

  int32_t length(int64_t row) const { return list_->value_length(row); }

  // Calls use(value) for every item of the row.
  template <class Use>
  void for_each(int64_t row, Use&& use) const {
    const int64_t begin = list_->value_offset(row);
    const int64_t end = begin + list_->value_length(row);
    const auto visit = [&]<class Array>() {
      const auto& items = static_cast<const Array&>(*items_);
      for (int64_t i = begin; i < end; ++i) use(static_cast<int64_t>(items.Value(i)));
    };
    switch (items_->type_id()) {
      case arrow::Type::INT64:
        return visit.template operator()<arrow::Int64Array>();
      case arrow::Type::INT32:
        return visit.template operator()<arrow::Int32Array>();
      case arrow::Type::UINT8:
        return visit.template operator()<arrow::UInt8Array>();
      case arrow::Type::INT8:
        return visit.template operator()<arrow::Int8Array>();
      case arrow::Type::BOOL:
        return visit.template operator()<arrow::BooleanArray>();
      default:
        fail_type(*list_->type());
    }
  }

 private:
  [[noreturn]] void fail_type(const arrow::DataType& found) const {
    throw DataError(
        fmt::format("{}: column {}: expected lists of integers, found {}", path_.string(), name_, found.ToString()));
  }
  const char* name_;
  const fs::path& path_;
  std::shared_ptr<arrow::Array> column_, items_;
  const arrow::ListArray* list_ = nullptr;
};

Sample read_row(const ListColumn& ids, const ListColumn& mask, int64_t row, const std::string& place) {
  if (ids.length(row) != mask.length(row)) {
    throw DataError(fmt::format("{}: expected as many loss_mask values as input_ids ({}), found {}", place,
                                ids.length(row), mask.length(row)));
  }
  Sample sample;
  sample.token_ids.reserve(static_cast<size_t>(ids.length(row)));
  sample.loss_mask.reserve(static_cast<size_t>(ids.length(row)));
  ids.for_each(row, [&](int64_t id) {
    if (id < 0 || id > INT32_MAX) {
      throw DataError(
          fmt::format("{}: expected token ids of 0 to {}, found {}; prepare the data again", place, INT32_MAX, id));
    }
    sample.token_ids.push_back(static_cast<int32_t>(id));
  });
  mask.for_each(row, [&](int64_t value) {
    if (value != 0 && value != 1) {
      throw DataError(fmt::format("{}: loss_mask: expected 0 or 1, found {}", place, value));
    }
    sample.loss_mask.push_back(static_cast<uint8_t>(value));
  });
  return sample;
}

// A stream ends with a marker. Without this check a file cut between two
// batches would pass for a shorter data set.
void check_end_marker(arrow::io::ReadableFile& file, const fs::path& path) {
  constexpr std::string_view kMarker("\xFF\xFF\xFF\xFF\0\0\0\0", 8);
  const int64_t size = take_arrow(file.GetSize(), path);
  const auto marker_size = static_cast<int64_t>(kMarker.size());
  const bool ends = size >= marker_size &&
                    std::string_view(*take_arrow(file.ReadAt(size - marker_size, marker_size), path)) == kMarker;
  if (!ends)
    throw DataError(fmt::format("{}: expected an end marker, found none; is the file complete?", path.string()));
}

void read_shard(const fs::path& path, std::vector<Sample>& samples) {
  if (!fs::is_regular_file(path))
    throw DataError(fmt::format("{}: no such file; is the data set complete?", path.string()));
  const auto file = take_arrow(arrow::io::ReadableFile::Open(path.string()), path);
  check_end_marker(*file, path);
  check_arrow(file->Seek(0), path);  // Arrow asks for it after ReadAt
  const auto reader = take_arrow(arrow::ipc::RecordBatchStreamReader::Open(file), path);
  while (const auto batch = take_arrow(reader->Next(), path)) {
    check_arrow(batch->ValidateFull(), path);
    const ListColumn ids(*batch, "input_ids", path);
    const ListColumn mask(*batch, "loss_mask", path);
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      const std::string place = fmt::format("{}: row {}", path.string(), samples.size());
      samples.push_back(read_row(ids, mask, row, place));
    }
  }
}

[[noreturn]] void throw_no_dataset(const fs::path& folder) {
  const bool has_splits = fs::exists(folder / "dataset_dict.json");
  throw DataError(fmt::format("{}: expected a prepared data set (state.json, dataset_info.json); {}", folder.string(),
                              has_splits ? "this folder holds several splits: pass the folder of one"
                                         : "make one with `speculators prepare-data`"));
}

}  // namespace

std::string read_fingerprint(const fs::path& folder) {
  const Json state = read_json(folder / "state.json");
  return JsonObject(state, (folder / "state.json").string()).get_string("_fingerprint");
}

bool has_dataset(const fs::path& folder) {
  return fs::exists(folder / "state.json") && fs::exists(folder / "dataset_info.json");
}

std::vector<Sample> read_dataset(const fs::path& folder) {
  if (!has_dataset(folder)) throw_no_dataset(folder);
  const std::string place = (folder / "state.json").string();
  const Json state = read_json(folder / "state.json");
  const JsonObject object(state, place);
  if (!object.has("_data_files") || !state["_data_files"].is_array()) {
    throw DataError(fmt::format("{}: _data_files: expected a list", place));
  }
  std::vector<Sample> samples;
  for (const Json& file : state["_data_files"]) {
    const fs::path name = JsonObject(file, place + ": _data_files").get_string("filename");
    if (name.empty() || name != name.filename()) {
      throw DataError(fmt::format("{}: _data_files: expected names without folders, found {}", place, name.string()));
    }
    read_shard(folder / name, samples);
  }
  return samples;
}

std::vector<fs::path> dataset_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const fs::path& path = entry.path();
    const std::string name = path.filename().string();
    if (path.extension() == ".arrow" || name == "state.json" || name == "dataset_info.json") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace speculators
