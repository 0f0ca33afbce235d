#include "data/arrow_dataset.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tiny_model_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<Sample> make_samples(int count) {
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i) {
    Sample sample;
    for (int k = 0; k <= i % 5; ++k) {
      sample.token_ids.push_back(100 * i + k);
      sample.loss_mask.push_back(k % 2);
    }
    samples.push_back(sample);
  }
  return samples;
}

bool equal(const std::vector<Sample>& a, const std::vector<Sample>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Sample& x, const Sample& y) {
    return x.token_ids == y.token_ids && x.loss_mask == y.loss_mask;
  });
}

std::vector<std::string> names(const std::vector<fs::path>& paths) {
  std::vector<std::string> result;
  for (const auto& path : paths) result.push_back(path.filename().string());
  return result;
}

std::string error_of(const fs::path& folder) {
  try {
    read_dataset(folder);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ArrowDataset, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  write_dataset(folder.path(), make_samples(23), "f");
  EXPECT_TRUE(equal(read_dataset(folder.path()), make_samples(23)));
  EXPECT_EQ(read_fingerprint(folder.path()), "f");
}

TEST(ArrowDataset, SplitsShardsAndBatches) {
  const TemporaryFolder folder;
  // 23 samples hold 66 tokens of 16 bytes: shards of at most 20 tokens.
  write_dataset(folder.path(), make_samples(23), "f", {.max_shard_bytes = 320, .max_batch_rows = 2});
  EXPECT_THAT(names(dataset_files(folder.path())),
              ElementsAre("data-00000-of-00004.arrow", "data-00001-of-00004.arrow", "data-00002-of-00004.arrow",
                          "data-00003-of-00004.arrow", "dataset_info.json", "state.json"));
  EXPECT_TRUE(equal(read_dataset(folder.path()), make_samples(23)));
}

TEST(ArrowDataset, AnEmptyDataSetHasOneShard) {
  const TemporaryFolder folder;
  write_dataset(folder.path(), {}, "f");
  EXPECT_THAT(read_dataset(folder.path()), IsEmpty());
  EXPECT_THAT(dataset_files(folder.path()), SizeIs(3));
}

TEST(ArrowDataset, TheSameSamplesGiveTheSameBytes) {
  const TemporaryFolder a, b;
  write_dataset(a.path(), make_samples(50), "f");
  write_dataset(b.path(), make_samples(50), "f");
  for (const fs::path& file : dataset_files(a.path())) {
    EXPECT_EQ(read_file(file), read_file(b / file.filename().string())) << file;
  }
}

TEST(ArrowDataset, StateFollowsTheLayoutOfDatasets) {
  const TemporaryFolder folder;
  write_dataset(folder.path(), make_samples(1), "f");
  EXPECT_EQ(read_json(folder / "state.json").dump(),
            R"({"_data_files":[{"filename":"data-00000-of-00001.arrow"}],"_fingerprint":"f","_format_columns":null,)"
            R"("_format_kwargs":{},"_format_type":"torch","_output_all_columns":false,"_split":null})");
  EXPECT_EQ(read_json(folder / "dataset_info.json")["features"]["input_ids"].dump(),
            R"({"feature":{"dtype":"int64","_type":"Value"},"_type":"List"})");
}

TEST(ArrowDataset, AFolderWithoutADataSetSaysHowToMakeOne) {
  const TemporaryFolder folder;
  EXPECT_FALSE(has_dataset(folder.path()));
  EXPECT_THAT(error_of(folder.path()), HasSubstr("make one with `speculators prepare-data`"));
  folder.put("dataset_dict.json", "{}");
  EXPECT_THAT(error_of(folder.path()), HasSubstr("pass the folder of one"));
}

class DamagedDataset : public testing::Test {
 protected:
  DamagedDataset() { write_dataset(folder_.path(), make_samples(40), "f"); }
  void edit_state(const std::function<void(Json&)>& edit) {
    Json state = read_json(folder_ / "state.json");
    edit(state);
    write_json(folder_ / "state.json", state);
  }
  TemporaryFolder folder_;
  const std::string shard_ = "data-00000-of-00001.arrow";
};

TEST_F(DamagedDataset, EveryTruncationIsNoticed) {
  const std::string whole = read_file(folder_ / shard_);
  for (size_t size = 0; size < whole.size(); size += 7) {
    folder_.put(shard_, whole.substr(0, size));
    EXPECT_THAT(error_of(folder_.path()), HasSubstr(shard_)) << size;
  }
}

TEST_F(DamagedDataset, ACutBetweenTwoBatchesIsNoticed) {
  const std::string whole = read_file(folder_ / shard_);
  folder_.put(shard_, whole.substr(0, whole.size() - 8));  // all batches are there, the end marker is not
  EXPECT_THAT(error_of(folder_.path()), HasSubstr("expected an end marker, found none"));
}

TEST_F(DamagedDataset, FlippedBytesNeverCrash) {
  const std::string whole = read_file(folder_ / shard_);
  int errors = 0;
  for (size_t i = 0; i < whole.size(); i += 3) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xFF);
    folder_.put(shard_, damaged);
    errors += error_of(folder_.path()) != "no error";
  }
  EXPECT_GT(errors,
            0);  // values in the middle may change unnoticed; structure may not
}

TEST_F(DamagedDataset, AMissingShardIsNamed) {
  fs::remove(folder_ / shard_);
  EXPECT_THAT(error_of(folder_.path()), HasSubstr(shard_ + ": no such file; is the data set complete?"));
}

TEST_F(DamagedDataset, AWrongStateIsNamed) {
  edit_state([](Json& state) { state.erase("_data_files"); });
  EXPECT_THAT(error_of(folder_.path()), HasSubstr("state.json: _data_files: expected a list"));
  edit_state([](Json& state) { state["_data_files"] = Json::array({{{"filename", "../x.arrow"}}}); });
  EXPECT_THAT(error_of(folder_.path()), HasSubstr("expected names without folders, found ../x.arrow"));
  folder_.put("state.json", "{");
  EXPECT_THAT(error_of(folder_.path()), HasSubstr("state.json"));
}

}  // namespace
}  // namespace speculators
