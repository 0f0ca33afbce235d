#include "regenerate/regenerate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/leftovers.h"
#include "base/progress.h"
#include "data/conversation.h"
#include "hidden_states/hidden_states.h"
#include "regenerate/regenerated_rows.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace speculators {
namespace {

// One conversation under way: its history, the turns still to be answered, the rows so far.
struct Dialogue {
  Conversation source;
  size_t next_message = 0;  // first message of the source that is not in `history`
  std::vector<Json> history;
  std::vector<std::string> rows;  // JSON lines
  std::vector<int32_t> prompt;    // of the turn that runs
  int64_t num_answers = 0;
};

struct Complete {
  int64_t index = 0;
  std::vector<std::string> rows;  // JSON lines
  std::string error;              // one JSON line; empty: none
};

class Regenerator {
 public:
  Regenerator(const RegenerateOptions& options, Verifier& verifier)
      : options_(options),
        verifier_(verifier),
        tokenizer_(Tokenizer::load(options.model)),
        template_(ChatTemplate::load(options.model)),
        layer_ids_(kept_layer_ids(options, verifier.config())),
        engine_(verifier, nullptr, engine_options()),
        stop_ids_(verifier.config().eos_token_ids.begin(), verifier.config().eos_token_ids.end()) {
    if (const auto eos = tokenizer_.eos_id(); eos && stop_ids_.empty()) stop_ids_.push_back(*eos);
  }

  RegenerateReport run(std::vector<Conversation> conversations, RegeneratedRows& rows) {
    RegenerateReport report;
    report.num_conversations = static_cast<int64_t>(conversations.size());
    report.num_resumed = rows.num_done();
    Progress progress("regenerate-responses", report.num_conversations, "conversations");
    progress.advance(report.num_resumed);
    int64_t next = rows.num_done();
    const auto fill = [&] {
      while (next < report.num_conversations && static_cast<int64_t>(dialogues_.size()) < 2 * options_.concurrency) {
        start(next, std::move(conversations[static_cast<size_t>(next)]));
        ++next;
      }
    };
    // Conversations that cannot be asked are complete without ever running.
    for (fill(); !dialogues_.empty() || !complete_.empty(); fill()) {
      check_stop(fmt::format("{} conversations are kept; run again to continue", rows.num_done()));
      for (const Finished& finished : engine_.round()) take_answer(finished, report);
      for (auto& [index, lines, error] : complete_) {
        report.num_rows += static_cast<int64_t>(lines.size());
        if (error.empty()) {
          rows.add(index, std::move(lines));
        } else {
          rows.add_failed(index, std::move(error));
        }
        progress.advance(1, fmt::format("{} answer tokens", report.num_tokens));
      }
      complete_.clear();
    }
    return report;
  }

 private:
  static std::vector<int64_t> kept_layer_ids(const RegenerateOptions& options, const ModelConfig& config) {
    if (!options.hidden_states) return {};
    const int64_t layers = config.num_hidden_layers;
    std::vector<int64_t> ids = options.target_layer_ids;
    if (ids.empty()) ids = {2, layers / 2, layers - 3};
    ids.push_back(layers);
    for (const int64_t id : ids) {
      if (id < 0 || id > layers)
        throw UsageError(fmt::format("--target-layer-ids: {} is outside the verifier's 0 to {}", id, layers));
    }
    return ids;
  }

  EngineOptions engine_options() const {
    EngineOptions options;
    options.max_sequences = options_.concurrency;
    options.hidden_layer_ids = layer_ids_;
    return options;
  }

  void start(int64_t index, Conversation conversation) {
    Dialogue& dialogue = dialogues_[index];
    dialogue.source = std::move(conversation);
    next_turn(index);
  }

  // Moves history up to the next user turn and asks for an answer; ends the conversation when there is none.
  void next_turn(int64_t index) {
    Dialogue& dialogue = dialogues_.at(index);
    const auto& messages = dialogue.source.messages;
    bool asked = false;
    while (dialogue.next_message < messages.size() && !asked) {
      const Json& message = messages[dialogue.next_message++];
      if (message["role"] == "assistant") continue;  // recorded answers are replaced
      dialogue.history.push_back(message);
      const bool last_of_turn =
          dialogue.next_message == messages.size() || messages[dialogue.next_message]["role"] == "assistant";
      asked = last_of_turn && message["role"] != "system";
    }
    if (!asked) return end(index);
    try {
      ask(index, dialogue);
    } catch (const UsageError& error) {
      fail(index, error.what());
    }
  }

