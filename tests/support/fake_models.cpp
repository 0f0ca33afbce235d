#include "tests/support/fake_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <stdexcept>

namespace speculators::testing {
namespace {

constexpr int64_t kHiddenSize = 3;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(fmt::format("the engine broke a promise: {}", what));
}

uint64_t mix(uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

uint64_t hash(std::span<const int32_t> tokens) {
  uint64_t state = 1;
  for (const int32_t token : tokens) state = mix(state ^ static_cast<uint64_t>(token));
  return state;
}

// The tokens that a cache holds: the fake keeps each token's id as its one key.
std::vector<int32_t> cached_tokens(const KvSequence& sequence) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < sequence.length(); ++i) {
    const float* keys = sequence.pool().keys(sequence.pages()[i / kPageTokens], 0, 0);
    tokens.push_back(static_cast<int32_t>(keys[i % kPageTokens]));
  }
  return tokens;
}

struct FakeSequence : DraftSequence {
  std::vector<int32_t> tokens;  // verified rows and the newest token
};

}  // namespace

FakeVerifier::FakeVerifier(int64_t vocab_size, int64_t max_position_embeddings, int64_t context) : context_(context) {
  config_.model_type = "fake";
  config_.vocab_size = vocab_size;
  config_.hidden_size = kHiddenSize;
  config_.num_hidden_layers = 2;
  config_.max_position_embeddings = max_position_embeddings;
}

std::unique_ptr<KvPool> FakeVerifier::make_kv_pool() const { return std::make_unique<KvPool>(1, 1, 1); }

std::vector<float> FakeVerifier::logits(std::span<const int32_t> tokens) const {
  const auto seen = tokens.last(std::min<size_t>(tokens.size(), static_cast<size_t>(context_)));
  const uint64_t state = hash(seen);
  std::vector<float> row(config_.vocab_size);
  for (int64_t i = 0; i < config_.vocab_size; ++i) {
    row[i] = static_cast<float>(mix(state + static_cast<uint64_t>(i)) >> 40) * 0x1p-24f * 3;  // in [0, 3)
  }
  return row;
}

