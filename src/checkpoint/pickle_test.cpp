#include "checkpoint/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::ThrowsMessage;

using namespace std::string_literals;

std::map<int64_t, int64_t> unpickle(const std::string& pickle) {
  return unpickle_counts(std::as_bytes(std::span(pickle)), "data.pkl");
}

void expect_refused(const std::string& pickle, const std::string& message) {
  EXPECT_THAT([&] { unpickle(pickle); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(Pickle, ReadsWhatTorchSaves) {
  // torch.save({5: 3, 300: 70000, 70000: 2**40, 2**33: 1})
  const std::string pickle =
      "\x80\x02}q\0(K\5K\3M\x2c\1J\x70\x11\1\0J\x70\x11\1\0\x8a\6\0\0\0\0\0\1\x8a\5\0\0\0\0\2K\1u."s;
  EXPECT_THAT(unpickle(pickle),
              ElementsAre(Pair(5, 3), Pair(300, 70000), Pair(70000, int64_t{1} << 40), Pair(int64_t{1} << 33, 1)));
}

TEST(Pickle, ReadsACounter) {
  // torch.save(Counter({5: 3}))
  const std::string pickle =
      "\x80\x02"
      "ccollections\nCounter\nq\0}q\1K\5K\3s\x85q\2Rq\3."s;
  EXPECT_THAT(unpickle(pickle), ElementsAre(Pair(5, 3)));
}

TEST(Pickle, ReadsAnOrderedDict) {
  // pickle.dumps(OrderedDict({5: 3}), protocol=2)
  const std::string pickle =
      "\x80\x02"
      "ccollections\nOrderedDict\nq\0)Rq\1K\5K\3s."s;
  EXPECT_THAT(unpickle(pickle), ElementsAre(Pair(5, 3)));
}

TEST(Pickle, ReadsProtocolFour) {
  // pickle.dumps({5: -3}, protocol=4)
  EXPECT_THAT(unpickle("\x80\4\x95\x0c\0\0\0\0\0\0\0}\x94K\5J\xfd\xff\xff\xffs."s), ElementsAre(Pair(5, -3)));
}

TEST(Pickle, EveryWidthOfIntegerComesBack) {
  std::map<int64_t, int64_t> counts;
  for (const int64_t value : {int64_t{0}, int64_t{255}, int64_t{256}, int64_t{65535}, int64_t{65536},
                              int64_t{INT32_MAX}, int64_t{INT32_MAX} + 1, int64_t{1} << 39, INT64_MAX, int64_t{-1},
                              int64_t{INT32_MIN}, int64_t{INT32_MIN} - 1, INT64_MIN}) {
    counts[value] = value;
  }
  EXPECT_EQ(unpickle(pickle_counts(counts)), counts);
}

TEST(Pickle, ManyItemsAreWrittenInBatches) {
  std::map<int64_t, int64_t> counts;
  for (int64_t i = 0; i < 2500; ++i) counts[i] = i * i;
  const std::string pickle = pickle_counts(counts);
  EXPECT_EQ(unpickle(pickle), counts);
}

TEST(Pickle, AnEmptyDictComesBack) { EXPECT_THAT(unpickle(pickle_counts({})), IsEmpty()); }

TEST(Pickle, ATokenFrequencyFileComesBack) {
  const fs::path path = fs::path(::testing::TempDir()) / "pickle_test.pt";
  write_token_freq(path, {{2, 10}, {49151, 1}});
  EXPECT_THAT(read_token_freq(path), ElementsAre(Pair(2, 10), Pair(49151, 1)));
}

TEST(Pickle, AnArchiveWithoutAPickleIsNamed) {
  const fs::path path = fs::path(::testing::TempDir()) / "pickle_none_test.pt";
  write_zip(path, {{"x/version", "3"}});
  EXPECT_THAT([&] { read_token_freq(path); },
              ThrowsMessage<DataError>(HasSubstr("expected a member data.pkl, found none")));
}

TEST(Pickle, CodeIsNeverRun) {
  expect_refused(
      "\x80\x02"
      "cos\nsystem\n(X\2\0\0\0lstR."s,
      "it asks for os.system, which is not run");
}

TEST(Pickle, OtherContentIsNamed) {
  expect_refused("\x80\2]q\0."s, "data.pkl: found another object; expected a dict of token id -> count");
  expect_refused("\x80\2K\5."s, "found another object");
  expect_refused("\x80\x06}."s, "pickle protocol 6 is not known");
  expect_refused("}(X\1\0\0\0aK\1u."s, "found a key that is no integer");
  expect_refused("}K\1X\1\0\0\0as."s, "found a count of token 1 that is no integer");
  expect_refused("}K\1s."s, "expected a value on the stack");
  expect_refused("K\0K\1K\2s."s, "expected a dict on the stack");
  expect_refused("}(K\1u."s, "expected pairs of key and value");
  expect_refused("u."s, "expected a mark on the stack");
  expect_refused("."s, "expected a value on the stack");
  expect_refused("}i."s, "pickle opcode 0x69 is not supported (at byte 2)");
  expect_refused("}\x8a\x09"s + std::string(9, '\1') + "s.", "an integer of 9 bytes is too large");
  expect_refused("h\7."s, "memo 7 was never set");
  expect_refused("X\xff\xff\xff\xff."s, "the pickle is cut short");
  expect_refused(""s, "the pickle is cut short");
}

TEST(Pickle, NoTruncationOrBitFlipCrashes) {
  const std::string whole = pickle_counts({{1, 2}, {300, 70000}, {70000, int64_t{1} << 40}});
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_THROW(unpickle(whole.substr(0, length)), DataError);
  int num_refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      unpickle(flipped);
    } catch (const DataError&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 50);  // most flips of an opcode
}

}  // namespace
}  // namespace speculators
