// Losslessness of the drafts themselves: whole answers of a tiny verifier, drafted with sampling, in batches of
// mixed lengths, against the probabilities worked out from the verifier's logits.
#include <gmock/gmock.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "draft/dflash/config.h"
#include "draft/dflash2/config.h"
#include "draft/dspark/config.h"
#include "draft/eagle3/config.h"
#include "draft/mtp/config.h"
#include "draft/peagle/config.h"
#include "draft/speculator_for_test.h"
#include "draft/xpress/config.h"
#include "engine/engine.h"
#include "tests/support/statistics.h"

namespace speculators {
namespace {

using testing::g_test_score;
using testing::TemporaryFolder;

constexpr int64_t kVocabulary = 5, kCounted = 3, kNumAnswers = 5 * 5 * 5;  // answers are compared over three tokens
constexpr int64_t kDraws = 120'000;      // 360,000 tokens, 240,000 of them from rounds
constexpr double kOneInHundred = 2.326;  // standard score of p = 0.01; seeds are fixed and bits equal on every machine

Speculator speculator(const std::string& algorithm) {
  if (algorithm == "eagle3") {
    Eagle3Config config;
    config.layer = testing::tiny_layers("llama", {"full_attention"});
    config.layer.vocab_size = kVocabulary;
    config.draft_vocab_size = 4;  // one verifier token is never drafted
    config.aux_layer_ids = {0, 2, 6};
    return testing::new_speculator(algorithm, config.layer, to_json(config), 3);
  }
  if (algorithm == "peagle") {
    PEagleConfig config;
    config.layer = testing::tiny_layers("qwen3", {"sliding_attention", "full_attention"});
    config.layer.vocab_size = kVocabulary;
    config.draft_vocab_size = 4;
    config.aux_layer_ids = {0, 2, 6};
    config.mask_token_id = 3;
    return testing::new_speculator(algorithm, config.layer, to_json(config), 3);
  }
  if (algorithm == "dflash2") {
    DFlash2Config config;
    config.layer = testing::tiny_layers("qwen3", {"sliding_attention", "full_attention"});
    config.layer.vocab_size = kVocabulary;
    config.draft_vocab_size = kVocabulary;
    config.block_size = 4;
    config.aux_layer_ids = {0, 2, 6};
    config.mask_token_id = 3;
    config.conv_group_size = 4;
    config.selector_rank = 6;
    config.selector_top_k = 3;  // two verifier tokens are never drafted
    return testing::new_speculator(algorithm, config.layer, to_json(config), config.speculative_tokens());
  }
  if (algorithm.starts_with("dspark")) {
    DSparkConfig config;
    config.layer = testing::tiny_layers("qwen3", {"sliding_attention", "full_attention"});
    config.layer.vocab_size = kVocabulary;
    config.draft_vocab_size = 4;
    config.block_size = 4;
    config.aux_layer_ids = {0, 2, 6};
    config.mask_token_id = 3;
    config.markov_rank = 6;
    if (algorithm == "dspark_rnn") config.markov_head_type = MarkovHeadType::kRnn;
    return testing::new_speculator("dspark", config.layer, to_json(config), config.speculative_tokens());
  }
  if (algorithm == "mtp") {
    MtpConfig config;
    config.verifier = testing::tiny_layers("qwen3", std::vector<std::string>(6, "full_attention"));
    config.verifier.vocab_size = kVocabulary;
    return testing::new_speculator(algorithm, config.verifier, to_json(config), 3);
  }
  if (algorithm == "xpress") {
    XPressConfig config;
    config.layer = testing::tiny_layers("qwen3", {"sliding_attention", "full_attention"});
    config.layer.vocab_size = kVocabulary;
    config.draft_vocab_size = 4;
    config.block_size = 4;
    config.aux_layer_ids = {0, 2, 6};
    config.mask_token_id = 3;
    config.xpress_rank = 6;
    return testing::new_speculator(algorithm, config.layer, to_json(config), config.speculative_tokens());
  }
  DFlashConfig config;
  config.layer = testing::tiny_layers("qwen3", {"sliding_attention", "full_attention"});
  config.layer.vocab_size = kVocabulary;
  config.draft_vocab_size = kVocabulary;
  config.block_size = 4;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  return testing::new_speculator(algorithm, config.layer, to_json(config), config.speculative_tokens());
}

// The planted fault: a draft that reports its drawn tokens' probabilities 0.01 too low.
class UnderstatingProposer : public Proposer {
 public:
  explicit UnderstatingProposer(Proposer& draft) : draft_(&draft) {}
  std::unique_ptr<DraftSequence> make_sequence() const override { return draft_->make_sequence(); }
  const std::vector<int64_t>& aux_layer_ids() const override { return draft_->aux_layer_ids(); }
  int64_t max_proposal_length() const override { return draft_->max_proposal_length(); }
  std::span<const int32_t> draft_to_verifier() const override { return draft_->draft_to_verifier(); }
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override {
    std::vector<Proposal> proposals = draft_->propose(requests);
    for (Proposal& proposal : proposals) {
      if (proposal.tokens.empty()) continue;
      const size_t width = proposal.probabilities.size() / proposal.tokens.size();
      for (size_t k = 0; k < proposal.tokens.size(); ++k) {
        float& probability = proposal.probabilities[k * width + draft_id(proposal.tokens[k])];
        probability = std::max(probability - 0.01f, 1e-6f);
      }
    }
    return proposals;
  }

