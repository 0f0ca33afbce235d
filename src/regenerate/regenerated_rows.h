// The output of regeneration while it grows: finished conversations are appended in input order to `<outfile>.partial`,
// which takes its final name at the end. A run that was killed continues behind the last whole line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"

namespace speculators {

class RegeneratedRows {
 public:
  // `settings` is one line that names everything the rows depend on; an unfinished output made with other settings throws
  // UsageError. `overwrite` starts anew.
  RegeneratedRows(fs::path outfile, const std::string& settings, bool overwrite);
  ~RegeneratedRows();
  RegeneratedRows(const RegeneratedRows&) = delete;
  RegeneratedRows& operator=(const RegeneratedRows&) = delete;

  int64_t num_done() const { return next_; }  // conversations that are on the disk
  // Rows (JSON lines, maybe none) of conversation `index`; kept until all before it are there.
  void add(int64_t index, std::vector<std::string> rows);
  void finish();

 private:
  void append(int64_t index, const std::vector<std::string>& rows);
  fs::path outfile_, partial_;
  int descriptor_ = -1;
  int64_t next_ = 0;
  std::map<int64_t, std::vector<std::string>> waiting_;
};

}  // namespace speculators
