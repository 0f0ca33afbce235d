// What holds for every proposer: proposals depend on the verified rows alone, not on how or beside whom they came.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/dflash/config.h"
#include "draft/dflash2/config.h"
#include "draft/dspark/config.h"
#include "draft/eagle3/config.h"
#include "draft/mtp/config.h"
#include "draft/peagle/config.h"
#include "draft/speculator_for_test.h"
#include "draft/xpress/config.h"

namespace speculators {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

const std::vector<std::string> kFull = {"full_attention"};
const std::vector<std::string> kMixed = {"sliding_attention", "full_attention", "sliding_attention"};

Speculator eagle3(const std::string& kind, const std::vector<std::string>& types, bool norm_output) {
  Eagle3Config config;
  config.layer = testing::tiny_layers(kind, types);
  config.draft_vocab_size = 12;
  config.aux_layer_ids = {0, 2, 6};
  config.norm_before_fc = norm_output;
  config.norm_output = norm_output;
  return testing::new_speculator("eagle3", config.layer, to_json(config), 3);
}

Speculator peagle(const std::string& kind, const std::vector<std::string>& types, bool norms) {
  PEagleConfig config;
  config.layer = testing::tiny_layers(kind, types);
  config.draft_vocab_size = 12;
  config.aux_layer_ids = {0, 2, 6};
  config.norm_before_residual = config.norm_before_fc = norms;
  config.mask_token_id = 3;
  return testing::new_speculator("peagle", config.layer, to_json(config), 3);
}

Speculator dflash(const std::vector<std::string>& types, int64_t draft_vocab_size, bool from_anchor) {
  DFlashConfig config;
  config.layer = testing::tiny_layers("qwen3", types);
  config.draft_vocab_size = draft_vocab_size;
  config.block_size = 5;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  config.sample_from_anchor = from_anchor;
  return testing::new_speculator("dflash", config.layer, to_json(config), config.speculative_tokens());
}

Speculator dflash2(const std::vector<std::string>& types, bool from_anchor, int64_t num_taps) {
  DFlash2Config config;
  config.layer = testing::tiny_layers("qwen3", types);
  config.draft_vocab_size = 40;
  config.block_size = 5;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  config.sample_from_anchor = from_anchor;
  config.conv_kernel_size = num_taps;
  config.conv_group_size = 4;
  config.selector_rank = 6;
  config.selector_top_k = 7;
  return testing::new_speculator("dflash2", config.layer, to_json(config), config.speculative_tokens());
}

Speculator dspark(const std::vector<std::string>& types, MarkovHeadType head, bool from_anchor) {
  DSparkConfig config;
  config.layer = testing::tiny_layers("qwen3", types);
  config.draft_vocab_size = head == MarkovHeadType::kVanilla ? 40 : 12;
  config.block_size = 5;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  config.sample_from_anchor = from_anchor;
  config.markov_rank = 6;
  config.markov_head_type = head;
  return testing::new_speculator("dspark", config.layer, to_json(config), config.speculative_tokens());
}

Speculator mtp(const std::string& kind, bool normed) {
  MtpConfig config;
  config.verifier = testing::tiny_layers(kind, std::vector<std::string>(6, "full_attention"));
  config.normed_hidden_states = normed;
  return testing::new_speculator("mtp", config.verifier, to_json(config), 4);
}

int64_t aux_width(const Proposer& proposer) { return 16 * static_cast<int64_t>(proposer.aux_layer_ids().size()); }

Speculator xpress(const std::vector<std::string>& types, int64_t draft_vocab_size, bool from_anchor) {
  XPressConfig config;
  config.layer = testing::tiny_layers("qwen3", types);
  config.draft_vocab_size = draft_vocab_size;
  config.block_size = 5;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  config.sample_from_anchor = from_anchor;
  config.xpress_rank = 6;
  config.num_jacobi_passes = 2;
  return testing::new_speculator("xpress", config.layer, to_json(config), config.speculative_tokens());
}

// A document of random tokens and aux states, told to a sequence row by row.
class Conversation {
 public:
  Conversation(Proposer& proposer, uint64_t seed)
      : proposer_(&proposer), random_(seed), sequence_(proposer.make_sequence()) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < 60; ++i) tokens_.push_back(static_cast<int32_t>(random() % 40));
    for (int i = 0; i < 60 * aux_width(proposer); ++i)
      aux_.push_back(static_cast<float>(random() >> 40) * 0x1p-23f - 1);
  }

  // Tells rows up to `end`, asking for `num_tokens`.
  ProposalRequest next(int64_t end, int64_t num_tokens, float temperature = 0) {
    const int64_t width = aux_width(*proposer_);
    const ProposalRequest request = {
        .sequence = sequence_.get(),
        .first = told_,
        .tokens = std::span(tokens_).subspan(told_, end - told_ + 1),
        .aux = std::span(aux_).subspan(told_ * width, (end - told_) * width),
        .num_tokens = num_tokens,
        .temperature = temperature,
        .random = &random_,
    };
    told_ = end;
    return request;
  }
  Proposal propose(int64_t end, int64_t num_tokens, float temperature = 0) {
    const ProposalRequest request = next(end, num_tokens, temperature);
    return proposer_->propose({&request, 1}).at(0);
  }
  void reseed(uint64_t seed) { random_.seed(seed); }

 private:
  Proposer* proposer_;
  std::mt19937_64 random_;
  std::unique_ptr<DraftSequence> sequence_;
  std::vector<int32_t> tokens_;
  std::vector<float> aux_;
  int64_t told_ = 0;
};

