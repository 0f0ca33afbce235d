// Developer program: how fast the engine decodes plainly, and where the time goes.
//   engine_speed FOLDER USERS [NEW_TOKENS] [PROMPT_TOKENS] [TEMPERATURE]
// Random prompts, no stop tokens. Rounds with prompt rows are reported apart.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace speculators {
namespace {

struct Totals {
  int64_t num_rounds = 0, num_rows = 0;
  double total = 0, verify = 0;
  std::vector<double> round_ms;
};

void add(Totals& totals, const RoundTimes& times) {
  ++totals.num_rounds;
  totals.num_rows += times.num_rows;
  totals.total += times.total;
  totals.verify += times.verify;
  totals.round_ms.push_back(times.total * 1e3);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void print(const char* name, const Totals& totals, int64_t weight_bytes) {
  if (totals.num_rounds == 0) return;
  const double best = *std::min_element(totals.round_ms.begin(), totals.round_ms.end());
  fmt::print(
      "{}: {} rounds, {:.1f} rows each, {:.1f} tokens/s; a round best {:.2f} median {:.2f} ms, of its time {:.1f} % in "
      "the verifier; weights streamed at {:.1f} GB/s (best round)\n",
      name, totals.num_rounds, static_cast<double>(totals.num_rows) / static_cast<double>(totals.num_rounds),
      static_cast<double>(totals.num_rows) / totals.total, best, median(totals.round_ms),
      100 * totals.verify / totals.total, static_cast<double>(weight_bytes) * 1e-6 / best);
}

void run(const std::vector<std::string>& arguments) {
  const auto number = [&](size_t i, double otherwise) {
    return i < arguments.size() ? std::stod(arguments[i]) : otherwise;
  };
  const auto num_users = static_cast<int64_t>(number(1, 1));
  const auto num_new = static_cast<int64_t>(number(2, 64)), num_prompt = static_cast<int64_t>(number(3, 64));
  const auto verifier = load_verifier(arguments[0]);
  Engine engine(*verifier, nullptr, {.max_sequences = num_users});
  Totals prefill, decode;
  engine.on_round = [&](const RoundTimes& times) { add(times.prefill ? prefill : decode, times); };
  std::mt19937 random(1);
  for (int64_t user = 0; user < num_users; ++user) {
    Request request{.id = user, .max_tokens = num_new};
    for (int64_t i = 0; i < num_prompt; ++i) {
      request.prompt.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(verifier->config().vocab_size)));
    }
    request.sampling.temperature = number(4, 0);
    request.sampling.seed = static_cast<uint64_t>(user);
    engine.submit(std::move(request));
  }
  while (!engine.idle()) engine.round();
  print("prompts", prefill, verifier->weight_bytes());
  print("decoding", decode, verifier->weight_bytes());
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: engine_speed FOLDER USERS [NEW_TOKENS] [PROMPT_TOKENS] [TEMPERATURE]\n");
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
