#include "checkpoint/import_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "checkpoint/gguf_builder.h"
#include "checkpoint/gguf_llama.h"
#include "checkpoint/gguf_tokenizer.h"
#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

// Values first, first + 1, ... as fp32.
std::string floats(int64_t count, float first) {
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes += GgufBuilder::raw(first + static_cast<float>(i));
  return bytes;
}

// A Llama of one layer: D = 4, one head of 4, feed-forward 2, vocabulary 5.
GgufBuilder tiny_llama() {
  GgufBuilder builder;
  builder.add_string("general.architecture", "llama")
      .add_u32("llama.block_count", 1)
      .add_u32("llama.context_length", 64);
  builder.add_u32("llama.embedding_length", 4).add_u32("llama.feed_forward_length", 2);
  builder.add_u32("llama.attention.head_count", 1).add_u32("llama.attention.head_count_kv", 1);
  builder.add_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f).add_f32("llama.rope.freq_base", 1e5f);
  builder.add_string("tokenizer.ggml.model", "gpt2").add_string("tokenizer.ggml.pre", "smollm");
  builder.add_strings("tokenizer.ggml.tokens", {"<|end|>", "<tool>", "a", "b", "ab"});
  builder.add_ints("tokenizer.ggml.token_type", {3, 4, 1, 1, 1}).add_strings("tokenizer.ggml.merges", {"a b"});
  builder.add_u32("tokenizer.ggml.eos_token_id", 0).add_u32("tokenizer.ggml.bos_token_id", 0);
  builder.add_string("tokenizer.chat_template", "{{ messages }}");
  builder.add_tensor("token_embd.weight", GgufType::kF32, {5, 4}, floats(20, 0));
  builder.add_tensor("output_norm.weight", GgufType::kF32, {4}, floats(4, 1));
  for (const char* name : {"attn_norm", "ffn_norm"}) {
    builder.add_tensor(std::string("blk.0.") + name + ".weight", GgufType::kF32, {4}, floats(4, 1));
  }
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
    builder.add_tensor(std::string("blk.0.") + name + ".weight", GgufType::kF32, {4, 4}, floats(16, 0));
  }
  builder.add_tensor("blk.0.ffn_gate.weight", GgufType::kF32, {2, 4}, floats(8, 0));
  builder.add_tensor("blk.0.ffn_up.weight", GgufType::kF32, {2, 4}, floats(8, 8));
  builder.add_tensor("blk.0.ffn_down.weight", GgufType::kF32, {4, 2}, floats(8, 0));
  return builder;
}

class ImportGguf : public ::testing::Test {
 protected:
  ImportGguf()
      : folder_(fs::path(::testing::TempDir()) /
                (std::string("import_gguf_") + ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    make_folders(folder_);
  }
  ~ImportGguf() override { fs::remove_all(folder_); }

  fs::path import(const GgufBuilder& builder, int64_t max_shard_bytes = 1 << 20) const {
    write_file(folder_ / "m.gguf", builder.build());
    import_gguf(folder_ / "m.gguf", folder_ / "out", max_shard_bytes);
    return folder_ / "out";
  }

  void expect_refused(const GgufBuilder& builder, const std::string& message) const {
    EXPECT_THAT([&] { import(builder); }, ThrowsMessage<DataError>(AllOf(HasSubstr("m.gguf: "), HasSubstr(message))));
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }

  Json imported_tokenizer(const GgufBuilder& builder) const { return read_json(import(builder) / "tokenizer.json"); }

  fs::path folder_;
};

TEST_F(ImportGguf, WritesTheConfigOfALlama) {
  const ModelConfig config = read_model_config(import(tiny_llama()));
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_THAT(config.architectures, ElementsAre("LlamaForCausalLM"));
  EXPECT_EQ(config.vocab_size, 5);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.max_position_embeddings, 64);
  EXPECT_EQ(config.rope.rope_theta, 1e5);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(0));
  const Json written = read_json(folder_ / "out" / "config.json");
  EXPECT_EQ(written["dtype"], "bfloat16");
  EXPECT_EQ(written["transformers_version"], "5.0.0");
}

TEST_F(ImportGguf, EpsIsTheShortestDecimal) { EXPECT_EQ(read_model_config(import(tiny_llama())).rms_norm_eps, 1e-5); }