struct Case {
  const char* name;
  Speculator (*make)();
};

class AnyProposer : public ::testing::TestWithParam<Case> {
 protected:
  AnyProposer() : proposer_(load_proposer(testing::write_speculator(folder_.path(), GetParam().make()))) {}
  testing::TemporaryFolder folder_;
  std::unique_ptr<Proposer> proposer_;
};

void expect_same(const Proposal& got, const Proposal& expected) {
  EXPECT_THAT(got.tokens, ElementsAreArray(expected.tokens));
  EXPECT_EQ(got.probabilities, expected.probabilities);  // bit for bit
}

TEST_P(AnyProposer, ProposesTheSameHoweverTheRowsCame) {
  Conversation at_once(*proposer_, 5), in_pieces(*proposer_, 5);
  in_pieces.propose(17, 0);     // a prompt, fed only
  in_pieces.propose(18, 3);     // everything rejected: one row a round
  in_pieces.propose(22, 3, 2);  // sampled in between
  in_pieces.propose(23, 1);
  in_pieces.propose(37, 2);
  at_once.reseed(9);
  in_pieces.reseed(9);
  expect_same(in_pieces.propose(41, 4, 1), at_once.propose(41, 4, 1));
}

TEST_P(AnyProposer, ProposesTheSameInABatch) {
  std::vector<ProposalRequest> requests;
  std::vector<Proposal> alone;
  std::vector<Conversation> batch;
  const int64_t ends[] = {1, 33, 8, 19}, lengths[] = {4, 1, 0, 3};
  for (uint64_t i = 0; i < 4; ++i) {
    alone.push_back(Conversation(*proposer_, i).propose(ends[i], lengths[i], static_cast<float>(i % 2)));
    batch.emplace_back(*proposer_, i);
  }
  for (size_t i = 0; i < 4; ++i) requests.push_back(batch[i].next(ends[i], lengths[i], static_cast<float>(i % 2)));
  const std::vector<Proposal> together = proposer_->propose(requests);
  ASSERT_THAT(together, SizeIs(4));
  for (size_t i = 0; i < 4; ++i) expect_same(together[i], alone[i]);
}

TEST_P(AnyProposer, LongerProposalsBeginLikeShorterOnes) {
  const Proposal four = Conversation(*proposer_, 7).propose(20, 4, 1),
                 two = Conversation(*proposer_, 7).propose(20, 2, 1);
  ASSERT_THAT(four.tokens, SizeIs(4));
  EXPECT_THAT(two.tokens, ElementsAreArray(four.tokens.begin(), four.tokens.begin() + 2));
}

