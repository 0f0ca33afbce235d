#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "checkpoint/gguf_builder.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

GgufContent parse(const std::string& file) { return parse_gguf(std::as_bytes(std::span(file)), "m.gguf"); }

void expect_refused(const std::string& file, const std::string& message) {
  EXPECT_THAT([&] { parse(file); }, ThrowsMessage<DataError>(AllOf(HasSubstr("m.gguf: "), HasSubstr(message))));
}

GgufBuilder small_file() {
  GgufBuilder builder;
  builder.add_string("general.architecture", "llama").add_u32("n", 7).add_strings("words", {"a", "bc"});
  builder.add_tensor("x", GgufType::kF32, {1, 3}, std::string(12, '\1'));
  builder.add_tensor("y", GgufType::kQ8_0, {2, 32}, std::string(68, '\2'));
  return builder;
}

template <class Number>
std::string raw(Number number) {
  return GgufBuilder::raw(number);
}

TEST(Gguf, ReadsEveryScalarType) {
  GgufBuilder builder;
  builder.add("u8", 0, raw<uint8_t>(200)).add("i8", 1, raw<int8_t>(-3)).add("u16", 2, raw<uint16_t>(60000));
  builder.add("i16", 3, raw<int16_t>(-300)).add("u32", 4, raw<uint32_t>(4000000000)).add("i32", 5, raw<int32_t>(-7));
  builder.add("f32", 6, raw(1.5f)).add("bool", 7, raw<uint8_t>(1)).add("text", 8, GgufBuilder::text("hi"));
  builder.add("u64", 10, raw<uint64_t>(UINT64_MAX)).add("i64", 11, raw<int64_t>(-1)).add("f64", 12, raw(0.1));
  const std::string file = builder.build();
  const GgufMetadata got = parse(file).metadata;
  EXPECT_EQ(got.get_int("u8"), 200);
  EXPECT_EQ(got.get_int("i8"), -3);
  EXPECT_EQ(got.get_int("u16"), 60000);
  EXPECT_EQ(got.get_int("i16"), -300);
  EXPECT_EQ(got.get_int("u32"), 4000000000);
  EXPECT_EQ(got.get_int("i32"), -7);
  EXPECT_EQ(got.get_double("f32"), 1.5);
  EXPECT_EQ(got.find_bool("bool"), true);
  EXPECT_EQ(got.get_string("text"), "hi");
  EXPECT_EQ(std::get<uint64_t>(got.values().at("u64")), UINT64_MAX);
  EXPECT_EQ(got.get_int("i64"), -1);
  EXPECT_EQ(got.get_double("f64"), 0.1);
}

TEST(Gguf, ReadsListsOfEveryKind) {
  GgufBuilder builder;
  builder.add_strings("words", {"a", ""}).add_ints("ints", {-1, 2});
  builder.add("floats", 9, raw<uint32_t>(6) + raw<uint64_t>(2) + raw(0.5f) + raw(-1.0f));
  builder.add("truths", 9, raw<uint32_t>(7) + raw<uint64_t>(2) + std::string("\1\0", 2));
  builder.add("none", 9, raw<uint32_t>(8) + raw<uint64_t>(0));
  const GgufMetadata got = parse(builder.build()).metadata;
  EXPECT_THAT(got.get_strings("words"), ElementsAre("a", ""));
  EXPECT_THAT(got.get_ints("ints"), ElementsAre(-1, 2));
  EXPECT_THAT(std::get<std::vector<double>>(got.values().at("floats")), ElementsAre(0.5, -1.0));
  EXPECT_THAT(std::get<std::vector<bool>>(got.values().at("truths")), ElementsAre(true, false));
  EXPECT_THAT(got.get_strings("none"), ElementsAre());
}

TEST(Gguf, TensorsAreRowMajorViews) {
  const std::string file = small_file().build();
  const GgufContent got = parse(file);
  EXPECT_THAT(got.tensors.at("x").shape, ElementsAre(1, 3));
  EXPECT_EQ(got.tensors.at("x").bytes.size(), 12u);
  EXPECT_EQ(got.tensors.at("y").type, GgufType::kQ8_0);
  EXPECT_EQ(got.tensors.at("y").bytes.size(), 68u);
  EXPECT_EQ(got.tensors.at("y").bytes[0], std::byte{2});
}

TEST(Gguf, TheFilesAlignmentCounts) {
  GgufBuilder builder = small_file();
  builder.add_u32("general.alignment", 128);
  const std::string file = builder.build(128);
  EXPECT_EQ(parse(file).tensors.at("y").bytes[0], std::byte{2});
}

TEST(Gguf, TheLastTensorNeedsNoPadding) {
  std::string file = small_file().build();
  file.resize(file.size() - 28);  // 68 bytes padded to 96
  EXPECT_EQ(parse(file).tensors.at("y").bytes.size(), 68u);
}

TEST(Gguf, MissingAndMistypedKeysAreNamed) {
  const std::string file = small_file().build();
  const GgufMetadata got = parse(file).metadata;
  EXPECT_THAT([&] { got.get_int("llama.block_count"); },
              ThrowsMessage<DataError>(HasSubstr("m.gguf: llama.block_count: expected an integer, found nothing")));
  EXPECT_THAT([&] { got.get_string("n"); },
              ThrowsMessage<DataError>(HasSubstr("m.gguf: n: expected a string, found another type")));
  EXPECT_EQ(got.find_int("absent"), std::nullopt);
}

