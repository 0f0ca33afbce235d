#include "verifier/decoder.h"

#include <gmock/gmock.h>

#include <numeric>

#include "base/errors.h"
#include "tests/support/naive_decoder.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using testing::NaiveOutput;
using testing::TemporaryFolder;
using ::testing::ThrowsMessage;
using testing::tiny_config;

std::vector<int32_t> make_tokens(int64_t count, int64_t salt = 0) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>((i * i * 5 + i * 11 + salt * 13 + 3) % 40));
  return tokens;
}

std::unique_ptr<Verifier> make_verifier(const ModelConfig& config) {
  const TemporaryFolder folder;
  testing::write_tiny_verifier(folder.path(), config);
  return load_verifier(folder.path());
}

// --- against the naive decoder ---

struct Variant {
  std::string name;
  ModelConfig config;
};

Variant make_variant(const std::string& name, const std::string& model_type, void (*change)(ModelConfig&)) {
  Variant variant{name, tiny_config(model_type)};
  change(variant.config);
  return variant;
}

std::vector<Variant> variants() {
  return {
      make_variant("Llama", "llama", [](ModelConfig&) {}),
      make_variant("TiedLlama", "llama", [](ModelConfig& c) { c.tie_word_embeddings = true; }),
      make_variant("LlamaWithBiases", "llama", [](ModelConfig& c) { c.attention_bias = c.mlp_bias = true; }),
      make_variant("LlamaLinearRope", "llama",
                   [](ModelConfig& c) { c.rope = {.rope_type = "linear", .rope_theta = 500, .factor = 2.0}; }),
      make_variant("LlamaOddSizes", "llama",
                   [](ModelConfig& c) {
                     c.vocab_size = 41, c.hidden_size = 18, c.intermediate_size = 23, c.head_dim = 6;
                     c.num_attention_heads = c.num_key_value_heads = 3;
                   }),
      make_variant("Mistral", "mistral", [](ModelConfig& c) { c.sliding_window = 5; }),
      make_variant("Qwen3", "qwen3", [](ModelConfig&) {}),
      make_variant("Qwen3Sliding", "qwen3",
                   [](ModelConfig& c) {
                     c.sliding_window = 4;
                     c.layer_types = {"full_attention", "sliding_attention", "full_attention"};
                   }),
      make_variant("Qwen2", "qwen2", [](ModelConfig&) {}),
  };
}

class EveryVariant : public ::testing::TestWithParam<Variant> {};

