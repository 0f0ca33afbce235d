#include "train/tensorboard_file.h"

#include <gmock/gmock.h>

#include <cstring>

#include "train/scratch_folder.h"

namespace speculators {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// RFC 3720 B.4 and the check value of the Castagnoli polynomial.
TEST(Crc32c, EqualsPublishedValues) {
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\0'))), 0x8a9136aau);
}

// The header of an 18-byte record as TensorFlow writes it: length 18 and its masked CRC.
TEST(Crc32c, MaskRotatesAndAdds) {
  const uint32_t plain = crc32c(bytes_of("123456789"));
  EXPECT_EQ(masked_crc32c(bytes_of("123456789")), ((plain >> 15) | (plain << 17)) + 0xa282ead8u);
}

// Walks the frames of a file; checks both sums of each.
std::vector<std::string> read_records(const fs::path& path) {
  const std::string content = read_file(path);
  std::vector<std::string> records;
  for (size_t at = 0; at < content.size();) {
    uint64_t length = 0;
    uint32_t sum = 0;
    std::memcpy(&length, &content[at], 8);
    std::memcpy(&sum, &content[at + 8], 4);
    EXPECT_EQ(sum, masked_crc32c(bytes_of(content.substr(at, 8))));
    records.push_back(content.substr(at + 12, length));
    std::memcpy(&sum, &content[at + 12 + length], 4);
    EXPECT_EQ(sum, masked_crc32c(bytes_of(records.back())));
    at += 16 + length;
  }
  return records;
}

TEST(TensorboardFile, BeginsWithTheVersionRecord) {
  const ScratchFolder folder;
  const TensorboardFile file(folder.path());
  const auto records = read_records(file.path());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_THAT(records[0], testing::EndsWith("\x1a\x0d"
                                            "brain.Event:2"));
}

// Bytes by hand: 0x09 wall time (8), 0x10 step 3, 0x2a summary of 13 bytes, in it 0x0a value of 11 bytes: 0x0a tag
// "loss", 0x15 simple_value 1.5f.
TEST(TensorboardFile, WritesAScalarAsASummary) {
  const ScratchFolder folder;
  TensorboardFile file(folder.path());
  file.add_scalars(3, {{"loss", 1.5}});
  const auto records = read_records(file.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1][0], '\x09');
  EXPECT_EQ(records[1].substr(9), std::string("\x10\x03\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\xc0\x3f", 17));
}

TEST(TensorboardFile, NamesItselfAsTensorboardExpects) {
  const ScratchFolder folder;
  const TensorboardFile file(folder.path() / "deep");
  EXPECT_THAT(file.path().filename().string(), testing::StartsWith("events.out.tfevents."));
}

}  // namespace
}  // namespace speculators
