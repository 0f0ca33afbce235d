// Arrow's errors as ours, and an Arrow output stream over AtomicFile. Included
// by the two halves of arrow_dataset.h only.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <fmt/format.h>

#include "base/errors.h"
#include "base/files.h"

namespace speculators {

inline void check_arrow(const arrow::Status& status, const fs::path& path) {
  if (!status.ok())
    throw DataError(
        fmt::format("{}: expected a whole Arrow file: {}; is the file complete?", path.string(), status.message()));
}

template <class T>
T take_arrow(arrow::Result<T> result, const fs::path& path) {
  check_arrow(result.status(), path);
  return std::move(result).ValueOrDie();
}

// Bytes go to the disk under a temporary name; commit() gives the file its own.
class ArrowSink : public arrow::io::OutputStream {
 public:
  explicit ArrowSink(const fs::path& path) : file_(path) {}
  arrow::Status Write(const void* data, int64_t size) override {
    file_.write({static_cast<const std::byte*>(data), static_cast<size_t>(size)});
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace speculators