TEST_P(EveryVariant, HiddenStatesAndLogitsEqualTheNaiveDecoder) {
  const ModelConfig& config = GetParam().config;
  const std::vector<int32_t> tokens = make_tokens(21);
  const NaiveOutput expected = testing::run_naive_decoder(config, testing::tiny_tensors(config), tokens);
  const auto verifier = make_verifier(config);
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const std::vector<int64_t> ids = {3, 0, 1, 2};  // not sorted on purpose
  const VerifierOutput got = verifier->forward({{{&sequence, tokens, 21}}, ids});
  const int64_t width = config.hidden_size;
  // fp32 against double: sums of at most 24 products, residuals of a few units.
  for (int64_t t = 0; t < 21; ++t) {
    for (size_t a = 0; a < ids.size(); ++a) {
      for (int64_t i = 0; i < width; ++i) {
        ASSERT_NEAR(got.hidden_states[(t * 4 + static_cast<int64_t>(a)) * width + i], expected.hidden[ids[a]][t][i],
                    2e-5)
            << "token " << t << " layer id " << ids[a];
      }
    }
    for (int64_t v = 0; v < config.vocab_size; ++v) {
      ASSERT_NEAR(got.logits[t * config.vocab_size + v], expected.logits[t][v], 5e-5) << "token " << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Family, EveryVariant, ::testing::ValuesIn(variants()),
                         [](const auto& info) { return info.param.name; });

// --- one result, however the rows come ---

struct Result {
  std::vector<float> logits, hidden;
  friend bool operator==(const Result&, const Result&) = default;
};

void append(Result& result, const VerifierOutput& output) {
  result.logits.insert(result.logits.end(), output.logits.begin(), output.logits.end());
  result.hidden.insert(result.hidden.end(), output.hidden_states.begin(), output.hidden_states.end());
}

// All logits and states of `tokens`, in passes of the given sizes.
Result run_in_chunks(Verifier& verifier, const std::vector<int32_t>& tokens, const std::vector<int64_t>& sizes) {
  const auto pool = verifier.make_kv_pool();
  KvSequence sequence(*pool);
  Result result;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    const auto chunk = std::span(tokens).subspan(begin, size);
    append(result, verifier.forward({{{&sequence, chunk, size}}, {0, 2, 3}}));
    begin += size;
  }
  return result;
}

class OneResult : public ::testing::TestWithParam<std::string> {
 protected:
  OneResult() : verifier_(make_verifier(tiny_config(GetParam()))) {}
  std::unique_ptr<Verifier> verifier_;
};
INSTANTIATE_TEST_SUITE_P(Family, OneResult, ::testing::Values("llama", "qwen3"));

TEST_P(OneResult, ChunksGiveTheBitsOfOnePass) {
  const std::vector<int32_t> tokens = make_tokens(45);
  const Result whole = run_in_chunks(*verifier_, tokens, {45});
  EXPECT_EQ(run_in_chunks(*verifier_, tokens, {7, 1, 20, 17}), whole);
  EXPECT_EQ(run_in_chunks(*verifier_, tokens, std::vector<int64_t>(45, 1)), whole);
}

// Sequence s has s + 3 tokens before; then all decode together, one token a pass, as the engine does.
TEST_P(OneResult, BatchesOfAnySizeGiveTheBitsOfPrefill) {
  for (const int64_t num_sequences : {1, 3, 8}) {
    const auto pool = verifier_->make_kv_pool();
    std::vector<KvSequence> caches;
    std::vector<std::vector<int32_t>> tokens;
    std::vector<Result> got(num_sequences);
    for (int64_t s = 0; s < num_sequences; ++s) {
      caches.emplace_back(*pool);
      tokens.push_back(make_tokens(s + 3 + 18, s));
    }
    const auto pass = [&](auto begin_of, auto count_of) {
      VerifierBatch batch{{}, {0, 2, 3}};
      for (int64_t s = 0; s < num_sequences; ++s) {
        batch.sequences.push_back({&caches[s], std::span(tokens[s]).subspan(begin_of(s), count_of(s)), count_of(s)});
      }
      const VerifierOutput output = verifier_->forward(batch);
      int64_t row = 0;
      for (int64_t s = 0; s < num_sequences; ++s) {
        const int64_t n = count_of(s);
        append(got[s], {output.logits.subspan(row * 40, n * 40), output.hidden_states.subspan(row * 48, n * 48)});
        row += n;
      }
    };
    pass([](int64_t) { return 0; }, [](int64_t s) { return s + 3; });
    for (int64_t step = 0; step < 18; ++step) {
      pass([&](int64_t s) { return s + 3 + step; }, [](int64_t) { return int64_t{1}; });
    }
    for (int64_t s = 0; s < num_sequences; ++s) {
      EXPECT_EQ(got[s], run_in_chunks(*verifier_, tokens[s], {s + 3 + 18})) << s << " of " << num_sequences;
    }
  }
}

TEST_P(OneResult, ATruncatedSequenceGoesOnAsIfNothingHadBeen) {
  const std::vector<int32_t> tokens = make_tokens(30);
  const std::vector<int32_t> rejected = make_tokens(9, /*salt=*/5);
  const auto pool = verifier_->make_kv_pool();
  KvSequence sequence(*pool);
  Result result;
  append(result, verifier_->forward({{{&sequence, std::span(tokens).first(14), 14}}, {0, 2, 3}}));
  verifier_->forward({{{&sequence, rejected, 9}}, {}});
  sequence.truncate(14);
  append(result, verifier_->forward({{{&sequence, std::span(tokens).subspan(14), 16}}, {0, 2, 3}}));
  EXPECT_EQ(result, run_in_chunks(*verifier_, tokens, {30}));
}

TEST(Decoder, LogitsComeOnlyForTheLastRowsAskedFor) {
  const auto verifier = make_verifier(tiny_config());
  const std::vector<int32_t> tokens = make_tokens(10);
  const Result whole = run_in_chunks(*verifier, tokens, {10});
  const auto pool = verifier->make_kv_pool();
  KvSequence first(*pool), second(*pool), third(*pool);
  const VerifierOutput got = verifier->forward({{{&first, tokens, 2}, {&second, tokens, 0}, {&third, tokens, 1}}, {}});
  const std::vector<float> all(whole.logits.end() - 2 * 40, whole.logits.end());
  EXPECT_EQ(std::vector<float>(got.logits.begin(), got.logits.begin() + 80), all);
  EXPECT_EQ(std::vector<float>(got.logits.begin() + 80, got.logits.end()),
            std::vector<float>(all.begin() + 40, all.end()));
  EXPECT_TRUE(got.hidden_states.empty());
}

// --- what is refused ---

TEST(Decoder, RefusesForeignTokenIdsAndLeavesTheCacheAlone) {
  const auto verifier = make_verifier(tiny_config());
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const std::vector<int32_t> tokens = {3, 40};
  EXPECT_THAT(
      [&] {
        verifier->forward({{{&sequence, tokens, 1}}, {}});
      },
      ThrowsMessage<UsageError>(HasSubstr("token id 40 is outside the vocabulary of 40")));
  EXPECT_EQ(sequence.length(), 0);
}

TEST(Decoder, RefusesSequencesLongerThanTheContext) {
  const auto verifier = make_verifier(tiny_config());
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const std::vector<int32_t> tokens = make_tokens(129);
  EXPECT_THAT(
      [&] {
        verifier->forward({{{&sequence, tokens, 1}}, {}});
      },
      ThrowsMessage<UsageError>(HasSubstr("129 tokens is longer than max_position_embeddings, 128")));
}

}  // namespace
}  // namespace speculators