TEST_P(AnyProposer, GreedyProposalsCarryNoProbabilities) {
  EXPECT_THAT(Conversation(*proposer_, 7).propose(20, 4).probabilities, IsEmpty());
}

TEST_P(AnyProposer, SampledProposalsCarryOneDistributionPerToken) {
  const Proposal proposal = Conversation(*proposer_, 7).propose(20, 4, 1);
  const size_t width = proposer_->draft_to_verifier().empty() ? 40 : proposer_->draft_to_verifier().size();
  ASSERT_THAT(proposal.probabilities, SizeIs(4 * width));
  double sum = 0;
  for (float probability : proposal.probabilities) sum += probability;
  EXPECT_NEAR(sum, 4, 1e-5);
}

TEST_P(AnyProposer, DependsOnEveryVerifiedRowInSight) {
  Conversation changed(*proposer_, 7), same(*proposer_, 7);
  std::vector<float> aux(aux_width(*proposer_) * 4, 0.5f);
  ProposalRequest request = changed.next(4, 3, 1);
  request.aux = aux;
  const Proposal with_other_states = proposer_->propose({&request, 1}).at(0);
  EXPECT_NE(with_other_states.probabilities, same.propose(4, 3, 1).probabilities);
}

TEST_P(AnyProposer, RejectsRowsToldTwice) {
  Conversation conversation(*proposer_, 7);
  ProposalRequest request = conversation.next(6, 2);
  proposer_->propose({&request, 1});
  EXPECT_THAT(
      [&] {
        proposer_->propose({&request, 1});
      },
      ThrowsMessage<ShapeError>(HasSubstr("first: expected 6, the rows told so far, found 0")));
}

TEST_P(AnyProposer, RejectsAuxStatesOfAnotherWidth) {
  Conversation conversation(*proposer_, 7);
  ProposalRequest request = conversation.next(6, 2);
  request.aux = request.aux.subspan(1);
  EXPECT_THAT(
      [&] {
        proposer_->propose({&request, 1});
      },
      ThrowsMessage<ShapeError>(HasSubstr(fmt::format("expected 6 x {} values for 7 tokens, found {}",
                                                      aux_width(*proposer_), 6 * aux_width(*proposer_) - 1))));
}

TEST_P(AnyProposer, RejectsIdsOutsideTheVocabularyAndForgetsNothing) {
  Conversation conversation(*proposer_, 7);
  ProposalRequest request = conversation.next(2, 2);
  const std::vector<int32_t> tokens = {1, 2, 40};
  ProposalRequest damaged = request;
  damaged.tokens = tokens;
  EXPECT_THAT(
      [&] {
        proposer_->propose({&damaged, 1});
      },
      ThrowsMessage<UsageError>(HasSubstr("expected token ids in [0, 40), found 40")));
  expect_same(proposer_->propose({&request, 1}).at(0), Conversation(*proposer_, 7).propose(2, 2));
}

TEST_P(AnyProposer, NeedsAGeneratorToSample) {
  Conversation conversation(*proposer_, 7);
  ProposalRequest request = conversation.next(6, 2, 1);
  request.random = nullptr;
  EXPECT_THAT([&] { proposer_->propose({&request, 1}); }, ThrowsMessage<ShapeError>(HasSubstr("random generator")));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, AnyProposer,
    ::testing::Values(Case{"eagle3_llama", [] { return eagle3("llama", kFull, true); }},
                      Case{"eagle3_qwen3_mixed", [] { return eagle3("qwen3", kMixed, false); }},
                      Case{"peagle_llama", [] { return peagle("llama", kFull, true); }},
                      Case{"peagle_qwen3_mixed", [] { return peagle("qwen3", kMixed, false); }},
                      Case{"mtp_llama", [] { return mtp("llama", true); }},
                      Case{"mtp_qwen3", [] { return mtp("qwen3", false); }},
                      Case{"dflash_full", [] { return dflash(kFull, 40, true); }},
                      Case{"dflash_mixed", [] { return dflash(kMixed, 12, false); }},
                      Case{"dflash2_mixed", [] { return dflash2(kMixed, false, 2); }},
                      Case{"dflash2_from_anchor", [] { return dflash2(kFull, true, 3); }},
                      Case{"dspark_vanilla", [] { return dspark(kFull, MarkovHeadType::kVanilla, true); }},
                      Case{"dspark_gated", [] { return dspark(kMixed, MarkovHeadType::kGated, false); }},
                      Case{"dspark_rnn", [] { return dspark(kMixed, MarkovHeadType::kRnn, false); }},
                      Case{"xpress_mixed", [] { return xpress(kMixed, 12, false); }},
                      Case{"xpress_from_anchor", [] { return xpress(kFull, 40, true); }}),
    [](const auto& info) { return info.param.name; });

