// Developer program: runs a verifier over a list of tokens, teacher-forced, and writes what tools/check_verifier.py
// compares with transformers.
//   verifier_states FOLDER TOKENS OUT.safetensors LAYER_ID...
// TOKENS is a text file of ids; every line is one sequence. OUT holds, rows of all sequences in order,
//   hidden_states F32 [T, len(layer ids), Dv], greedy I64 [T], margin F32 [T] (best minus second logit),
//   last_logits F32 [sequences, Vv] (of each sequence's last row).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/safetensors.h"
#include "verifier/verifier.h"

namespace speculators {
namespace {

constexpr int64_t kChunk = 512;

struct Collected {
  std::vector<float> hidden, margins, last_logits;
  std::vector<int64_t> greedy;
};

std::vector<std::vector<int32_t>> read_sequences(const fs::path& path) {
  std::vector<std::vector<int32_t>> sequences;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream ids(line);
    sequences.emplace_back();
    for (int32_t id = 0; ids >> id;) sequences.back().push_back(id);
  }
  return sequences;
}

void collect_row(std::span<const float> logits, Collected& collected) {
  const auto best = std::max_element(logits.begin(), logits.end());
  float second = -1e30f;
  for (auto it = logits.begin(); it != logits.end(); ++it) second = it == best ? second : std::max(second, *it);
  collected.greedy.push_back(best - logits.begin());
  collected.margins.push_back(*best - second);
}

void run_sequence(Verifier& verifier, const std::vector<int32_t>& tokens, const std::vector<int64_t>& layer_ids,
                  Collected& collected) {
  const int64_t vocab_size = verifier.config().vocab_size;
  const auto pool = verifier.make_kv_pool();
  KvSequence sequence(*pool);
  const auto length = static_cast<int64_t>(tokens.size());
  for (int64_t begin = 0; begin < length; begin += kChunk) {
    const int64_t count = std::min(kChunk, length - begin);
    const VerifierOutput output =
        verifier.forward({{{&sequence, std::span(tokens).subspan(begin, count), count}}, layer_ids});
    collected.hidden.insert(collected.hidden.end(), output.hidden_states.begin(), output.hidden_states.end());
    for (int64_t i = 0; i < count; ++i) collect_row(output.logits.subspan(i * vocab_size, vocab_size), collected);
    if (begin + count == length) {
      const auto last = output.logits.last(vocab_size);
      collected.last_logits.insert(collected.last_logits.end(), last.begin(), last.end());
    }
  }
}

void run(const std::vector<std::string>& arguments) {
  std::vector<int64_t> layer_ids;
  for (size_t i = 3; i < arguments.size(); ++i) layer_ids.push_back(std::stoll(arguments[i]));
  const auto verifier = load_verifier(arguments[0]);
  const auto sequences = read_sequences(arguments[1]);
  Collected collected;
  const auto start = std::chrono::steady_clock::now();
  for (const auto& tokens : sequences) run_sequence(*verifier, tokens, layer_ids, collected);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const auto num_rows = static_cast<int64_t>(collected.greedy.size());
  const ModelConfig& config = verifier->config();
  const Tensor hidden =
      make_tensor({num_rows, static_cast<int64_t>(layer_ids.size()), config.hidden_size}, collected.hidden);
  const Tensor greedy = make_tensor({num_rows}, collected.greedy);
  const Tensor margins = make_tensor({num_rows}, collected.margins);
  const Tensor last = make_tensor({static_cast<int64_t>(sequences.size()), config.vocab_size}, collected.last_logits);
  write_safetensors(arguments[2], {{"hidden_states", hidden.view()},
                                   {"greedy", greedy.view()},
                                   {"margin", margins.view()},
                                   {"last_logits", last.view()}});
  fmt::print("{} tokens in {:.1f} s, logits of every row: {:.0f} tokens/s\n", num_rows, seconds,
             static_cast<double>(num_rows) / seconds);
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: verifier_states FOLDER TOKENS OUT.safetensors LAYER_ID...\n");
    return 2;
  }
  try {
    speculators::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
