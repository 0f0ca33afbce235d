#include "engine/engine.h"

#include <gmock/gmock.h>

#include <limits>
#include <map>

#include "base/errors.h"
#include "tests/support/fake_models.h"

namespace speculators {
namespace {

using testing::FakeDraft;
using testing::FakeProposer;
using testing::FakeVerifier;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::map<int64_t, Finished> run(Engine& engine) {
  std::map<int64_t, Finished> finished;
  while (!engine.idle()) {
    for (Finished& one : engine.round()) finished[one.id] = std::move(one);
  }
  return finished;
}

std::vector<int32_t> make_prompt(int64_t length, int64_t salt, int64_t vocab_size) {
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < length; ++i) prompt.push_back(static_cast<int32_t>((i * 7 + salt * 3 + i * i) % vocab_size));
  return prompt;
}

// Prompts of many lengths, more than fit at once, through small chunks: prompts and decoding mix in nearly every batch.
void expect_greedy_equals_plain(FakeProposer* proposer, FakeVerifier& verifier, EngineOptions options) {
  Engine engine(verifier, proposer, options);
  for (int64_t id = 0; id < 11; ++id) {
    engine.submit({.id = id, .prompt = make_prompt(1 + id * 4 % 23, id, 16), .max_tokens = 1 + id * 5 % 17});
  }
  const auto finished = run(engine);
  ASSERT_EQ(finished.size(), 11u);
  for (const auto& [id, one] : finished) {
    EXPECT_EQ(one.tokens, verifier.greedy_answer(make_prompt(1 + id * 4 % 23, id, 16), 1 + id * 5 % 17)) << id;
  }
}

class EveryDraft : public ::testing::TestWithParam<FakeDraft> {};

TEST_P(EveryDraft, GreedyAnswersEqualPlainDecodingInMixedBatches) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, GetParam(), 4);
  expect_greedy_equals_plain(&proposer, verifier, {.max_sequences = 3, .prefill_chunk = 5});
}

INSTANTIATE_TEST_SUITE_P(Drafts, EveryDraft,
                         ::testing::Values(FakeDraft::kRight, FakeDraft::kWrong, FakeDraft::kMixed,
                                           FakeDraft::kSampling, FakeDraft::kShort));

TEST(Engine, PlainDecodingNeedsNoProposer) {
  FakeVerifier verifier(16);
  expect_greedy_equals_plain(nullptr, verifier, {.max_sequences = 3, .prefill_chunk = 5});
}

TEST(Engine, ProposalLengthZeroIsPlainDecoding) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kRight, 4);
  expect_greedy_equals_plain(&proposer, verifier, {.proposal_length = 0, .max_sequences = 3, .prefill_chunk = 5});
}

TEST(Engine, RightProposalsSaveRounds) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kRight, 4);
  Engine engine(verifier, &proposer, {});
  engine.submit({.prompt = {1, 2, 3}, .max_tokens = 11});
  run(engine);
  EXPECT_EQ(verifier.num_passes(), 3);  // the prompt gives 1 token, two rounds give 5 each
}

TEST(Engine, PrefillChunkBoundsThePromptRowsOfAPass) {
  FakeVerifier verifier(16);
  Engine engine(verifier, nullptr, {.max_sequences = 4, .prefill_chunk = 6});
  for (int64_t id = 0; id < 4; ++id) engine.submit({.id = id, .prompt = make_prompt(20, id, 16), .max_tokens = 1});
  run(engine);
  EXPECT_EQ(verifier.most_rows(), 6);
}

TEST(Engine, DecodingGoesOnWhileAPromptIsRead) {
  FakeVerifier verifier(16);
  Engine engine(verifier, nullptr, {.prefill_chunk = 2});
  std::vector<int64_t> order;
  engine.on_sequence = [&](const RoundRecord& record) { order.push_back(record.request_id); };
  engine.submit({.id = 0, .prompt = {1}, .max_tokens = 5});
  engine.submit({.id = 1, .prompt = make_prompt(7, 1, 16), .max_tokens = 1});
  run(engine);
  // The long prompt takes rounds 1 (one row is left beside the short prompt), 2, 3, 4.
  EXPECT_EQ(order, (std::vector<int64_t>{0, 0, 0, 0, 1, 0}));
}

TEST(Engine, AStopTokenInsideTheAcceptedTokensCutsTheAnswer) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kRight, 6);
  const std::vector<int32_t> prompt = {4, 9};
  const std::vector<int32_t> answer = verifier.greedy_answer(prompt, 6);
  const std::vector<int32_t> stops = {answer[3]};
  Engine engine(verifier, &proposer, {});
  engine.submit({.prompt = prompt, .max_tokens = 20, .stop_token_ids = stops});
  const auto finished = run(engine);
  EXPECT_TRUE(finished.at(0).stopped);
  EXPECT_EQ(finished.at(0).tokens, verifier.greedy_answer(prompt, 20, stops));  // ends with the stop token
}

TEST(Engine, TheContextEndsAnAnswer) {
  FakeVerifier verifier(16, /*max_position_embeddings=*/12);
  FakeProposer proposer(verifier, FakeDraft::kRight, 5);
  Engine engine(verifier, &proposer, {});
  engine.submit({.prompt = {1, 2, 3}, .max_tokens = std::numeric_limits<int64_t>::max()});
  const auto finished = run(engine);
  EXPECT_EQ(finished.at(0).tokens, verifier.greedy_answer({1, 2, 3}, 9));
  EXPECT_FALSE(finished.at(0).stopped);
}

