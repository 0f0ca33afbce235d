#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/json.h"
#include "data/arrow_dataset.h"
#include "data/arrow_file.h"

namespace speculators {
namespace {

using SampleSpan = std::span<const Sample>;

constexpr int64_t kMaxBatchTokens = int64_t{1} << 28;  // list offsets are 32-bit

Json features_json() {
  const Json value = {{"dtype", "int64"}, {"_type", "Value"}};
  const Json list = {{"feature", value}, {"_type", "List"}};
  return {{"input_ids", list}, {"loss_mask", list}, {"seq_len", value}};
}

std::shared_ptr<arrow::Schema> make_schema() {
  const Json metadata = {{"info", {{"features", features_json()}}}};
  const auto list = arrow::list(arrow::int64());
  return arrow::schema(
      {arrow::field("input_ids", list), arrow::field("loss_mask", list), arrow::field("seq_len", arrow::int64())},
      arrow::key_value_metadata({"huggingface"}, {metadata.dump()}));
}

template <class Values>
void append_list(arrow::ListBuilder& builder, const Values& values, const fs::path& path) {
  check_arrow(builder.Append(), path);
  auto& items = static_cast<arrow::Int64Builder&>(*builder.value_builder());
  check_arrow(items.Reserve(static_cast<int64_t>(values.size())), path);
  for (const auto value : values) items.UnsafeAppend(value);
}

std::shared_ptr<arrow::RecordBatch> make_batch(SampleSpan samples, const std::shared_ptr<arrow::Schema>& schema,
                                               const fs::path& path) {
  auto* pool = arrow::default_memory_pool();
  arrow::ListBuilder ids(pool, std::make_shared<arrow::Int64Builder>(pool));
  arrow::ListBuilder mask(pool, std::make_shared<arrow::Int64Builder>(pool));
  arrow::Int64Builder lengths(pool);
  for (const Sample& sample : samples) {
    append_list(ids, sample.token_ids, path);
    append_list(mask, sample.loss_mask, path);
    check_arrow(lengths.Append(static_cast<int64_t>(sample.token_ids.size())), path);
  }
  const std::vector<std::shared_ptr<arrow::Array>> columns = {
      take_arrow(ids.Finish(), path), take_arrow(mask.Finish(), path), take_arrow(lengths.Finish(), path)};
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(samples.size()), columns);
}

// Contiguous ranges of rows, each of at most `max_rows` rows and `max_tokens`
// tokens (but at least one row).
std::vector<SampleSpan> split_rows(SampleSpan samples, int64_t max_rows, int64_t max_tokens) {
  std::vector<SampleSpan> parts;
  size_t begin = 0;
  int64_t tokens = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto row = static_cast<int64_t>(samples[i].token_ids.size());
    if (i > begin && (tokens + row > max_tokens || static_cast<int64_t>(i - begin) >= max_rows)) {
      parts.push_back(samples.subspan(begin, i - begin));
      begin = i;
      tokens = 0;
    }
    tokens += row;
  }
  if (begin < samples.size()) parts.push_back(samples.subspan(begin));
  return parts;
}

void write_shard(const fs::path& path, SampleSpan samples, const DatasetLayout& layout) {
  const auto schema = make_schema();
  const auto sink = std::make_shared<ArrowSink>(path);
  const auto writer = take_arrow(arrow::ipc::MakeStreamWriter(sink, schema), path);
  for (const SampleSpan part : split_rows(samples, layout.max_batch_rows, kMaxBatchTokens)) {
    check_arrow(writer->WriteRecordBatch(*make_batch(part, schema, path)), path);
  }
  check_arrow(writer->Close(), path);
  sink->commit();
}

}  // namespace

void write_dataset(const fs::path& folder, const std::vector<Sample>& samples, const std::string& fingerprint,
                   const DatasetLayout& layout) {
  // A token costs 16 bytes: two columns of int64.
  auto shards = split_rows(samples, INT64_MAX, std::max<int64_t>(1, layout.max_shard_bytes / 16));
  if (shards.empty()) shards.push_back({});  // an empty data set has one empty shard
  Json files = Json::array();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("data-{:05}-of-{:05}.arrow", i, shards.size());
    write_shard(folder / name, shards[i], layout);
    files.push_back({{"filename", name}});
  }
  write_json(folder / "dataset_info.json",
             {{"citation", ""}, {"description", ""}, {"features", features_json()}, {"homepage", ""}, {"license", ""}});
  write_json(folder / "state.json", {{"_data_files", files},
                                     {"_fingerprint", fingerprint},
                                     {"_format_columns", nullptr},
                                     {"_format_kwargs", Json::object()},
                                     {"_format_type", "torch"},
                                     {"_output_all_columns", false},
                                     {"_split", nullptr}});
}

}  // namespace speculators