class OneProposer : public ::testing::Test {
 protected:
  std::unique_ptr<Proposer> load(const Speculator& speculator) {
    return load_proposer(testing::write_speculator(folder_.path(), speculator));
  }
  // With NaN in every element of `name` [40, 6].
  std::unique_ptr<Proposer> load_damaged(const Speculator& speculator, const std::string& name) {
    const fs::path folder = testing::write_speculator(folder_.path(), speculator);
    NamedTensors tensors;
    const TensorFile file = TensorFile::open_folder(folder);
    const std::vector<float> damaged(40 * 6, std::nanf(""));
    const auto replacement = make_tensor({40, 6}, std::span<const float>(damaged));
    for (const auto& [known, tensor] : file.tensors())
      tensors.emplace_back(known, known == name ? replacement.view() : tensor);
    write_safetensors(folder / "damaged.safetensors", tensors);
    fs::rename(folder / "damaged.safetensors", folder / "model.safetensors");
    return load_proposer(folder);
  }
  testing::TemporaryFolder folder_;
};

// Two draws of one sequence that differ in the first token; `width` is that of the draft's vocabulary.
void expect_later_tokens_hang_on_the_earlier_ones(Proposer& proposer, size_t width) {
  Conversation one(proposer, 7), other(proposer, 7);
  one.reseed(1);
  other.reseed(2);
  const Proposal a = one.propose(9, 2, 3), b = other.propose(9, 2, 3);
  ASSERT_NE(a.tokens[0], b.tokens[0]);
  EXPECT_NE(a.probabilities, b.probabilities);
  EXPECT_THAT(std::span(a.probabilities).first(width), ElementsAreArray(std::span(b.probabilities).first(width)));
}

using Eagle3Proposer = OneProposer;
using PEagleProposer = OneProposer;
using DFlashProposer = OneProposer;
using MtpProposer = OneProposer;

TEST_F(Eagle3Proposer, DraftsBeyondItsTrainedLength) {
  const auto proposer = load(eagle3("llama", kFull, true));
  EXPECT_EQ(proposer->max_proposal_length(), 3);
  EXPECT_THAT(Conversation(*proposer, 7).propose(9, 7).tokens, SizeIs(7));
}

TEST_F(Eagle3Proposer, OffersNothingWithoutANewRow) {
  const auto proposer = load(eagle3("llama", kFull, true));
  EXPECT_THAT(Conversation(*proposer, 7).propose(0, 3).tokens, IsEmpty());
}

TEST_F(Eagle3Proposer, TakesTheDefaultAuxLayersOfItsVerifier) {
  Speculator speculator = eagle3("llama", kFull, true);
  speculator.config["eagle_aux_hidden_state_layer_ids"] = nullptr;
  const fs::path folder = testing::write_speculator(folder_.path(), speculator);
  Json verifier = read_json(folder_.path() / "verifier" / "config.json");
  verifier["num_hidden_layers"] = 12;
  write_json(folder_.path() / "verifier" / "config.json", verifier);
  EXPECT_THAT(load_proposer(folder)->aux_layer_ids(), ::testing::ElementsAre(2, 6, 9));
}

TEST_F(PEagleProposer, DraftsBeyondItsTrainedDepths) {
  const auto proposer = load(peagle("llama", kFull, true));
  EXPECT_EQ(proposer->max_proposal_length(), 3);
  EXPECT_THAT(Conversation(*proposer, 7).propose(9, 7).tokens, SizeIs(7));
}