TEST(Engine, KeepsHiddenStatesOfEveryRow) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kMixed, 3);
  Engine engine(verifier, &proposer, {.prefill_chunk = 3, .hidden_layer_ids = {2, 0}});
  engine.submit({.id = 0, .prompt = make_prompt(7, 0, 16), .max_tokens = 9, .keep_hidden_states = true});
  engine.submit({.id = 1, .prompt = make_prompt(4, 1, 16), .max_tokens = 9});
  const auto finished = run(engine);
  std::vector<int32_t> tokens = make_prompt(7, 0, 16);
  tokens.insert(tokens.end(), finished.at(0).tokens.begin(), finished.at(0).tokens.end());
  std::vector<float> expected;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto token = static_cast<float>(tokens[i]), position = static_cast<float>(i);
    expected.insert(expected.end(), {token, position, 2, token, position, 0});
  }
  EXPECT_EQ(finished.at(0).hidden_states, expected);
  EXPECT_TRUE(finished.at(1).hidden_states.empty());
}

TEST(Engine, RecordsAddUpToTheAnswer) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kMixed, 3);
  Engine engine(verifier, &proposer, {});
  std::vector<int32_t> streamed;
  int64_t num_first = 0;
  engine.on_sequence = [&](const RoundRecord& record) {
    streamed.insert(streamed.end(), record.tokens.begin(), record.tokens.end());
    num_first += record.first;
    EXPECT_EQ(static_cast<int64_t>(record.tokens.size()), record.num_accepted + 1);
    EXPECT_LE(record.num_accepted, record.num_proposed);
    EXPECT_GT(record.smallest_margin, 0);
  };
  int64_t num_rows = 0;
  engine.on_round = [&](const RoundTimes& times) {
    num_rows += times.num_rows;
    EXPECT_GE(times.total, times.propose + times.verify);
    EXPECT_EQ(times.num_sequences, 1);
  };
  engine.submit({.prompt = {3, 1}, .max_tokens = 15});
  EXPECT_EQ(run(engine).at(0).tokens, streamed);
  EXPECT_EQ(num_first, 1);
  EXPECT_GT(num_rows, 15);
}

TEST(Engine, ACancelledRequestIsForgotten) {
  FakeVerifier verifier(16);
  Engine engine(verifier, nullptr, {.max_sequences = 1});
  for (int64_t id = 0; id < 3; ++id) engine.submit({.id = id, .prompt = {1}, .max_tokens = 4});
  engine.round();
  EXPECT_EQ(engine.num_running(), 1);
  EXPECT_EQ(engine.num_waiting(), 2);
  EXPECT_TRUE(engine.cancel(0));  // running
  EXPECT_TRUE(engine.cancel(1));  // waiting
  EXPECT_FALSE(engine.cancel(7));
  const auto finished = run(engine);
  EXPECT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished.at(2).tokens, verifier.greedy_answer({1}, 4));
}

TEST(Engine, ATextDependsOnItsSeedOnly) {
  FakeVerifier verifier(16);
  FakeProposer proposer(verifier, FakeDraft::kSampling, 3);
  const Request request{.id = 5, .prompt = {3, 4}, .max_tokens = 20, .sampling = {.temperature = 1, .seed = 42}};
  Engine alone(verifier, &proposer, {});
  alone.submit(request);
  const auto expected = run(alone).at(5).tokens;
  Engine busy(verifier, &proposer, {.max_sequences = 3, .prefill_chunk = 4});
  for (int64_t id = 0; id < 9; ++id) {
    if (id == 5) busy.submit(request);
    busy.submit({.id = 100 + id, .prompt = make_prompt(9, id, 16), .max_tokens = 9, .sampling = {.temperature = 2}});
  }
  EXPECT_EQ(run(busy).at(5).tokens, expected);
}

TEST(Engine, RefusesImpossibleRequestsByName) {
  FakeVerifier verifier(16, 8);
  Engine engine(verifier, nullptr, {});
  const auto submit = [&](Request request) { return [&engine, request] { engine.submit(request); }; };
  EXPECT_THAT(submit({.max_tokens = 1}), ThrowsMessage<UsageError>(HasSubstr("prompt is empty")));
  EXPECT_THAT(submit({.prompt = make_prompt(8, 0, 16), .max_tokens = 1}),
              ThrowsMessage<UsageError>(HasSubstr("prompt has 8 tokens, but the verifier's context of 8")));
  EXPECT_THAT(submit({.prompt = {1}, .max_tokens = 0}), ThrowsMessage<UsageError>(HasSubstr("max_tokens")));
  EXPECT_THAT(submit({.prompt = {16}, .max_tokens = 1}), ThrowsMessage<UsageError>(HasSubstr("token id 16")));
  EXPECT_THAT(submit({.prompt = {1}, .max_tokens = 1, .sampling = {.top_p = 0}}),
              ThrowsMessage<UsageError>(HasSubstr("top_p")));
  EXPECT_THAT(submit({.prompt = {1}, .max_tokens = 1, .keep_hidden_states = true}),
              ThrowsMessage<UsageError>(HasSubstr("hidden_layer_ids")));
}

TEST(Engine, RefusesLayerIdsThatTheVerifierLacks) {
  FakeVerifier verifier(16);
  EXPECT_THAT([&] { Engine(verifier, nullptr, {.hidden_layer_ids = {3}}); },
              ThrowsMessage<UsageError>(HasSubstr("expected layer ids in [0, 2], got 3")));
}

}  // namespace
}  // namespace speculators
