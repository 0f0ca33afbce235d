#include "checkpoint/zip_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string two_members() {
  const fs::path path = fs::path(::testing::TempDir()) / "zip_archive_test.zip";
  write_zip(path, {{"a/data.pkl", "hello"}, {"a/version", "3\n"}});
  return read_file(path);
}

void expect_refused(const std::string& archive, const std::string& message) {
  EXPECT_THAT([&] { read_zip(bytes_of(archive), "x.pt"); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(ZipArchive, ChecksumIsThePublishedCrc32) { EXPECT_EQ(crc32(bytes_of("123456789")), 0xcbf43926u); }

TEST(ZipArchive, WrittenMembersComeBack) {
  const std::string archive = two_members();
  const auto members = read_zip(bytes_of(archive), "x.pt");
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(text_of(members.at("a/data.pkl")), "hello");
  EXPECT_EQ(text_of(members.at("a/version")), "3\n");
}

TEST(ZipArchive, ACommentAtTheEndIsAllowed) {
  std::string archive = two_members();
  archive[archive.size() - 2] = 3;
  archive += "bye";
  EXPECT_EQ(read_zip(bytes_of(archive), "x.pt").size(), 2u);
}

TEST(ZipArchive, ChangedContentFailsTheChecksum) {
  std::string archive = two_members();
  archive[archive.find("hello")] = 'j';
  expect_refused(archive, "x.pt: a/data.pkl: the checksum does not match");
}

TEST(ZipArchive, CompressedAndEncryptedMembersAreRefused) {
  const std::string archive = two_members();
  const size_t directory = archive.find("PK\1\2");
  std::string deflated = archive, encrypted = archive;
  deflated[directory + 10] = 8;
  encrypted[directory + 8] = 1;
  expect_refused(deflated, "a/data.pkl: expected a stored member, found compression 8");
  expect_refused(encrypted, "a/data.pkl: the member is encrypted");
}

TEST(ZipArchive, OneNameTwiceIsRefused) {
  const fs::path path = fs::path(::testing::TempDir()) / "zip_twice_test.zip";
  write_zip(path, {{"a", "1"}, {"a", "2"}});
  expect_refused(read_file(path), "a: the name appears twice");
}

TEST(ZipArchive, OtherFilesAreNotArchives) {
  expect_refused("", "expected a ZIP archive, found no end record");
  expect_refused(std::string(100, 'x'), "expected a ZIP archive, found no end record");
}

TEST(ZipArchive, EveryTruncationIsNamed) {
  const std::string whole = two_members();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(read_zip(bytes_of(whole.substr(0, length)), "x.pt"), DataError) << length;
  }
}

TEST(ZipArchive, NoBitFlipCrashesOrChangesContent) {
  const std::string whole = two_members();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      const auto members = read_zip(bytes_of(flipped), "x.pt");
      const auto found = members.find("a/data.pkl");
      if (found == members.end()) continue;
      EXPECT_EQ(text_of(found->second), "hello");
    } catch (const DataError&) {
    }
  }
}

}  // namespace
}  // namespace speculators
