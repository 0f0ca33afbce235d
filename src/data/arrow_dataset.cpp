#include "data/arrow_dataset.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"

namespace speculators {
namespace {

constexpr int64_t kBatchRows = 1000;
constexpr int64_t kShardBytes = 500'000'000;

void check(const arrow::Status& status, const fs::path& path) {
  if (!status.ok()) throw DataError(fmt::format("{}: {}; is the file complete?", path.string(), status.message()));
}

template <class T>
T take(arrow::Result<T> result, const fs::path& path) {
  check(result.status(), path);
  return std::move(result).ValueOrDie();
}

Json features_json() {
  const Json value = {{"dtype", "int64"}, {"_type", "Value"}};
  const Json list = {{"feature", value}, {"_type", "List"}};
  return {{"input_ids", list}, {"loss_mask", list}, {"seq_len", value}};
}

std::shared_ptr<arrow::Schema> make_schema() {
  const Json metadata = {{"info", {{"features", features_json()}}}};
  const auto list = arrow::list(arrow::int64());
  return arrow::schema({arrow::field("input_ids", list), arrow::field("loss_mask", list), arrow::field("seq_len", arrow::int64())},
                       arrow::key_value_metadata({"huggingface"}, {metadata.dump()}));
}

template <class Values>
void append_list(arrow::ListBuilder& builder, const Values& values, const fs::path& path) {
  check(builder.Append(), path);
  auto& items = static_cast<arrow::Int64Builder&>(*builder.value_builder());
  for (const auto value : values) check(items.Append(value), path);
}

std::shared_ptr<arrow::RecordBatch> make_batch(std::span<const Sample> samples, const std::shared_ptr<arrow::Schema>& schema, const fs::path& path) {
  auto* pool = arrow::default_memory_pool();
  arrow::ListBuilder ids(pool, std::make_shared<arrow::Int64Builder>(pool)), mask(pool, std::make_shared<arrow::Int64Builder>(pool));
  arrow::Int64Builder lengths(pool);
  for (const Sample& sample : samples) {
    append_list(ids, sample.token_ids, path);
    append_list(mask, sample.loss_mask, path);
    check(lengths.Append(static_cast<int64_t>(sample.token_ids.size())), path);
  }
  const auto columns = {take(ids.Finish(), path), take(mask.Finish(), path), take(lengths.Finish(), path)};
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(samples.size()), columns);
}

// Contiguous row ranges of at most kShardBytes.
std::vector<std::span<const Sample>> split_shards(const std::vector<Sample>& samples) {
  std::vector<std::span<const Sample>> shards;
  size_t begin = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const int64_t row = 16 * static_cast<int64_t>(samples[i].token_ids.size()) + 24;
    if (bytes > 0 && bytes + row > kShardBytes) {
      shards.push_back(std::span(samples).subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += row;
  }
  shards.push_back(std::span(samples).subspan(begin));
  return shards;
}

void write_shard(const fs::path& path, std::span<const Sample> samples) {
  const auto schema = make_schema();
  const auto sink = take(arrow::io::FileOutputStream::Open(path.string()), path);
  const auto writer = take(arrow::ipc::MakeStreamWriter(sink, schema), path);
  for (size_t begin = 0; begin < samples.size(); begin += kBatchRows) {
    const auto part = samples.subspan(begin, std::min<size_t>(kBatchRows, samples.size() - begin));
    check(writer->WriteRecordBatch(*make_batch(part, schema, path)), path);
  }
  check(writer->Close(), path);
  check(sink->Close(), path);
}

const arrow::Int64Array& int64_items(const arrow::ListArray& list, const fs::path& path, const char* column) {
  if (list.value_type()->id() != arrow::Type::INT64) {
    throw DataError(fmt::format("{}: column {}: expected lists of int64, found {}", path.string(), column, list.type()->ToString()));
  }
  return static_cast<const arrow::Int64Array&>(*list.values());
}

const arrow::ListArray& list_column(const arrow::RecordBatch& batch, const char* column, const fs::path& path) {
  const auto array = batch.GetColumnByName(column);
  if (!array) throw DataError(fmt::format("{}: expected a column '{}', found {}", path.string(), column, batch.schema()->ToString()));
  if (array->type_id() != arrow::Type::LIST) {
    throw DataError(fmt::format("{}: column {}: expected lists, found {}", path.string(), column, array->type()->ToString()));
  }
  return static_cast<const arrow::ListArray&>(*array);
}

void read_batch(const arrow::RecordBatch& batch, const fs::path& path, std::vector<Sample>& samples) {
  const auto& ids = list_column(batch, "input_ids", path);
  const auto& mask = list_column(batch, "loss_mask", path);
  const auto& id_items = int64_items(ids, path, "input_ids");
  const auto& mask_items = int64_items(mask, path, "loss_mask");
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    if (ids.value_length(row) != mask.value_length(row)) {
      throw DataError(fmt::format("{}: row {}: expected as many loss_mask values as input_ids ({}), found {}", path.string(), samples.size(),
                                  ids.value_length(row), mask.value_length(row)));
    }
    Sample sample;
    for (int32_t i = 0; i < ids.value_length(row); ++i) {
      const int64_t id = id_items.Value(ids.value_offset(row) + i);
      if (id < 0 || id > INT32_MAX) throw DataError(fmt::format("{}: row {}: token id {} is out of range", path.string(), samples.size(), id));
      sample.token_ids.push_back(static_cast<int32_t>(id));
      sample.loss_mask.push_back(mask_items.Value(mask.value_offset(row) + i) != 0);
    }
    samples.push_back(std::move(sample));
  }
}

void read_shard(const fs::path& path, std::vector<Sample>& samples) {
  const auto file = take(arrow::io::ReadableFile::Open(path.string()), path);
  const auto reader = take(arrow::ipc::RecordBatchStreamReader::Open(file), path);
  while (const auto batch = take(reader->Next(), path)) {
    check(batch->ValidateFull(), path);
    read_batch(*batch, path, samples);
  }
}

}  // namespace

