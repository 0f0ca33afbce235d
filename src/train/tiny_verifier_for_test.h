// Test support: a verifier of 64 tokens and 32 channels with random weights, a prepared data set and hidden states for
// it, all in one folder. What `import-gguf`, `prepare-data` and `generate-offline-data` would leave.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/pickle.h"
#include "data/arrow_dataset.h"
#include "hidden_states/hidden_states.h"
#include "train/scratch_folder.h"
#include "train/tensor_bridge.h"
#include "train/train_options.h"

namespace speculators {

class TinyVerifier {
 public:
  static constexpr int64_t kVocab = 64, kHidden = 32, kLayers = 8, kRows = 24;

  TinyVerifier() {
    write_verifier();
    write_data();
  }
  fs::path folder() const { return scratch_.path() / "verifier"; }
  fs::path data() const { return scratch_.path() / "data"; }
  fs::path states() const { return data() / "hidden_states"; }
  fs::path run(const std::string& name) const { return scratch_.path() / name; }

  // One small run of `algorithm` over it.
  TrainOptions options(const std::string& algorithm, const std::string& run_name) const {
    TrainOptions options;
    options.speculator_type = algorithm;
    options.verifier_name_or_path = folder().string();
    options.data_path = data().string();
    options.save_path = run(run_name).string();
    options.total_seq_len = 48;
    options.epochs = 2;
    const bool has_whole_vocabulary = algorithm == "dflash2" || algorithm == "mtp";
    if (!has_whole_vocabulary) options.draft_vocab_size = 32;
    options.on_missing = "raise";
    options.num_threads = 1;
    if (algorithm != "mtp") options.draft.num_layers = 1;
    options.draft.target_layer_ids = {2, 4, 5};
    options.draft.block_size = 4;
    options.draft.max_anchors = 8;
    options.draft.mask_token_id = 63;
    options.draft.num_depths = 3;
    return options;
  }

 private:
  torch::Tensor random(std::vector<int64_t> sizes) { return torch::randn(sizes, generator_) * 0.3; }

  void write_verifier() {
    make_folders(folder());
    write_json(folder() / "config.json", {{"architectures", {"LlamaForCausalLM"}},
                                          {"model_type", "llama"},
                                          {"vocab_size", kVocab},
                                          {"hidden_size", kHidden},
                                          {"intermediate_size", 48},
                                          {"num_hidden_layers", kLayers},
                                          {"num_attention_heads", 2},
                                          {"num_key_value_heads", 1},
                                          {"head_dim", 16},
                                          {"rms_norm_eps", 1e-5},
                                          {"max_position_embeddings", 128}});
    const std::vector<NamedParameter> tensors = {{"model.embed_tokens.weight", random({kVocab, kHidden})},
                                                 {"lm_head.weight", random({kVocab, kHidden})},
                                                 {"model.norm.weight", torch::ones({kHidden})}};
    write_tensors(folder() / "model.safetensors", tensors);
  }

  // The last hidden state is a fixed function of the token, so that there is something to learn.
  void write_data() {
    make_folders(states());
    const auto table = random({kVocab, kHidden}) * 5;
    std::vector<Sample> samples;
    std::map<int64_t, int64_t> counts;
    for (int64_t row = 0; row < kRows; ++row) {
      Sample sample;
      for (int64_t i = 0; i < 10 + row % 7; ++i) {
        sample.token_ids.push_back(static_cast<int32_t>((row * 5 + i * 3) % 40));
        sample.loss_mask.push_back(i >= 3);
        ++counts[sample.token_ids.back()];
      }
      write_states(row, sample, table);
      samples.push_back(std::move(sample));
    }
    write_dataset(data(), samples, "tiny");
    write_token_freq(data() / "token_freq.pt", counts);
  }

  void write_states(int64_t row, const Sample& sample, const torch::Tensor& table) {
    HiddenStates kept{.token_ids = sample.token_ids, .values = {}, .num_layers = 4, .hidden_size = kHidden};
    for (const int32_t token : sample.token_ids) {
      for (int64_t layer = 0; layer < 4; ++layer) {
        const auto state = (table[token] * (1.0 + 0.1 * static_cast<double>(layer))).contiguous();
        for (int64_t i = 0; i < kHidden; ++i) kept.values.push_back(to_bf16(state.data_ptr<float>()[i]));
      }
    }
    write_hidden_states(hidden_states_path(states(), row), kept);
  }

  ScratchFolder scratch_;
  at::Generator generator_ = at::detail::createCPUGenerator(7);
};

}  // namespace speculators
