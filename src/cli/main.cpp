// speculators: the program. A table of commands; each row's function lives in <name>_command.cpp.
#include <string>
#include <vector>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/training_loader.h"

namespace {

using speculators::Command;

constexpr Command kCommands[] = {
    {"import-gguf", "turn a GGUF model into a Hugging Face folder", speculators::run_import_gguf_command},
    {"make-prompts", "write prompts of several kinds from templates", speculators::run_make_prompts_command},
    {"regenerate-responses", "let the verifier answer the prompts", speculators::run_regenerate_responses_command},
    {"prepare-data", "tokenise conversations and mark the answers", speculators::run_prepare_data_command},
    {"generate-offline-data", "run the verifier and keep its hidden states",
     speculators::run_generate_offline_data_command},
    {"train", "train a draft on the hidden states",
     [](std::span<const std::string> arguments) { return speculators::run_training_command("train", arguments); }},
    {"stitch-mtp", "put a trained MTP head back into its verifier", speculators::run_stitch_mtp_command},
    {"evaluate", "measure plain against speculative decoding", speculators::run_evaluate_command},
    {"convert", "turn a draft of another project into a speculator, or back", speculators::run_convert_command},
    {"doctor", "say what is wrong with a saved speculator", speculators::run_doctor_command},
    {"list", "name the draft algorithms and verifier families", speculators::run_list_command},
};

}  // namespace

int main(int count, char** texts) {
  speculators::install_stop_handlers();
  const std::vector<std::string> arguments(texts + 1, texts + count);
  return speculators::run_command_line(kCommands, arguments);
}