TEST_F(PEagleProposer, OffersNothingWithoutANewRow) {
  const auto proposer = load(peagle("llama", kFull, true));
  EXPECT_THAT(Conversation(*proposer, 7).propose(0, 3).tokens, IsEmpty());
}

TEST_F(PEagleProposer, LaterTokensDoNotHangOnTheEarlierOnes) {
  const auto proposer = load(peagle("llama", kFull, true));
  Conversation one(*proposer, 7), other(*proposer, 7);
  one.reseed(1);
  other.reseed(2);
  const Proposal a = one.propose(9, 4, 3), b = other.propose(9, 4, 3);
  EXPECT_NE(a.tokens, b.tokens);
  EXPECT_EQ(a.probabilities, b.probabilities);
}

TEST_F(MtpProposer, OffersNoMoreThanItsTrainedSteps) {
  const auto proposer = load(mtp("qwen3", false));
  EXPECT_EQ(proposer->max_proposal_length(), 4);
  EXPECT_THAT([&] { Conversation(*proposer, 7).propose(9, 5); },
              ThrowsMessage<UsageError>(HasSubstr("expected at most 4, the steps that the MTP head was trained for")));
}

TEST_F(MtpProposer, OffersNothingWithoutANewRow) {
  const auto proposer = load(mtp("llama", false));
  EXPECT_THAT(Conversation(*proposer, 7).propose(0, 3).tokens, IsEmpty());
}

TEST_F(MtpProposer, ReadsTheLastHiddenStateOfItsVerifier) {
  EXPECT_THAT(load(mtp("llama", false))->aux_layer_ids(), ::testing::ElementsAre(6));
}

TEST_F(MtpProposer, RefusesAVerifierOfAnotherDepth) {
  const fs::path folder = testing::write_speculator(folder_.path(), mtp("llama", false));
  Json verifier = read_json(folder_.path() / "verifier" / "config.json");
  verifier["num_hidden_layers"] = 5;
  write_json(folder_.path() / "verifier" / "config.json", verifier);
  EXPECT_THAT([&] { load_proposer(folder); }, ThrowsMessage<DataError>(HasSubstr("num_hidden_layers: expected 6")));
}

// The state behind the final norm, and a final norm of ones, differ from the raw state by a scale that the next norm
// takes away.
TEST_F(MtpProposer, ReadsTheStateBehindTheFinalNormWhenItWasTrainedSo) {
  const auto raw = load(mtp("llama", false));
  const Proposal before = Conversation(*raw, 7).propose(20, 3, 1);
  const auto normed = load(mtp("llama", true));
  EXPECT_NE(Conversation(*normed, 7).propose(20, 3, 1).probabilities, before.probabilities);
}

TEST_F(DFlashProposer, OffersNoMoreThanOneBlock) {
  const auto proposer = load(dflash(kFull, 40, false));
  EXPECT_THAT([&] { Conversation(*proposer, 7).propose(9, 5); },
              ThrowsMessage<UsageError>(HasSubstr("expected at most 4, what one block of 5 gives, found 5")));
}

TEST_F(DFlashProposer, DraftsFromTheNewestTokenAlone) {
  const auto proposer = load(dflash(kFull, 40, false));
  EXPECT_THAT(Conversation(*proposer, 7).propose(0, 4).tokens, SizeIs(4));
}

using DFlash2Proposer = OneProposer;

TEST_F(DFlash2Proposer, LaterTokensHangOnTheEarlierOnes) {
  expect_later_tokens_hang_on_the_earlier_ones(*load(dflash2(kFull, false, 2)), 40);
}

TEST_F(DFlash2Proposer, DrawsFromTheCandidatesOnly) {
  const auto proposer = load(dflash2(kFull, false, 2));
  const Proposal proposal = Conversation(*proposer, 7).propose(20, 4, 5);
  for (int64_t k = 0; k < 4; ++k) {
    const auto row = std::span(proposal.probabilities).subspan(k * 40, 40);
    EXPECT_EQ(std::count_if(row.begin(), row.end(), [](float value) { return value > 0; }), 7);
    EXPECT_GT(row[proposal.tokens[k]], 0);
  }
}

