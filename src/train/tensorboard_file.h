// A TensorBoard event file: length-framed records with masked CRC-32C, each an Event protobuf. Written by hand, since
// only scalars and texts are needed. Source: tensorflow/core/util/event.proto, summary.proto, lib/io/record_writer.h.
// One writer per file; not thread-safe. Complete records survive a crash.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/files.h"

namespace speculators {

class TensorboardFile {
 public:
  // Creates `folder/events.out.tfevents.<seconds>.<host>.<pid>`. Throws DataError when it cannot be created.
  explicit TensorboardFile(const fs::path& folder);
  void add_scalars(int64_t step, const std::map<std::string, double>& values);
  void add_text(int64_t step, const std::string& tag, std::string_view markdown);
  const fs::path& path() const { return path_; }

 private:
  void write_record(std::string_view event);
  fs::path path_;
  std::ofstream file_;
};

// CRC-32C (Castagnoli), and the form in which record framing stores it.
uint32_t crc32c(std::span<const std::byte> bytes);
uint32_t masked_crc32c(std::span<const std::byte> bytes);

}  // namespace speculators
