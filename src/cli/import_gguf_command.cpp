// `speculators import-gguf FILE --output DIR`: a GGUF model -> a Hugging Face folder.
#include <fmt/format.h>

#include "base/errors.h"
#include "checkpoint/import_gguf.h"
#include "cli/command.h"
#include "cli/commands.h"

namespace speculators {
namespace {

struct ImportGgufCommand {
  std::string file, output;
  static CommandText text() {
    return {"import-gguf", "Turn a GGUF model into a Hugging Face folder.", "The first argument is the file."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("file", file, "the .gguf file (or the first argument)");
    option("output", output, "folder to write; appears whole or not at all");
  }
  int run() {
    if (file.empty()) throw UsageError("import-gguf: expected a GGUF file: speculators import-gguf FILE --output DIR");
    if (output.empty()) throw UsageError("--output: expected the folder to write");
    import_gguf(file, output);
    fmt::print("{}: imported from {}\n", output, file);
    return 0;
  }
};

}  // namespace

int run_import_gguf_command(Arguments arguments) {
  std::vector<std::string> all(arguments.begin(), arguments.end());
  if (!all.empty() && !all.front().starts_with("-")) all.insert(all.begin(), "--file");
  return run_command<ImportGgufCommand>(all);
}

}  // namespace speculators