TEST_F(DFlash2Proposer, EndsWhereTheSelectorIsNotSureEnough) {
  const auto proposer = load(dflash2(kFull, false, 2));
  Conversation conversation(*proposer, 7);
  ProposalRequest request = conversation.next(9, 4, 1);
  request.min_confidence = 1;
  EXPECT_THAT(proposer->propose({&request, 1}).at(0).tokens, IsEmpty());
}

TEST_F(DFlash2Proposer, RejectsACodebookThatIsNotFinite) {
  const auto proposer = load_damaged(dflash2(kFull, false, 2), "candidate_selector.successor_codebook");
  EXPECT_THAT([&] { Conversation(*proposer, 7).propose(9, 2); },
              ThrowsMessage<DataError>(HasSubstr("candidate_selector.successor_codebook: row ")));
}

class DSparkProposer : public OneProposer {
 protected:
  std::unique_ptr<Proposer> proposer_ = load(dspark(kFull, MarkovHeadType::kRnn, true));
};

TEST_F(DSparkProposer, LaterTokensHangOnTheEarlierOnes) {
  expect_later_tokens_hang_on_the_earlier_ones(*proposer_, 12);
}

TEST_F(DSparkProposer, ProposesNothingWhenNothingIsSureEnough) {
  Conversation conversation(*proposer_, 7);
  ProposalRequest request = conversation.next(9, 4, 1);
  request.min_confidence = 1;
  const Proposal proposal = proposer_->propose({&request, 1}).at(0);
  EXPECT_THAT(proposal.tokens, IsEmpty());
  EXPECT_THAT(proposal.probabilities, IsEmpty());
}

// The others' proposals must not change when one of the batch ends early.
TEST_F(DSparkProposer, AProposalThatEndsEarlyLeavesTheOthersAlone) {
  std::vector<Conversation> batch;
  std::vector<ProposalRequest> requests;
  for (uint64_t i = 0; i < 3; ++i) batch.emplace_back(*proposer_, i);
  for (uint64_t i = 0; i < 3; ++i) requests.push_back(batch[i].next(9, 4, 1));
  requests[1].min_confidence = 1;
  const std::vector<Proposal> together = proposer_->propose(requests);
  EXPECT_THAT(together[1].tokens, IsEmpty());
  for (const uint64_t i : {0, 2}) expect_same(together[i], Conversation(*proposer_, i).propose(9, 4, 1));
}

TEST_F(OneProposer, RejectsADSparkEmbeddingThatIsNotFinite) {
  const auto proposer = load_damaged(dspark(kFull, MarkovHeadType::kVanilla, true), "markov_head.markov_w1.weight");
  EXPECT_THAT([&] { Conversation(*proposer, 7).propose(9, 2); },
              ThrowsMessage<DataError>(HasSubstr("markov_head.markov_w1.weight: row ")));
}

TEST_F(OneProposer, RejectsAnotherVerifier) {
  const fs::path folder = testing::write_speculator(folder_.path(), dflash(kFull, 40, false));
  Json verifier = read_json(folder_.path() / "verifier" / "config.json");
  verifier["hidden_size"] = 32;
  write_json(folder_.path() / "verifier" / "config.json", verifier);
  EXPECT_THAT([&] { load_proposer(folder); },
              ThrowsMessage<DataError>(HasSubstr("hidden_size: expected 16 as the draft has it, found 32")));
}

TEST_F(OneProposer, RejectsAuxLayersThatTheVerifierLacks) {
  Speculator speculator = dflash(kFull, 40, false);
  speculator.config["aux_hidden_state_layer_ids"] = {0, 2, 7};
  EXPECT_THAT([&] { load(speculator); }, ThrowsMessage<DataError>(HasSubstr("layer ids from 0 to 6, found [0, 2, 7]")));
}

TEST_F(OneProposer, RejectsAnActivationItDoesNotKnow) {
  Speculator speculator = eagle3("llama", kFull, true);
  speculator.config["transformer_layer_config"]["hidden_act"] = "gelu";
  EXPECT_THAT([&] { load(speculator); }, ThrowsMessage<DataError>(HasSubstr("hidden_act: expected silu")));
}

}  // namespace
}  // namespace speculators
