// One function per subcommand, each in <name>_command.cpp; main.cpp holds the table.
#pragma once

#include <span>
#include <string>

namespace speculators {

using Arguments = std::span<const std::string>;

int run_import_gguf_command(Arguments arguments);
int run_make_prompts_command(Arguments arguments);
int run_prepare_data_command(Arguments arguments);
int run_regenerate_responses_command(Arguments arguments);
int run_generate_offline_data_command(Arguments arguments);
int run_train_command(Arguments arguments);  // in the training module
int run_evaluate_command(Arguments arguments);
int run_convert_command(Arguments arguments);
int run_doctor_command(Arguments arguments);
int run_stitch_mtp_command(Arguments arguments);
int run_list_command(Arguments arguments);

}  // namespace speculators
