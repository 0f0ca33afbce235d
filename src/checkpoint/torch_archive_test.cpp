#include "checkpoint/torch_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using namespace std::string_literals;

// Tests may run at the same time: each has files of its own.
fs::path test_file(const std::string& name) {
  const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  return fs::path(::testing::TempDir()) / (test + "_" + name);
}

std::string text(const std::string& value) {
  return "X" + std::string(1, static_cast<char>(value.size())) + "\0\0\0"s + value;
}
std::string number(int value) {
  std::string out = "K";
  out += static_cast<char>(value);
  return out;
}
std::string tuple(const std::vector<int>& values) {
  std::string out = "(";
  for (const int value : values) out += number(value);
  return out + "t";
}

// What torch.save writes for a tensor: a call of _rebuild_tensor_v2 over a storage in the member data/0.
struct Saved {
  std::string storage = "FloatStorage";
  int offset = 0;
  std::vector<int> shape = {2, 3}, strides = {3, 1};
  std::string rebuild = "torch._utils\n_rebuild_tensor_v2\n";
  std::string pickle() const {
    return "c" + rebuild + "((" + text("storage") + "ctorch\n" + storage + "\n" + text("0") + text("cpu") + number(6) +
           "tQ" + number(offset) + tuple(shape) + tuple(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
  }
};

std::string state_dict(const std::string& name, const std::string& value) {
  return "\x80\2ccollections\nOrderedDict\n)R(" + text(name) + value + "u}" + text("_metadata") + "}sb.";
}

fs::path write_archive(const std::string& file, const std::string& pickle) {
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  write_zip(test_file(file), {{"archive/data.pkl", pickle}, {"archive/data/0", bytes}, {"archive/version", "3\n"}});
  return test_file(file);
}

std::vector<float> read_weight(const Saved& saved) {
  const TensorFile file = TensorFile::open(write_archive("torch_archive_test.bin", state_dict("w", saved.pickle())));
  return to_floats(file.get("w"), "w");
}

TEST(TorchArchive, ReadsADenseTensor) { EXPECT_THAT(read_weight({}), ElementsAre(1, 2, 3, 4, 5, 6)); }

TEST(TorchArchive, ReadsATransposedTensor) {
  EXPECT_THAT(read_weight({.shape = {3, 2}, .strides = {1, 3}}), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(TorchArchive, ReadsASliceOfAStorage) {
  EXPECT_THAT(read_weight({.offset = 1, .shape = {2, 2}, .strides = {3, 1}}), ElementsAre(2, 3, 5, 6));
}

TEST(TorchArchive, ReadsAParameter) {
  const std::string parameter =
      "ctorch._utils\n_rebuild_parameter\n(" + Saved{}.pickle() + "\x88" + "ccollections\nOrderedDict\n)RtR";
  const TensorFile file = TensorFile::open(write_archive("torch_parameter_test.bin", state_dict("w", parameter)));
  EXPECT_THAT(file.get("w").shape, ElementsAre(2, 3));
}

void expect_refused(const std::string& pickle, const std::string& message) {
  const fs::path path = write_archive("torch_refused_test.bin", pickle);
  EXPECT_THAT([&] { TensorFile::open(path); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(TorchArchive, CodeIsNeverRun) {
  const std::string call = "cos\nsystem\n(" + text("true") + "tR";
  expect_refused("\x80\2" + call + ".", "expected a dict of tensors, found os.system, which is not run");
  expect_refused(state_dict("w", call), "w: expected a tensor, found os.system, which is not run");
  expect_refused(state_dict("w", Saved{.rebuild = "os\nsystem\n"}.pickle()), "found os.system, which is not run");
  expect_refused(state_dict("w", Saved{.storage = "EvilStorage"}.pickle()), "torch.EvilStorage, which is not run");
}

TEST(TorchArchive, AShapeThatLeavesItsStorageIsRefused) {
  expect_refused(state_dict("w", Saved{.shape = {2, 4}, .strides = {4, 1}}.pickle()),
                 "[2, 4] reaches element 7 of a storage of 6");
  expect_refused(state_dict("w", Saved{.offset = 1}.pickle()), "[2, 3] reaches element 6 of a storage of 6");
  expect_refused(state_dict("w", Saved{.shape = {100, 100}, .strides = {0, 0}}.pickle()),
                 "[100, 100] repeats elements of its storage");
  expect_refused(state_dict("w", Saved{.offset = 9, .shape = {0, 3}}.pickle()),
                 "starts at element 9 of a storage of 6");
  expect_refused(state_dict("w", Saved{.strides = {1}}.pickle()), "shape and strides differ in length");
}

TEST(TorchArchive, OtherContentIsNamed) {
  expect_refused(state_dict("w", number(3)), "w: expected a tensor, found another value");
  expect_refused("\x80\2" + number(3) + ".", "expected a dict of tensors, found another object");
  const std::string old = "\x80\2\x8a\x0a"s;
  EXPECT_THAT(
      [&] { read_torch_archive(std::as_bytes(std::span(old)), "old.bin"); },
      ThrowsMessage<DataError>(HasSubstr("old.bin: expected the ZIP archive that torch.save writes since torch 1.6")));
}

TEST(TorchArchive, ShardsAreFoundThroughTheirIndex) {
  const fs::path folder = test_file("torch_shards_test");
  fs::remove_all(folder);
  make_folders(folder);
  fs::rename(write_archive("torch_shard_a.bin", state_dict("a", Saved{}.pickle())), folder / "a.bin");
  fs::rename(write_archive("torch_shard_b.bin", state_dict("b", Saved{.shape = {3, 2}, .strides = {1, 3}}.pickle())),
             folder / "b.bin");
  write_file(folder / "pytorch_model.bin.index.json", R"({"weight_map": {"a": "a.bin", "b": "b.bin"}})");
  const TensorFile file = TensorFile::open_folder(folder);
  EXPECT_THAT(file.get("a").shape, ElementsAre(2, 3));
  EXPECT_THAT(to_floats(file.get("b"), "b"), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(TorchArchive, NoTruncationOrBitFlipOfThePickleCrashes) {
  const std::string whole = state_dict("w", Saved{.shape = {3, 2}, .strides = {1, 3}}.pickle());
  const std::string storage(24, '\1');
  int num_refused = 0;
  const auto try_pickle = [&](const std::string& pickle) {
    const fs::path path = test_file("torch_damage_test.bin");
    write_zip(path, {{"archive/data.pkl", pickle}, {"archive/data/0", storage}});
    try {
      TensorFile::open(path);
    } catch (const DataError&) {
      ++num_refused;
    }
  };
  for (size_t length = 0; length < whole.size(); length += 11) try_pickle(whole.substr(0, length));
  for (size_t bit = 0; bit < whole.size() * 8; bit += 19) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try_pickle(flipped);
  }
  EXPECT_GT(num_refused, 50);
}

}  // namespace
}  // namespace speculators
