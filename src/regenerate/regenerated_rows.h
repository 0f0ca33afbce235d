// The output of regeneration while it grows: finished conversations are appended in input order to `<outfile>.partial`,
// which takes its final name at the end; reasons of failure go to `<outfile>.errors.jsonl`. A run that was killed
// continues behind the last whole conversation.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"

namespace speculators {

class RegeneratedRows {
 public:
  // `settings` is one line that names everything the rows depend on; an unfinished output made with other settings
  // throws UsageError. `overwrite` starts anew.
  RegeneratedRows(fs::path outfile, const std::string& settings, bool overwrite);
  ~RegeneratedRows();
  RegeneratedRows(const RegeneratedRows&) = delete;
  RegeneratedRows& operator=(const RegeneratedRows&) = delete;

  int64_t num_done() const { return next_; }  // conversations that are on the disk
  // Rows (JSON lines, maybe none) of conversation `index`; kept until all before it are there.
  void add(int64_t index, std::vector<std::string> rows);
  // The conversation failed; `error` is one JSON line.
  void add_failed(int64_t index, std::string error);
  // Of the conversations on the disk, in their order; earlier runs' too.
  const std::vector<std::string>& errors() const { return errors_; }
  void finish();
  // Forgets the unfinished output. Without a finished conversation the destructor does so.
  void discard();

 private:
  void add_lines(int64_t index, std::vector<std::string> lines);
  void append(int64_t index, const std::vector<std::string>& lines);
  fs::path outfile_, partial_;
  int descriptor_ = -1;
  int64_t next_ = 0;
  std::map<int64_t, std::vector<std::string>> waiting_;  // lines of the partial file
  std::vector<std::string> errors_;
};

// Completes an output whose last conversation was on the disk when the run was killed, and removes what else that run
// left. True when `outfile` is there.
bool finish_killed_run(const fs::path& outfile);

}  // namespace speculators