TEST(Gguf, ForeignFilesAndVersionsAreNamed) {
  expect_refused("", "magic: expected 4 bytes, found 0");
  expect_refused("PK\3\4....", "expected GGUF; is this a GGUF file?");
  std::string old = small_file().build();
  old[4] = 1;
  expect_refused(old, "version: expected 2 or 3, found 1");
  std::string swapped = small_file().build();
  swapped[4] = 0;
  swapped[7] = 3;
  expect_refused(swapped, "the file is big-endian");
}

TEST(Gguf, HostileCountsAndLengthsAreRefusedAtOnce) {
  std::string file = small_file().build();
  for (int i = 8; i < 16; ++i) file[i] = '\xff';
  expect_refused(file, "");  // 2^64 - 1 tensors
  file = small_file().build();
  for (int i = 16; i < 24; ++i) file[i] = '\xff';
  expect_refused(file, "");  // 2^64 - 1 values
  file = small_file().build();
  for (int i = 24; i < 32; ++i) file[i] = '\xff';
  expect_refused(file, "metadata key 1 of 3: expected 18446744073709551615 bytes");
  GgufBuilder builder;
  builder.add("list", 9, raw<uint32_t>(8) + raw<uint64_t>(UINT64_MAX));
  expect_refused(builder.build(), "list: expected a list of 18446744073709551615 elements");
}

TEST(Gguf, BadValuesAreNamed) {
  GgufBuilder builder;
  expect_refused(builder.add("k", 13, "").build(), "k: value type 13 is not known");
  expect_refused(builder.add("k", 7, "\2").build(), "k: expected 0 or 1 for a truth value, found 2");
  expect_refused(builder.add("k", 9, raw<uint32_t>(9) + raw<uint64_t>(0)).build(),
                 "k: lists of lists are not supported");
  expect_refused(builder.add("k", 9, raw<uint32_t>(10) + raw<uint64_t>(1) + raw(UINT64_MAX)).build(), "k: an element");
  std::string twice = GgufBuilder().add_u32("k", 1).add_u32("j", 1).build();
  twice[twice.rfind('j')] = 'k';
  expect_refused(twice, "k: the key appears twice");
}

TEST(Gguf, BadTensorsAreNamed) {
  GgufBuilder builder;
  const auto with = [&](GgufType type, std::vector<int64_t> shape, const std::string& bytes) {
    return builder.add_tensor("x", type, std::move(shape), bytes).build();
  };
  expect_refused(with(GgufType{17}, {32}, ""),
                 "x: tensor type 17 is not supported; convert the model to one of F32, F16");
  expect_refused(with(GgufType::kF32, {1, 1, 1, 1, 1}, "abcd"), "x: expected at most 4 dimensions, found 5");
  expect_refused(with(GgufType::kF32, {0}, ""), "x: expected dimensions >= 1, found 0");
  expect_refused(with(GgufType::kF32, {-1}, ""), "x: expected dimensions >= 1, found -1");
  expect_refused(with(GgufType::kF32, {int64_t{1} << 40, int64_t{1} << 40}, ""), "x: the shape is too large");
  expect_refused(with(GgufType::kF32, {INT64_MAX}, ""), "x: the shape is too large");
  expect_refused(with(GgufType::kQ8_0, {33}, ""), "x: rows of 33 do not divide into Q8_0 blocks of 32");
  expect_refused(with(GgufType::kF32, {9}, std::string(32, 'a')), "x: expected 36 bytes, found 32");
  expect_refused(with(GgufType::kF32, {1}, std::string(64, 'a')), "32 bytes belong to no tensor");
}

TEST(Gguf, OffsetsMustFollowEachOther) {
  std::string file = small_file().build();
  const std::string entry = raw(static_cast<uint32_t>(GgufType::kQ8_0)) + raw<uint64_t>(32);
  file[file.find(entry) + 4] = 0;
  expect_refused(file, "y: expected its data at offset 32, found 0");
}

TEST(Gguf, TwoTensorsOfOneNameAreRefused) {
  std::string file = small_file().build();
  file[file.find(GgufBuilder::text("y")) + 8] = 'x';
  expect_refused(file, "x: the name appears twice");
}

TEST(Gguf, AlignmentMustBeAPowerOfTwo) {
  for (const uint32_t alignment : {0u, 3u, 1u << 20}) {
    GgufBuilder builder = small_file();
    builder.add_u32("general.alignment", alignment);
    expect_refused(builder.build(), "general.alignment: expected a power of two up to 65536");
  }
}

TEST(Gguf, EveryTruncationIsNamed) {
  const std::string whole = small_file().build();
  for (size_t length = 0; length < whole.size() - 28; ++length) {  // the last 28 bytes are padding
    EXPECT_THROW(parse(whole.substr(0, length)), DataError) << "cut to " << length << " bytes";
  }
}

TEST(Gguf, NoBitFlipCrashes) {
  const std::string whole = small_file().build();
  int num_refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      parse(flipped);
    } catch (const DataError&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 500);  // all of magic, counts, lengths, types and offsets
}

}  // namespace
}  // namespace speculators