  void ask(int64_t index, Dialogue& dialogue) {
    const Json messages(dialogue.history);
    dialogue.prompt = tokenizer_.encode(template_.render(
        messages, {.add_generation_prompt = true, .tools = dialogue.source.tools ? &*dialogue.source.tools : nullptr}));
    const SamplingParams sampling{.temperature = options_.temperature,
                                  .top_k = options_.top_k,
                                  .top_p = options_.top_p,
                                  .min_p = options_.min_p,
                                  .seed = static_cast<uint64_t>(options_.seed + index)};
    engine_.submit({.id = index,
                    .prompt = dialogue.prompt,
                    .max_tokens = options_.max_tokens,
                    .stop_token_ids = stop_ids_,
                    .sampling = sampling,
                    .keep_hidden_states = options_.hidden_states.has_value()});
  }

  void take_answer(const Finished& finished, RegenerateReport& report) {
    Dialogue& dialogue = dialogues_.at(finished.id);
    report.num_tokens += static_cast<int64_t>(finished.tokens.size());
    report.num_truncated += !finished.stopped;
    const auto text_end = finished.tokens.end() - (finished.stopped ? 1 : 0);
    const std::string text = tokenizer_.decode(std::vector<int32_t>(finished.tokens.begin(), text_end));
    if (text.empty()) return fail(finished.id, "the answer is empty");
    const std::string row_id = fmt::format("{}_gen{}", dialogue.source.id, dialogue.num_answers++);
    if (options_.hidden_states) keep_hidden_states(row_id, dialogue, finished);
    dialogue.rows.push_back(row_json(row_id, dialogue, finished, text));
    dialogue.history.push_back({{"role", "assistant"}, {"content", text}});
    next_turn(finished.id);
  }

  std::string row_json(const std::string& row_id, const Dialogue& dialogue, const Finished& finished,
                       const std::string& text) const {
    std::vector<int32_t> ids = dialogue.prompt;
    ids.insert(ids.end(), finished.tokens.begin(), finished.tokens.end());
    std::vector<int> mask(ids.size(), 1);
    std::fill_n(mask.begin(), dialogue.prompt.size(), 0);
    const Json sampling = {{"temperature", options_.temperature},
                           {"top_k", options_.top_k},
                           {"top_p", options_.top_p},
                           {"min_p", options_.min_p},
                           {"seed", options_.seed},
                           {"max_tokens", options_.max_tokens}};
    const Json usage = {{"prompt_tokens", dialogue.prompt.size()}, {"completion_tokens", finished.tokens.size()}};
    Json row = {{"id", row_id}, {"primary_id", dialogue.source.id}};
    if (!dialogue.source.kind.empty()) row["kind"] = dialogue.source.kind;
    row["input_ids"] = ids;
    row["loss_mask"] = mask;
    row["text"] = text;
    row["metadata"] = {{"idx", finished.id},     {"finish_reason", finished.stopped ? "stop" : "length"},
                       {"is_tool_call", false},  {"usage", usage},
                       {"endpoint", "embedded"}, {"sampling_params", sampling}};
    return row.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void keep_hidden_states(const std::string& row_id, const Dialogue& dialogue, const Finished& finished) const {
    HiddenStates states;
    states.token_ids = dialogue.prompt;
    states.token_ids.insert(states.token_ids.end(), finished.tokens.begin(), finished.tokens.end());
    states.num_layers = static_cast<int64_t>(layer_ids_.size());
    states.hidden_size = verifier_.config().hidden_size;
    states.values.reserve(finished.hidden_states.size());
    for (const float value : finished.hidden_states) states.values.push_back(to_bf16(value));
    write_hidden_states(fs::path(*options_.hidden_states) / (row_id + ".safetensors"), states);
  }

  void end(int64_t index) {
    complete_.push_back({.index = index, .rows = std::move(dialogues_.at(index).rows), .error = ""});
    dialogues_.erase(index);
  }

  void fail(int64_t index, const std::string& reason) {
    const Json error = {{"id", dialogues_.at(index).source.id}, {"error", reason}};
    const std::string line = error.dump(-1, ' ', false, Json::error_handler_t::replace);
    complete_.push_back({.index = index, .rows = {}, .error = line});
    dialogues_.erase(index);
  }

  const RegenerateOptions& options_;
  Verifier& verifier_;
  Tokenizer tokenizer_;
  ChatTemplate template_;
  std::vector<int64_t> layer_ids_;
  Engine engine_;
  std::vector<int32_t> stop_ids_;
  std::map<int64_t, Dialogue> dialogues_;
  std::vector<Complete> complete_;
};

// A folder that does not stay behind empty when it was not there before.
class OutputFolder {
 public:
  explicit OutputFolder(std::optional<std::string> path)
      : path_(std::move(path)), is_new_(path_ && !fs::exists(*path_)) {
    if (path_) make_folders(*path_);
  }
  OutputFolder(const OutputFolder&) = delete;
  ~OutputFolder() {
    std::error_code not_empty;
    if (is_new_) fs::remove(*path_, not_empty);
  }