 protected:
  size_t draft_id(int32_t token) const {
    const auto map = draft_to_verifier();
    return map.empty() ? token : std::find(map.begin(), map.end(), token) - map.begin();
  }
  Proposer* draft_;
};

// Another planted fault: a stop that looks at the tokens it stops. Proposals end before the first token 0.
class StoppingAtZeroProposer : public UnderstatingProposer {
 public:
  using UnderstatingProposer::UnderstatingProposer;
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override {
    std::vector<Proposal> proposals = draft_->propose(requests);
    for (Proposal& proposal : proposals) {
      if (proposal.tokens.empty()) continue;
      const size_t width = proposal.probabilities.size() / proposal.tokens.size();
      const auto end = std::find(proposal.tokens.begin(), proposal.tokens.end(), 0);
      proposal.tokens.erase(end, proposal.tokens.end());
      proposal.probabilities.resize(width * proposal.tokens.size());
    }
    return proposals;
  }
};

// A quarter of the head, so that neither the verifier nor a draft that borrows it is sure of itself.
void flatten(const fs::path& folder) {
  const ModelConfig config = read_model_config(folder);
  testing::OwnedTensors tensors = testing::tiny_tensors(config, /*seed=*/2);
  for (auto& [name, tensor] : tensors) {
    if (name != "lm_head.weight") continue;
    std::vector<float> values = to_floats(tensor.view(), name);
    for (float& value : values) value *= 0.25f;
    tensor = make_tensor({config.vocab_size, config.hidden_size}, std::span<const float>(values));
  }
  testing::write_verifier(folder, config, tensors);
}

struct Context {
  std::vector<int32_t> prompt;
  int64_t max_tokens;  // at least kCounted; differing lengths keep the batch ragged
};
const std::vector<Context> kContexts = {{{2, 0}, 3}, {{1, 4, 3, 3, 0, 2, 1, 0, 4, 1, 2}, 6}};

// Cuts some of the whole proposals and not all.
double confidence_that_cuts(const std::string& algorithm) {
  if (algorithm == "dspark") return 0.001;
  if (algorithm == "dspark_rnn") return 0.4;
  if (algorithm == "dflash2") return 0.2;
  return algorithm == "dflash" ? 0.2 : 0.15;
}

// Some drafts are slow on tiny shapes; the planted fault is looked for in the others.
int64_t num_draws_of(const std::string& algorithm) {
  if (algorithm == "xpress") return kDraws / 4;
  if (algorithm == "dflash2") return kDraws / 6;
  return algorithm == "mtp" ? kDraws / 6 : kDraws;
}

class LosslessDraft : public ::testing::TestWithParam<std::string> {
 protected:
  LosslessDraft() {
    const fs::path saved = testing::write_speculator(folder_.path(), speculator(GetParam()));
    flatten(folder_.path() / "verifier");
    verifier_ = load_verifier(folder_.path() / "verifier");
    proposer_ = load_proposer(saved);
  }

  std::vector<float> next_probabilities(const std::vector<int32_t>& context, const SamplingParams& params) {
    const auto pool = verifier_->make_kv_pool();
    KvSequence sequence(*pool);
    const VerifierOutput output = verifier_->forward({.sequences = {{&sequence, context, 1}}});
    std::vector<float> row(output.logits.begin(), output.logits.end());
    std::vector<int32_t> scratch;
    to_distribution(row, params, scratch);
    return row;
  }

  // Of every context's answers, one behind the other; their sum is 1.
  std::vector<double> answer_probabilities(const SamplingParams& params) {
    std::vector<double> probabilities;
    for (const Context& context : kContexts) {
      for (int64_t code = 0; code < kNumAnswers; ++code) {
        std::vector<int32_t> tokens = context.prompt;
        double probability = 1.0 / static_cast<double>(kContexts.size());
        for (const int64_t token : {code / 25, code / 5 % 5, code % 5}) {
          probability *= next_probabilities(tokens, params)[token];
          tokens.push_back(static_cast<int32_t>(token));
        }
        probabilities.push_back(probability);
      }
    }
    return probabilities;
  }

