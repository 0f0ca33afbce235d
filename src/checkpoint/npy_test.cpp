#include "checkpoint/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// What numpy.save writes, header length 118.
std::string numpy_file(const std::string& dict, const std::string& data) {
  std::string header = dict;
  header.resize(117, ' ');
  return std::string("\x93NUMPY\1\0v\0", 10) + header + "\n" + data;
}

Tensor parse(const std::string& content) { return parse_npy(std::as_bytes(std::span(content)), "d2t.npy"); }

void expect_refused(const std::string& content, const std::string& message) {
  EXPECT_THAT([&] { parse(content); }, ThrowsMessage<DataError>(HasSubstr("d2t.npy: " + message)));
}

const std::string kTwoInts("\7\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16);

TEST(Npy, ReadsWhatNumpyWrites) {
  const Tensor ints = parse(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", kTwoInts));
  EXPECT_THAT(ints.shape, ElementsAre(2));
  EXPECT_THAT(to_ints(ints.view(), "d2t"), ElementsAre(7, -1));
  const Tensor truths =
      parse(numpy_file("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3), }", std::string("\1\0\1", 3)));
  EXPECT_THAT(truths.shape, ElementsAre(1, 3));
  EXPECT_THAT(to_ints(truths.view(), "t2d"), ElementsAre(1, 0, 1));
}

TEST(Npy, WrittenArraysComeBack) {
  const fs::path path = fs::path(::testing::TempDir()) / "npy_test.npy";
  write_npy(path, make_tensor({2, 2}, std::vector<int64_t>{1, -2, 3, int64_t{1} << 40}).view());
  const Tensor got = read_npy(path);
  EXPECT_THAT(got.shape, ElementsAre(2, 2));
  EXPECT_THAT(to_ints(got.view(), "x"), ElementsAre(1, -2, 3, int64_t{1} << 40));
}

TEST(Npy, DataStartsAtAMultipleOf64) {
  const fs::path path = fs::path(::testing::TempDir()) / "npy_align_test.npy";
  write_npy(path, make_bool_tensor({3}, {true, false, true}).view());
  const std::string content = read_file(path);
  EXPECT_EQ((content.size() - 3) % 64, 0u);
  EXPECT_EQ(content[content.size() - 4], '\n');
  EXPECT_THAT(content, HasSubstr("{'descr': '|b1', 'fortran_order': False, 'shape': (3, ), }"));
}

TEST(Npy, EmptyAndScalarShapesAreShapes) {
  EXPECT_THAT(parse(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }", "")).shape, ElementsAre(0));
  EXPECT_THAT(parse(numpy_file("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", "\1")).shape, ElementsAre());
}

TEST(Npy, OtherDtypesAreRefused) {
  expect_refused(numpy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234"),
                 "descr: expected <i8 or |b1, found <f4");
  const fs::path path = fs::path(::testing::TempDir()) / "npy_float_test.npy";
  EXPECT_THAT([&] { write_npy(path, make_tensor({1}, std::vector<float>{1}).view()); },
              ThrowsMessage<DataError>(HasSubstr("expected dtype I64 or BOOL, found F32")));
}

TEST(Npy, DamageIsNamed) {
  expect_refused("", "expected an .npy file");
  expect_refused("PK\3\4 and so on", "expected an .npy file");
  expect_refused(std::string("\x93NUMPY\2\0v\0", 10), "expected .npy version 1, found 2");
  expect_refused(std::string("\x93NUMPY\1\0v\0", 10) + "{'descr'", "the header is cut short");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': True, 'shape': (2,), }", kTwoInts),
                 "fortran_order: expected");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': False}", kTwoInts), "shape: expected the key");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (-2,)}", kTwoInts),
                 "shape: expected whole");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (2 2)}", kTwoInts),
                 "shape: expected commas");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", kTwoInts),
                 "shape [3] does not fit 16 bytes of data");
  expect_refused(numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904, 2)}", kTwoInts),
                 "shape [4611686018427387904, 2] does not fit 16 bytes");
}

TEST(Npy, NoTruncationOrBitFlipCrashes) {
  const std::string whole = numpy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", kTwoInts);
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_THROW(parse(whole.substr(0, length)), DataError) << length;
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
  EXPECT_GT(num_refused, 300);  // all of the magic, the keys and the numbers
}

}  // namespace
}  // namespace speculators