 private:
  std::optional<std::string> path_;
  bool is_new_;
};

std::vector<Conversation> read_conversations(const RegenerateOptions& options) {
  std::vector<Conversation> conversations;
  RowWarnings warnings;
  read_rows(options.dataset, warnings, [&](DataRow row) {
    auto* conversation = std::get_if<Conversation>(&row);
    if (!conversation)
      throw DataError(fmt::format("{}: found tokenised rows (input_ids); regeneration needs prompts or conversations",
                                  options.dataset));
    if (options.hidden_states && conversation->id.find('/') != std::string::npos) {
      throw DataError(fmt::format("{}: id {}: expected one without '/', since --hidden-states names a file after it",
                                  options.dataset, conversation->id));
    }
    conversations.push_back(std::move(*conversation));
  });
  if (conversations.empty()) {
    throw DataError(fmt::format("{}: expected at least one prompt or conversation, found none; is the file complete?",
                                options.dataset));
  }
  if (options.limit) conversations.resize(std::min(conversations.size(), static_cast<size_t>(*options.limit)));
  return conversations;
}

void check_options(const RegenerateOptions& options) {
  if (options.dataset.empty()) throw UsageError("--dataset: expected a .jsonl or .json file");
  if (options.model.empty()) throw UsageError("--model: expected the verifier's folder");
  if (options.concurrency < 1)
    throw UsageError(fmt::format("--concurrency: expected at least 1, found {}", options.concurrency));
  if (options.max_tokens < 1)
    throw UsageError(fmt::format("--max-tokens: expected at least 1, found {}", options.max_tokens));
  if (options.limit.value_or(1) < 1) throw UsageError("--limit: expected at least 1");
  try {
    check_sampling_params(
        {.temperature = options.temperature, .top_k = options.top_k, .top_p = options.top_p, .min_p = options.min_p});
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("--temperature, --top-k, --top-p, --min-p: {}", error.what()));
  }
}

// Everything the rows depend on; a continued run must match it.
std::string settings_line(const RegenerateOptions& options) {
  return fmt::format("{} {} limit={} max_tokens={} temperature={} top_k={} top_p={} min_p={} seed={} layers={}",
                     row_hash(Json(read_file(options.dataset))), fs::absolute(options.model).string(),
                     options.limit.value_or(-1), options.max_tokens, options.temperature, options.top_k, options.top_p,
                     options.min_p, options.seed,
                     options.hidden_states ? fmt::format("{}", fmt::join(options.target_layer_ids, ",")) : "none");
}

fs::path default_outfile(const RegenerateOptions& options) {
  const fs::path model = fs::path(options.model).lexically_normal();
  const std::string model_name = (model.has_filename() ? model : model.parent_path()).filename().string();
  return fmt::format("{}_{}.jsonl", fs::path(options.dataset).stem().string(), model_name);
}

}  // namespace

RegenerateReport regenerate(const RegenerateOptions& options) {
  check_options(options);
  const fs::path outfile = options.outfile.empty() ? default_outfile(options) : fs::path(options.outfile);
  if (fs::is_directory(outfile))
    throw UsageError(fmt::format("--outfile: {}: expected a file, found a folder", outfile.string()));
  if (finish_killed_run(outfile) && !options.overwrite) return {.already_there = true};
  const auto start = std::chrono::steady_clock::now();
  std::vector<Conversation> conversations = read_conversations(options);
  const auto verifier = load_verifier(options.model);
  Regenerator regenerator(options, *verifier);  // reads the rest of the model: nothing is written before
  RegeneratedRows rows(outfile, settings_line(options), options.overwrite);
  const OutputFolder states(options.hidden_states);
  if (options.hidden_states) remove_leftovers_in(*options.hidden_states);
  RegenerateReport report = regenerator.run(std::move(conversations), rows);
  report.num_failed = static_cast<int64_t>(rows.errors().size());
  if (report.num_failed > 0 && report.num_failed == report.num_conversations) {
    rows.discard();
    throw DataError(fmt::format("{}: expected conversations that {} can answer, found none; the first: {}",
                                options.dataset, options.model,
                                Json::parse(rows.errors().front())["error"].get<std::string>()));
  }
  rows.finish();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace speculators
