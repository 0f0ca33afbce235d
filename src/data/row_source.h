// The rows of .jsonl and .json files, read where they are needed: only their
// places are kept, so a data set much larger than the memory can be shuffled,
// and threads parse for themselves. Const methods may run on many threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/conversation.h"

namespace speculators {

class RowSource {
 public:
  // A .jsonl file (one JSON object a line; empty lines are skipped), a .json
  // file (a list of objects), or a folder of them, sorted by path. Throws
  // DataError naming the path; damage inside a line shows in read().
  explicit RowSource(const fs::path& source);
  size_t size() const { return rows_.size(); }
  // Parses row `index`. Throws RowError or DataError with "file:line" or "file:
  // row N".
  DataRow read(size_t index, RowWarnings& warnings) const;
  std::string place(size_t index) const;
  // The bytes of all files, in order: what a fingerprint covers.
  template <class Use>
  void for_each_file(Use&& use) const {
    for (const MappedFile& file : files_) use(text_of(file));
  }

 private:
  struct Row {
    uint32_t file;
    uint64_t number;  // line of a .jsonl file from 1, or row of a .json list from 0
    uint64_t begin, size;
  };
  static std::string_view text_of(const MappedFile& file);
  void add_file(const fs::path& path);
  void index_lines();
  void index_list(const fs::path& path);

  std::vector<MappedFile> files_;
  std::vector<bool> is_list_;
  std::vector<Row> rows_;
};

}  // namespace speculators