TEST_F(ImportGguf, WeightsAreBf16UnderTheirPublishedNames) {
  const TensorFile got = TensorFile::open_folder(import(tiny_llama()));
  EXPECT_EQ(got.tensors().size(), 11u);
  EXPECT_EQ(got.get("model.embed_tokens.weight").dtype, DType::kBF16);
  EXPECT_THAT(got.get("model.embed_tokens.weight").shape, ElementsAre(5, 4));
  EXPECT_THAT(to_floats(got.get("model.layers.0.mlp.up_proj.weight"), "up"), ElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
  EXPECT_EQ(got.find("lm_head.weight"), nullptr);
}

TEST_F(ImportGguf, QueryAndKeyRowsReturnToHalves) {
  // Stored rows 0 1 2 3 of a head of 4 are the pairs (0, 2) and (1, 3) of the published order, so rows 1 and 2 swap.
  const TensorFile got = TensorFile::open_folder(import(tiny_llama()));
  for (const char* name : {"q_proj", "k_proj"}) {
    EXPECT_THAT(to_floats(got.get(std::string("model.layers.0.self_attn.") + name + ".weight"), name),
                ElementsAre(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15));
  }
  EXPECT_EQ(to_floats(got.get("model.layers.0.self_attn.v_proj.weight"), "v")[4], 4.0f);
}

TEST_F(ImportGguf, AnOutputTensorIsTheHead) {
  GgufBuilder builder = tiny_llama();
  builder.add_tensor("output.weight", GgufType::kF32, {5, 4}, floats(20, 100));
  const fs::path folder = import(builder);
  EXPECT_FALSE(read_model_config(folder).tie_word_embeddings);
  EXPECT_EQ(to_floats(TensorFile::open_folder(folder).get("lm_head.weight"), "head")[0], 100.0f);
}

TEST_F(ImportGguf, AboveTheLimitThereAreShardsAndAnIndex) {
  const fs::path folder = import(tiny_llama(), 64);
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
  // Bytes: 40 + 8 | 32 + 32 | 32 + 32 | 8 + 3 * 16 + 8
  EXPECT_TRUE(fs::exists(folder / "model-00004-of-00004.safetensors"));
  const TensorFile got = TensorFile::open_folder(folder);
  EXPECT_EQ(got.tensors().size(), 11u);
  // 20 + 4 + 2 * 4 + 4 * 16 + 3 * 8 values of 2 bytes
  EXPECT_EQ(read_json(folder / "model.safetensors.index.json")["metadata"]["total_size"], 240);
}

TEST_F(ImportGguf, GenerationStopsAtEndOfTextAndEndOfTurn) {
  GgufBuilder builder = tiny_llama();
  builder.add_u32("tokenizer.ggml.eot_token_id", 1);
  EXPECT_EQ(read_json(import(builder) / "generation_config.json")["eos_token_id"], Json::array({0, 1}));
}

TEST_F(ImportGguf, Llama3RopeIsFoundAgainFromItsFactors) {
  // Head 4, theta 5e5: frequencies 1 and 5e5^-0.5 = 1/707. Over 8192 positions 1304 turns (kept: factor 1) and 1.84
  // turns, between 1 and 4: smooth = 0.281, factor 1 / ((1 - 0.281) / 8 + 0.281) = 2.70.
  const double turns = 8192 / std::sqrt(5e5) / (2 * M_PI);
  const double smooth = (turns - 1) / 3;
  const auto factor = static_cast<float>(1 / ((1 - smooth) / 8 + smooth));
  GgufBuilder builder = tiny_llama();
  builder.add_f32("llama.rope.freq_base", 5e5f).add_u32("llama.embedding_length", 4);
  builder.add_tensor("rope_freqs.weight", GgufType::kF32, {2}, GgufBuilder::raw(1.0f) + GgufBuilder::raw(factor));
  // The last factor of a real model is the full one; in a head of 4 it is blended, so the constants cannot be found.
  expect_refused(builder, "rope_freqs.weight: expected the factors of Llama 3's RoPE, found others");
  builder.add_f32("llama.rope.freq_base", 5e7f);  // now 0.18 turns: the full factor
  builder.add_tensor("rope_freqs.weight", GgufType::kF32, {2}, GgufBuilder::raw(1.0f) + GgufBuilder::raw(8.0f));
  const RopeParameters rope = read_model_config(import(builder)).rope;
  EXPECT_EQ(rope.rope_type, "llama3");
  EXPECT_EQ(rope.factor, 8.0);
  EXPECT_EQ(rope.original_max_position_embeddings, 8192);
}

TEST_F(ImportGguf, ScaledRopeIsKept) {
  GgufBuilder builder = tiny_llama();
  builder.add_string("llama.rope.scaling.type", "linear").add_f32("llama.rope.scaling.factor", 4.0f);
  const RopeParameters rope = read_model_config(import(builder)).rope;
  EXPECT_EQ(rope.rope_type, "linear");
  EXPECT_EQ(rope.factor, 4.0);
}

TEST_F(ImportGguf, EveryTensorProblemIsNamedAtOnce) {
  GgufBuilder builder = tiny_llama();
  builder.remove("blk.0.attn_v.weight");
  builder.add_tensor("blk.0.ffn_up.weight", GgufType::kF32, {4, 2}, floats(8, 0));
  builder.add_tensor("blk.0.attn_q.bias", GgufType::kF32, {4}, floats(4, 0));
  expect_refused(builder,
                 "blk.0.attn_v.weight is missing; blk.0.ffn_up.weight: expected 2 x 4, found 4 x 2; "
                 "blk.0.attn_q.bias is not part of a plain Llama");
}

TEST_F(ImportGguf, WhatLlamaCannotExpressIsRefused) {
  expect_refused(tiny_llama().add_string("general.architecture", "qwen3"), "expected llama, found qwen3");
  expect_refused(tiny_llama().add_u32("llama.expert_count", 8), "experts are not supported");
  expect_refused(tiny_llama().add_u32("split.count", 2), "the model lies in several files");
  expect_refused(tiny_llama().add_u32("llama.rope.dimension_count", 2), "RoPE over part of a head is not supported");
  expect_refused(tiny_llama().add_string("llama.rope.scaling.type", "longrope"),
                 "llama.rope.scaling: expected type none");
  expect_refused(tiny_llama().add_u32("llama.block_count", 0), "llama.block_count: expected 1 to 2147483647, found 0");
  expect_refused(tiny_llama().add_u32("llama.block_count", 2000000000), "is missing; and ");
  expect_refused(tiny_llama().add_u32("llama.attention.head_count", 3),
                 "embedding_length 4 is not a multiple of 3 heads");
}

TEST_F(ImportGguf, TheOldFolderStaysWhenTheImportFails) {
  import(tiny_llama());
  EXPECT_THROW(import(tiny_llama().remove("output_norm.weight")), DataError);
  EXPECT_EQ(TensorFile::open_folder(folder_ / "out").tensors().size(), 11u);
}

TEST_F(ImportGguf, TextThatIsNotUtf8IsRefused) {
  expect_refused(tiny_llama().add_string("tokenizer.chat_template", "\xff"), "is not valid UTF-8");
}

TEST_F(ImportGguf, SmolLmSplitsDigitsBeforeTheByteLevel) {
  const Json tokenizer = imported_tokenizer(tiny_llama());
  const Json& steps = tokenizer["pre_tokenizer"]["pretokenizers"];
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0], (Json{{"type", "Digits"}, {"individual_digits", true}}));
  EXPECT_EQ(steps[1]["type"], "ByteLevel");
  EXPECT_EQ(steps[1]["add_prefix_space"], false);
  EXPECT_EQ(steps[1]["use_regex"], true);
  EXPECT_TRUE(tokenizer["post_processor"].is_null());
}

