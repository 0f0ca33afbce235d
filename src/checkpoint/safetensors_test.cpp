#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "checkpoint/safetensors_header.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Safetensors : public ::testing::Test {
 protected:
  Safetensors() : folder_(fs::path(::testing::TempDir()) / fs::path("safetensors_test_" + test_name())) {
    fs::remove_all(folder_);
    make_folders(folder_);
  }
  ~Safetensors() override { fs::remove_all(folder_); }

  static std::string test_name() { return ::testing::UnitTest::GetInstance()->current_test_info()->name(); }

  fs::path file() const { return folder_ / "model.safetensors"; }

  // A file of the given header text and `num_bytes` bytes of data.
  void write_raw(const std::string& header, size_t num_bytes) const {
    const uint64_t size = header.size();
    std::string content(reinterpret_cast<const char*>(&size), sizeof size);
    write_file(file(), content + header + std::string(num_bytes, '\1'));
  }

  void expect_damage(const std::string& message) const {
    EXPECT_THAT([&] { TensorFile::open(file()); },
                ThrowsMessage<DataError>(AllOf(HasSubstr("model.safetensors"), HasSubstr(message))));
  }

  fs::path folder_;
};

const Tensor kTwoFloats = make_tensor({2}, std::vector<float>{1.5f, -2.0f});
const Tensor kThreeBools = make_bool_tensor({3}, {true, false, true});

TEST_F(Safetensors, WrittenTensorsComeBack) {
  write_safetensors(file(), {{"mask", kThreeBools.view()}, {"a.weight", kTwoFloats.view()}}, {{"step", "7"}});
  const TensorFile got = TensorFile::open(file());
  EXPECT_THAT(to_floats(got.get("a.weight"), "a"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(to_ints(got.get("mask"), "mask"), ElementsAre(1, 0, 1));
  EXPECT_THAT(got.get("mask").shape, ElementsAre(3));
  EXPECT_EQ(got.metadata().at("step"), "7");
  EXPECT_EQ(got.metadata().at("format"), "pt");
}

TEST_F(Safetensors, WritesTheDocumentedBytes) {
  write_safetensors(file(), {{"a", kTwoFloats.view()}});
  const std::string header = R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const size_t padded = (header.size() + 7) / 8 * 8;
  const std::string content = read_file(file());
  EXPECT_EQ(static_cast<size_t>(content[0]), padded);
  EXPECT_EQ(content.substr(8, padded), header + std::string(padded - header.size(), ' '));
  EXPECT_EQ(content.size(), 8 + padded + 8);
}

TEST_F(Safetensors, WideElementsComeFirstSoThatAllAreAligned) {
  write_safetensors(file(), {{"mask", kThreeBools.view()}, {"a", kTwoFloats.view()}});
  const TensorFile got = TensorFile::open(file());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(got.get("a").bytes.data()) % 8, 0u);
}

TEST_F(Safetensors, EmptyTensorsAndScalarsAreTensors) {
  const Tensor scalar = make_tensor({}, std::vector<int64_t>{5});
  const Tensor nothing = make_tensor({0, 4}, std::vector<float>{});
  write_safetensors(file(), {{"nothing", nothing.view()}, {"scalar", scalar.view()}});
  const TensorFile got = TensorFile::open(file());
  EXPECT_THAT(to_ints(got.get("scalar"), "s"), ElementsAre(5));
  EXPECT_THAT(got.get("nothing").shape, ElementsAre(0, 4));
}

TEST_F(Safetensors, NoTensorsAtAllIsAFile) {
  write_safetensors(file(), {});
  EXPECT_TRUE(TensorFile::open(file()).tensors().empty());
}

TEST_F(Safetensors, ViewsOutliveAMoveOfTheFile) {
  write_safetensors(file(), {{"a", kTwoFloats.view()}});
  TensorFile first = TensorFile::open(file());
  const TensorView view = first.get("a");
  const TensorFile second = std::move(first);
  EXPECT_THAT(to_floats(view, "a"), ElementsAre(1.5f, -2.0f));
}

TEST_F(Safetensors, MissingTensorListsTheNearestNames) {
  write_safetensors(file(), {{"layers.0.q_proj.weight", kTwoFloats.view()}, {"norm.weight", kTwoFloats.view()}});
  const TensorFile got = TensorFile::open(file());
  EXPECT_EQ(got.find("layers.0.q.weight"), nullptr);
  EXPECT_THAT([&] { got.get("layers.0.q.weight"); },
              ThrowsMessage<DataError>(HasSubstr("layers.0.q.weight, found none of that name; did you mean "
                                                 "layers.0.q_proj.weight?")));
}

TEST_F(Safetensors, WriterRefusesOneNameTwice) {
  EXPECT_THAT(
      [&] {
        write_safetensors(file(), {{"a", kTwoFloats.view()}, {"a", kTwoFloats.view()}});
      },
      ThrowsMessage<DataError>(HasSubstr("a: two tensors of this name")));
  EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Safetensors, WriterRefusesBytesThatDoNotFillTheShape) {
  const TensorView wrong{DType::kF32, {3}, kTwoFloats.bytes};
  EXPECT_THAT(
      [&] {
        write_safetensors(file(), {{"a", wrong}});
      },
      ThrowsMessage<ShapeError>(HasSubstr("a: F32 [3] does not fill 8 bytes")));
}

TEST_F(Safetensors, ReadsWhatTheReferenceWriterWrites) {
  write_raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
            R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}   )",
            6);
  EXPECT_THAT(to_ints(TensorFile::open(file()).get("b"), "b"), ElementsAre(1, 1));
}