  std::vector<int64_t> count_answers(Proposer* proposer, SamplingParams params) {
    return count_answers(proposer, params, num_draws_);
  }
  std::vector<int64_t> count_answers(Proposer* proposer, SamplingParams params, int64_t num_draws) {
    std::vector<int64_t> counts(kContexts.size() * kNumAnswers);
    Engine engine(*verifier_, proposer, {.min_confidence = min_confidence_, .max_sequences = 48});
    engine.on_sequence = [&](const RoundRecord& record) {
      num_accepted_ += record.num_accepted;
      ++num_proposals_of_[record.num_proposed];
    };
    for (int64_t i = 0; i < num_draws; ++i) {
      const Context& context = kContexts[i % kContexts.size()];
      params.seed = static_cast<uint64_t>(i);
      engine.submit({.id = i, .prompt = context.prompt, .max_tokens = context.max_tokens, .sampling = params});
    }
    while (!engine.idle()) {
      for (const Finished& one : engine.round()) {
        const int64_t context = one.id % static_cast<int64_t>(kContexts.size());
        ++counts[context * kNumAnswers + one.tokens[0] * 25 + one.tokens[1] * 5 + one.tokens[2]];
      }
    }
    return counts;
  }

  double score(Proposer* proposer, const SamplingParams& params) {
    const double score = g_test_score(count_answers(proposer, params), answer_probabilities(params));
    std::cout << "    G-test score " << score << " over " << num_draws_ * kCounted << " tokens (p = 0.01 at "
              << kOneInHundred << ")" << std::endl;
    return score;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Verifier> verifier_;
  std::unique_ptr<Proposer> proposer_;
  double min_confidence_ = confidence_that_cuts(GetParam());
  int64_t num_draws_ = num_draws_of(GetParam());
  int64_t num_accepted_ = 0;
  std::map<int64_t, int64_t> num_proposals_of_;  // rounds by the length of their proposal
};
INSTANTIATE_TEST_SUITE_P(Algorithm, LosslessDraft,
                         ::testing::Values("eagle3", "peagle", "dflash", "dflash2", "dspark", "dspark_rnn", "mtp",
                                           "xpress"),
                         [](const auto& info) { return info.param; });

TEST_P(LosslessDraft, AnswersAtTemperatureOneFollowTheVerifier) {
  EXPECT_LT(score(proposer_.get(), {.temperature = 1}), kOneInHundred);
  EXPECT_GT(num_accepted_, num_draws_ / 4);  // the test would say nothing of a draft that is never right
}

TEST_P(LosslessDraft, AnswersWithEveryFilterFollowTheVerifier) {
  EXPECT_LT(score(proposer_.get(), {.temperature = 0.7, .top_k = 4, .top_p = 0.95, .min_p = 0.02}), kOneInHundred);
}

// No draft takes part: once is enough.
class PlainDecoding : public LosslessDraft {};
INSTANTIATE_TEST_SUITE_P(Algorithm, PlainDecoding, ::testing::Values("eagle3"));

TEST_P(PlainDecoding, AnswersFollowTheVerifier) { EXPECT_LT(score(nullptr, {.temperature = 1}), kOneInHundred); }

class ConfidenceStop : public LosslessDraft {};
INSTANTIATE_TEST_SUITE_P(Algorithm, ConfidenceStop,
                         ::testing::Values("eagle3", "peagle", "dflash", "dflash2", "dspark", "dspark_rnn", "mtp",
                                           "xpress"),
                         [](const auto& info) { return info.param; });

TEST_P(ConfidenceStop, EndsSomeProposalsAndNotAll) {
  count_answers(proposer_.get(), {.temperature = 1}, 2000);
  auto stopped = std::exchange(num_proposals_of_, {});
  min_confidence_ = 0;
  count_answers(proposer_.get(), {.temperature = 1}, 2000);
  const auto [longest, num_whole] = *num_proposals_of_.rbegin();
  EXPECT_GT(stopped[longest], 0.1 * num_whole);
  EXPECT_LT(stopped[longest], 0.9 * num_whole);
}

TEST_P(ConfidenceStop, OneThatLooksAtTheTokenIsSeen) {
  StoppingAtZeroProposer biased(*proposer_);
  EXPECT_GT(score(&biased, {.temperature = 1}), kOneInHundred);
}

// That the test is sharp enough, with all its draws.
class PlantedBias : public LosslessDraft {};
INSTANTIATE_TEST_SUITE_P(Algorithm, PlantedBias,
                         ::testing::Values("eagle3", "peagle", "dflash", "dspark", "dspark_rnn"),
                         [](const auto& info) { return info.param; });

TEST_P(PlantedBias, OfOnePercentIsSeen) {
  UnderstatingProposer biased(*proposer_);
  EXPECT_GT(score(&biased, {.temperature = 1}), kOneInHundred);
}

}  // namespace
}  // namespace speculators