void write_dataset(const fs::path& folder, const std::vector<Sample>& samples, const std::string& fingerprint) {
  const auto shards = split_shards(samples);
  Json files = Json::array();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("data-{:05}-of-{:05}.arrow", i, shards.size());
    write_shard(folder / name, shards[i]);
    files.push_back({{"filename", name}});
  }
  write_json(folder / "dataset_info.json", {{"citation", ""}, {"description", ""}, {"features", features_json()}, {"homepage", ""}, {"license", ""}});
  write_json(folder / "state.json", {{"_data_files", files},
                                     {"_fingerprint", fingerprint},
                                     {"_format_columns", nullptr},
                                     {"_format_kwargs", Json::object()},
                                     {"_format_type", "torch"},
                                     {"_output_all_columns", false},
                                     {"_split", nullptr}});
}

std::string read_fingerprint(const fs::path& folder) {
  const Json state = read_json(folder / "state.json");
  return JsonObject(state, (folder / "state.json").string()).get_string("_fingerprint");
}

bool has_dataset(const fs::path& folder) { return fs::exists(folder / "state.json") && fs::exists(folder / "dataset_info.json"); }

std::vector<Sample> read_dataset(const fs::path& folder) {
  if (!has_dataset(folder)) {
    throw DataError(fmt::format("{}: expected a prepared data set (state.json, dataset_info.json); make one with `speculators prepare-data`", folder.string()));
  }
  const Json state = read_json(folder / "state.json");
  const std::string place = (folder / "state.json").string();
  std::vector<Sample> samples;
  const auto files = state.find("_data_files");
  if (files == state.end() || !files->is_array()) throw DataError(fmt::format("{}: _data_files: expected a list", place));
  for (const Json& file : *files) read_shard(folder / JsonObject(file, place + ": _data_files").get_string("filename"), samples);
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