TEST_F(Safetensors, EveryTruncationIsNamed) {
  write_safetensors(file(), {{"a", kTwoFloats.view()}, {"b", kThreeBools.view()}});
  const std::string whole = read_file(file());
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string cut = whole.substr(0, length);
    EXPECT_THROW(parse_safetensors(std::as_bytes(std::span(cut)), "cut"), DataError) << "cut to " << length << " bytes";
  }
}

TEST_F(Safetensors, NoBitFlipOfTheHeaderCrashes) {
  write_safetensors(file(), {{"a", kTwoFloats.view()}, {"b", kThreeBools.view()}});
  const std::string whole = read_file(file());
  int64_t num_accepted = 0;
  for (size_t bit = 0; bit < (whole.size() - 11) * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      const auto header = parse_safetensors(std::as_bytes(std::span(flipped)), "flipped");
      for (const auto& [name, tensor] : header.tensors) {
        EXPECT_EQ(tensor.num_elements() * size_of(tensor.dtype), static_cast<int64_t>(tensor.bytes.size()));
      }
      ++num_accepted;
    } catch (const DataError&) {
    }
  }
  EXPECT_GT(num_accepted, 0);  // flips inside a name leave a valid file
}

struct Damage {
  std::string name, header;
  size_t num_bytes;
  std::string message;
};

class SafetensorsDamage : public Safetensors, public ::testing::WithParamInterface<Damage> {
 protected:
  // Slashes of parametrised names do not make a folder name.
  SafetensorsDamage() {
    folder_ = fs::path(::testing::TempDir()) / ("safetensors_damage_" + GetParam().name);
    make_folders(folder_);
  }
};

TEST_P(SafetensorsDamage, IsNamed) {
  write_raw(GetParam().header, GetParam().num_bytes);
  expect_damage(GetParam().message);
}