TEST_F(ImportGguf, VocabularyAndMergesAreTheFiles) {
  const Json model = imported_tokenizer(tiny_llama())["model"];
  EXPECT_EQ(model["type"], "BPE");
  EXPECT_EQ(model["vocab"], (Json{{"<|end|>", 0}, {"<tool>", 1}, {"a", 2}, {"b", 3}, {"ab", 4}}));
  EXPECT_EQ(model["merges"], Json::array({Json::array({"a", "b"})}));
  EXPECT_EQ(model["ignore_merges"], false);
}

TEST_F(ImportGguf, ControlTokensAreSpecialAndUserTokensAreNot) {
  const Json added = imported_tokenizer(tiny_llama())["added_tokens"];
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0]["content"], "<|end|>");
  EXPECT_EQ(added[0]["special"], true);
  EXPECT_EQ(added[1]["content"], "<tool>");
  EXPECT_EQ(added[1]["special"], false);
}

TEST_F(ImportGguf, TheTokenizerConfigHasTemplateAndNamedTokens) {
  const Json config = read_json(import(tiny_llama()) / "tokenizer_config.json");
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  EXPECT_EQ(config["eos_token"], "<|end|>");
  EXPECT_EQ(config["model_max_length"], 64);
  EXPECT_FALSE(config.contains("unk_token"));
}

