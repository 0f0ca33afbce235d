// Developer program: a real verifier, prefill against decoding. Sequences of different lengths are read in one pass
// each; then their last rows are decoded again, one token a pass, in batches of 1, 3 and 8 sequences. Logits and hidden
// states must have the same bits.
//   decode_equals_prefill FOLDER
// Prints one line per batch size; exit code 1 when a bit differs.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "verifier/verifier.h"

namespace speculators {
namespace {

constexpr int64_t kDecoded = 12;  // last rows of every sequence
constexpr int64_t kNumSequences = 8;

struct Document {
  std::vector<int32_t> tokens;
  std::vector<float> logits, hidden;  // of the last kDecoded rows, by prefill
};

// Lengths 24, 61, 98, ...: in every batch the sequences are at different places of a page.
std::vector<int32_t> some_tokens(int64_t sequence, int64_t vocab_size) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < 24 + 37 * sequence; ++i) {
    tokens.push_back(static_cast<int32_t>((i * 7919 + sequence * 104729 + i * i) % vocab_size));
  }
  return tokens;
}

class Check {
 public:
  explicit Check(const std::string& folder)
      : verifier_(load_verifier(folder)), pool_(verifier_->make_kv_pool()), config_(verifier_->config()) {
    layer_ids_ = {2, config_.num_hidden_layers / 2, config_.num_hidden_layers - 3, config_.num_hidden_layers};
    for (int64_t i = 0; i < kNumSequences; ++i) documents_.push_back(prefill(i));
  }

  // Rows of `batch` sequences that differ in any bit from prefill's.
  int64_t count_differences(int64_t batch) {
    int64_t differences = 0;
    for (int64_t first = 0; first + batch <= kNumSequences; first += batch) differences += decode(first, batch);
    return differences;
  }

 private:
  int64_t hidden_width() const { return static_cast<int64_t>(layer_ids_.size()) * config_.hidden_size; }

  Document prefill(int64_t index) {
    Document document{some_tokens(index, config_.vocab_size), {}, {}};
    KvSequence sequence(*pool_);
    const VerifierOutput output = verifier_->forward({{{&sequence, document.tokens, kDecoded}}, layer_ids_});
    const auto hidden = output.hidden_states.last(kDecoded * hidden_width());
    document.logits.assign(output.logits.begin(), output.logits.end());
    document.hidden.assign(hidden.begin(), hidden.end());
    return document;
  }

  int64_t decode(int64_t first, int64_t batch) {
    std::vector<std::unique_ptr<KvSequence>> sequences;
    for (int64_t b = 0; b < batch; ++b) {
      sequences.push_back(std::make_unique<KvSequence>(*pool_));
      const std::span<const int32_t> tokens = documents_[first + b].tokens;
      verifier_->forward({{{sequences.back().get(), tokens.first(tokens.size() - kDecoded), 0}}, {}});
    }
    int64_t differences = 0;
    for (int64_t step = 0; step < kDecoded; ++step) {
      VerifierBatch rows{{}, layer_ids_};
      for (int64_t b = 0; b < batch; ++b) {
        const std::span<const int32_t> tokens = documents_[first + b].tokens;
        rows.sequences.push_back({sequences[b].get(), tokens.subspan(tokens.size() - kDecoded + step, 1), 1});
      }
      const VerifierOutput output = verifier_->forward(rows);
      for (int64_t b = 0; b < batch; ++b) differences += differs(documents_[first + b], step, output, b);
    }
    return differences;
  }

  bool differs(const Document& document, int64_t step, const VerifierOutput& output, int64_t b) const {
    const int64_t vocab_size = config_.vocab_size, width = hidden_width();
    return std::memcmp(&document.logits[step * vocab_size], &output.logits[b * vocab_size],
                       vocab_size * sizeof(float)) != 0 ||
           std::memcmp(&document.hidden[step * width], &output.hidden_states[b * width], width * sizeof(float)) != 0;
  }

  std::unique_ptr<Verifier> verifier_;
  std::unique_ptr<KvPool> pool_;
  const ModelConfig& config_;
  std::vector<int64_t> layer_ids_;
  std::vector<Document> documents_;
};

int run(const std::string& folder) {
  Check check(folder);
  int64_t total = 0;
  for (const int64_t batch : {1, 3, 8}) {
    const int64_t differences = check.count_differences(batch);
    fmt::print("decoding in batches of {}: {} rows, {} differ from prefill\n", batch,
               kNumSequences / batch * batch * kDecoded, differences);
    total += differences;
  }
  return total == 0 ? 0 : 1;
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: decode_equals_prefill FOLDER\n");
    return 2;
  }
  try {
    return speculators::run(argv[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