std::string tensor_header(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    All, SafetensorsDamage,
    ::testing::Values(
        Damage{"NotJson", "{\"a\":", 0, "the header is not valid JSON at byte"},
        Damage{"NotAnObject", "[]", 0, "expected a JSON object"},
        Damage{"EntryNotAnObject", R"({"a":3})", 0, "a: expected an object with dtype"},
        Damage{"NoShape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "a: shape is missing"},
        Damage{"UnknownDtype", tensor_header("F7", "[1]", "[0,4]"), 4, "a: dtype F7 is not supported"},
        Damage{"NegativeSize", tensor_header("F32", "[-1]", "[0,4]"), 4, "a: shape: expected whole numbers >= 0"},
        Damage{"FractionalSize", tensor_header("F32", "[1.5]", "[0,4]"), 4, "a: shape: expected whole numbers >= 0"},
        Damage{"SizeAbove64Bits", tensor_header("F32", "[99999999999999999999999]", "[0,4]"), 4, "a: shape: expected"},
        Damage{"ProductOverflows", tensor_header("F32", "[4611686018427387904,4]", "[0,0]"), 0, "is too large"},
        Damage{"OffsetsBackwards", tensor_header("F32", "[1]", "[4,0]"), 4, "expected [begin, end] with begin <= end"},
        Damage{"OneOffset", tensor_header("F32", "[1]", "[4]"), 4, "expected [begin, end]"},
        Damage{"WrongBytes", tensor_header("F32", "[2]", "[0,4]"), 4, "a: F32 [2] expects 8 bytes, found 4"},
        Damage{"DataCutShort", tensor_header("F32", "[2]", "[0,8]"), 7, "expected data up to byte 8, found 7"},
        Damage{"DataTooLong", tensor_header("F32", "[1]", "[0,4]"), 5, "expected 4 bytes of tensor data, found 5"},
        Damage{"Hole", tensor_header("F32", "[1]", "[4,8]"), 8, "a: expected its data at offset 0, found 4"},
        Damage{"Overlap",
               R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
               R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
               4, "b: expected its data at offset 3, found 2"},
        Damage{"NameTwice",
               R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               1, "a: the name appears twice"},
        Damage{"MetadataNotStrings", R"({"__metadata__":{"step":3}})", 0, "__metadata__: step: expected a string"}),
    [](const auto& info) { return info.param.name; });

TEST_F(Safetensors, HugeHeaderLengthIsRefusedBeforeAnyAllocation) {
  write_file(file(), std::string(8, '\xff') + "{}");
  expect_damage("is above the limit of 100000000; is this a safetensors file?");
}

TEST_F(Safetensors, HeaderLongerThanTheFileIsNamed) {
  write_file(file(), std::string("\x10\0\0\0\0\0\0\0", 8) + "{}");
  expect_damage("expected a header of 16 bytes, found 2");
}

class Shards : public Safetensors {
 protected:
  void write_index(const std::string& weight_map) const {
    write_file(folder_ / "model.safetensors.index.json", R"({"metadata":{},"weight_map":)" + weight_map + "}");
  }
  void expect_folder_damage(const std::string& message) const {
    EXPECT_THAT([&] { TensorFile::open_folder(folder_); }, ThrowsMessage<DataError>(HasSubstr(message)));
  }
};

TEST_F(Shards, AreReadAsOneFile) {
  write_safetensors(folder_ / "1.safetensors", {{"a", kTwoFloats.view()}});
  write_safetensors(folder_ / "2.safetensors", {{"b", kThreeBools.view()}});
  write_index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  const TensorFile got = TensorFile::open_folder(folder_);
  EXPECT_THAT(to_floats(got.get("a"), "a"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(to_ints(got.get("b"), "b"), ElementsAre(1, 0, 1));
}

TEST_F(Shards, WithoutAnIndexTheSingleFileIsRead) {
  write_safetensors(file(), {{"a", kTwoFloats.view()}});
  EXPECT_NE(TensorFile::open_folder(folder_).find("a"), nullptr);
}

TEST_F(Shards, AFolderWithoutWeightsSaysWhatItExpected) {
  expect_folder_damage("expected model.safetensors or model.safetensors.index.json, found neither");
}

TEST_F(Shards, AllProblemsOfTheIndexAreNamedAtOnce) {
  write_safetensors(folder_ / "1.safetensors", {{"a", kTwoFloats.view()}});
  write_index(R"({"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"})");
  expect_folder_damage("shard 2.safetensors is missing; b is not in 1.safetensors, where the index puts it");
}

TEST_F(Shards, ATensorInTwoShardsIsNamed) {
  write_safetensors(folder_ / "1.safetensors", {{"a", kTwoFloats.view()}});
  write_safetensors(folder_ / "2.safetensors", {{"a", kTwoFloats.view()}, {"b", kTwoFloats.view()}});
  write_index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  expect_folder_damage("a is in 1.safetensors and in 2.safetensors");
}

TEST_F(Shards, AnIndexMayNotLeaveItsFolder) {
  write_index(R"({"a":"../1.safetensors"})");
  expect_folder_damage("weight_map: a: expected a file name beside the index");
}

TEST_F(Shards, ADamagedIndexIsNamed) {
  write_file(folder_ / "model.safetensors.index.json", "{\"weight_map\":");
  expect_folder_damage("not valid JSON at byte");
  write_file(folder_ / "model.safetensors.index.json", "[]");
  expect_folder_damage("expected an object with \"weight_map\"");
}

}  // namespace
}  // namespace speculators