TEST_F(ImportGguf, LlamaThreeTokenizersAddABosAndTakeWholeWords) {
  const Json tokenizer = imported_tokenizer(tiny_llama().add_string("tokenizer.ggml.pre", "llama-bpe"));
  EXPECT_EQ(tokenizer["model"]["ignore_merges"], true);
  EXPECT_EQ(tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"], "<|end|>");
  EXPECT_THAT(tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"].get<std::string>(),
              HasSubstr("\\p{N}{1,3}"));
  EXPECT_EQ(tokenizer["pre_tokenizer"]["pretokenizers"][1]["use_regex"], false);
}

TEST_F(ImportGguf, QwenTokenizersNormaliseAndSplitSingleDigits) {
  const Json tokenizer = imported_tokenizer(tiny_llama().add_string("tokenizer.ggml.pre", "qwen2"));
  EXPECT_EQ(tokenizer["normalizer"]["type"], "NFC");
  EXPECT_THAT(tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"].get<std::string>(),
              Not(HasSubstr("{1,3}")));
  EXPECT_TRUE(tokenizer["post_processor"].is_null());
}

TEST_F(ImportGguf, ABosIsAddedWhenTheFileSaysSo) {
  const Json tokenizer = imported_tokenizer(tiny_llama().add_bool("tokenizer.ggml.add_bos_token", true));
  EXPECT_EQ(tokenizer["post_processor"]["special_tokens"]["<|end|>"]["ids"], Json::array({0}));
}

TEST_F(ImportGguf, TokenizersThatCannotBeExpressedAreRefused) {
  expect_refused(tiny_llama().add_string("tokenizer.ggml.model", "llama"),
                 "expected gpt2 (byte-level BPE), found llama");
  expect_refused(tiny_llama().add_string("tokenizer.ggml.pre", "tekken"),
                 "pre-tokenizer tekken is not supported; expected one of smollm, gpt-2, llama-bpe, qwen2");
  expect_refused(tiny_llama().remove("tokenizer.ggml.pre"), "pre-tokenizer none is not supported");
  expect_refused(tiny_llama().add_ints("tokenizer.ggml.token_type", {1, 1}),
                 "expected 5 entries, one per token, found 2");
  expect_refused(tiny_llama().add_strings("tokenizer.ggml.tokens", {"a", "a", "b", "c", "d"}), "a appears twice");
  expect_refused(tiny_llama().add_u32("tokenizer.ggml.eos_token_id", 5), "eos_token_id: expected 0 to 4, found 5");
  for (const char* merge : {"ab", "a c", "b a", "", " ", "a "}) {
    expect_refused(tiny_llama().add_strings("tokenizer.ggml.merges", {merge}),
                   "which does not join two tokens to a third");
  }
}

// All of an import but the writing of files.
void import_in_memory(const std::string& file) {
  const GgufContent content = parse_gguf(std::as_bytes(std::span(file)), "m.gguf");
  const ModelConfig config = make_llama_config(content.metadata, content.tensors);
  for (const LlamaTensor& tensor : list_llama_tensors(config, content.tensors, "m.gguf")) load_llama_tensor(tensor);
  make_tokenizer(content.metadata);
  make_tokenizer_config(content.metadata);
}

TEST(ImportGgufDamage, NoBitFlipCrashes) {
  const std::string whole = tiny_llama().build();
  int num_refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; bit += 3) {  // every bit of a byte comes up, at a third of the time
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      import_in_memory(flipped);
    } catch (const DataError&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 1000);
}

TEST(ImportGgufDamage, NoTruncationCrashes) {
  const std::string whole = tiny_llama().build();
  for (size_t length = 0; length + 32 < whole.size(); length += 7) {  // the last tensor fills its 32 bytes
    EXPECT_THROW(import_in_memory(whole.substr(0, length)), DataError) << "cut to " << length << " bytes";
  }
}

fs::path smollm2() {
  const char* path = std::getenv("SPECULATORS_SMOLLM2_GGUF");
  return path ? path : "";
}

TEST_F(ImportGguf, TheRealModelImports) {
  if (smollm2().empty()) GTEST_SKIP() << "set SPECULATORS_SMOLLM2_GGUF to SmolLM2-135M-Instruct.Q4_1.gguf";
  import_gguf(smollm2(), folder_ / "out");
  const TensorFile got = TensorFile::open_folder(folder_ / "out");
  EXPECT_EQ(got.tensors().size(), 272u);
  EXPECT_THAT(got.get("model.embed_tokens.weight").shape, ElementsAre(49152, 576));
}

}  // namespace
}  // namespace speculators