int32_t FakeVerifier::greedy_token(std::span<const int32_t> tokens) const {
  const std::vector<float> row = logits(tokens);
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

std::vector<int32_t> FakeVerifier::greedy_answer(std::vector<int32_t> prompt, int64_t max_tokens,
                                                 const std::vector<int32_t>& stop_token_ids) const {
  std::vector<int32_t> answer;
  while (static_cast<int64_t>(answer.size()) < max_tokens) {
    answer.push_back(greedy_token(prompt));
    prompt.push_back(answer.back());
    if (std::find(stop_token_ids.begin(), stop_token_ids.end(), answer.back()) != stop_token_ids.end()) break;
  }
  return answer;
}

VerifierOutput FakeVerifier::forward(const VerifierBatch& batch) {
  logits_.clear();
  hidden_.clear();
  int64_t num_rows = 0;
  for (const VerifierRows& rows : batch.sequences) {
    const auto count = static_cast<int64_t>(rows.token_ids.size());
    const int64_t start = rows.sequence->length();
    require(count > 0, "a sequence has no rows");
    require(start + count <= config_.max_position_embeddings, "a sequence outgrows the context");
    num_rows += count;
    rows.sequence->extend(count);
    for (int64_t i = 0; i < count; ++i) {
      const auto key = static_cast<float>(rows.token_ids[i]);
      rows.sequence->store(0, start + i, &key, &key);
    }
    const std::vector<int32_t> tokens = cached_tokens(*rows.sequence);
    for (int64_t i = 0; i < count; ++i) {
      for (const int64_t layer : batch.hidden_layer_ids) {
        hidden_.insert(hidden_.end(), {static_cast<float>(tokens[start + i]), static_cast<float>(start + i),
                                       static_cast<float>(layer)});
      }
      if (i < count - rows.num_logit_rows) continue;
      const std::vector<float> row = logits(std::span(tokens).first(start + i + 1));
      logits_.insert(logits_.end(), row.begin(), row.end());
    }
  }
  ++num_passes_;
  most_rows_ = std::max(most_rows_, num_rows);
  return {logits_, hidden_};
}

FakeProposer::FakeProposer(const FakeVerifier& verifier, FakeDraft kind, int64_t max_proposal_length)
    : verifier_(verifier), kind_(kind), max_proposal_length_(max_proposal_length) {
  if (kind != FakeDraft::kSampling) return;
  for (int32_t id = 0; id < verifier.config().vocab_size; id += 2) draft_to_verifier_.push_back(id);
}

std::unique_ptr<DraftSequence> FakeProposer::make_sequence() const { return std::make_unique<FakeSequence>(); }

std::vector<Proposal> FakeProposer::propose(std::span<const ProposalRequest> requests) {
  std::vector<Proposal> proposals;
  for (const ProposalRequest& request : requests) proposals.push_back(propose_one(request));
  return proposals;
}

Proposal FakeProposer::propose_one(const ProposalRequest& request) const {
  auto& known = dynamic_cast<FakeSequence&>(*request.sequence).tokens;
  const auto num_rows = static_cast<int64_t>(request.tokens.size()) - 1;
  const auto aux_size = static_cast<int64_t>(aux_layer_ids_.size()) * kHiddenSize;
  require(request.first == (known.empty() ? 0 : static_cast<int64_t>(known.size()) - 1),
          "rows are told once, in order");
  require(known.empty() || known.back() == request.tokens[0], "the newest token becomes the first row");
  require(num_rows >= 1 && static_cast<int64_t>(request.aux.size()) == num_rows * aux_size, "aux has a row per token");
  for (int64_t i = 0; i < num_rows; ++i) {
    for (size_t a = 0; a < aux_layer_ids_.size(); ++a) {
      const auto state = request.aux.subspan(i * aux_size + static_cast<int64_t>(a) * kHiddenSize, kHiddenSize);
      require(state[0] == static_cast<float>(request.tokens[i]), "aux belongs to its token");
      require(state[1] == static_cast<float>(request.first + i), "aux belongs to its position");
      require(state[2] == static_cast<float>(aux_layer_ids_[a]), "aux comes in the order of the layer ids");
    }
  }
  known.resize(static_cast<size_t>(request.first));
  known.insert(known.end(), request.tokens.begin(), request.tokens.end());

  Proposal proposal;
  std::vector<int32_t> context = known;
  for (int64_t k = 0; k < request.num_tokens - (kind_ == FakeDraft::kShort ? 1 : 0); ++k) {
    proposal.tokens.push_back(next_token(context, proposal, request));
    context.push_back(proposal.tokens.back());
  }
  return proposal;
}

int32_t FakeProposer::next_token(const std::vector<int32_t>& context, Proposal& proposal,
                                 const ProposalRequest& request) const {
  const int32_t right = verifier_.greedy_token(context);
  const auto wrong = static_cast<int32_t>((right + 1) % verifier_.config().vocab_size);
  if (kind_ == FakeDraft::kWrong) return wrong;
  if (kind_ == FakeDraft::kMixed) return hash(context) % 4 == 0 ? wrong : right;
  if (kind_ != FakeDraft::kSampling || request.temperature <= 0) return right;
  // Weights 1, 2, 3, ... over the draft ids.
  const auto count = static_cast<int64_t>(draft_to_verifier_.size());
  const auto total = static_cast<float>(count * (count + 1) / 2);
  std::vector<double> weights;
  for (int64_t i = 0; i < count; ++i) {
    weights.push_back(static_cast<double>(i + 1));
    proposal.probabilities.push_back(static_cast<float>(i + 1) / total);
  }
  return draft_to_verifier_[std::discrete_distribution<size_t>(weights.begin(), weights.end())(*request.random)];
}

}  // namespace speculators::testing
