// Forward and backward of a training step at SmolLM2-135M's shape on random data: tokens a second, needed operations,
// and the share of the machine's own matrix-product rate that is reached.
//   train_step_benchmark [eagle3|peagle|dflash|...] [steps] [threads] [--plain] [--row=640] [--document=0]
//                        [--vocabulary=8192] [--layers=2] [--block=8] [--anchors=128]
// Rows of 640 tokens, documents of about 170 (0) or of a given length, 60 % supervised, draft vocabulary 8,192 of
// 49,152 (dflash2 and mtp have all). Layers, blocks and anchors are those of the drafts that fill blocks; a chain has
// one layer, 3 steps or 4 depths; everything else is the algorithm's default.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "draft/trainable_registry.h"

namespace speculators {
namespace {

constexpr int64_t kHidden = 576, kVerifierVocab = 49152, kAux = 3;

struct Settings {
  std::string algorithm = "eagle3";
  int num_steps = 10;
  bool plain_ops = false;
  int64_t row = 640, document = 0, draft_vocab = 8192;
  int64_t num_layers = 2, block_size = 8, max_anchors = 128;  // dflash
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

ModelConfig smollm2() {
  ModelConfig verifier;
  verifier.model_type = "llama";
  verifier.vocab_size = kVerifierVocab;
  verifier.hidden_size = kHidden;
  verifier.intermediate_size = 1536;
  verifier.num_hidden_layers = 30;
  verifier.num_attention_heads = 9;
  verifier.num_key_value_heads = 3;
  verifier.head_dim = 64;
  verifier.max_position_embeddings = 8192;
  verifier.rms_norm_eps = 1e-5;
  verifier.rope.rope_theta = 100000.0;
  return verifier;
}

VerifierTensors random_verifier() {
  VerifierTensors verifier;
  verifier.embed_tokens = at::randn({kVerifierVocab, kHidden}) * 0.1;
  verifier.lm_head = verifier.embed_tokens;
  verifier.final_norm = at::ones({kHidden});
  return verifier;
}

// Draft tokens spread evenly over the verifier's.
VocabularyMap vocabulary(int64_t size) {
  VocabularyMap map;
  map.t2d.resize(kVerifierVocab);
  for (int64_t k = 0; k < size; ++k) {
    const int64_t token = k * (kVerifierVocab / size);
    map.t2d[token] = true;
    map.d2t.push_back(token - k);
  }
  return map;
}

// The first 40 % of each document is the prompt; the row cuts the last one.
TrainBatch random_batch(const Settings& settings) {
  const int64_t num_rows = settings.row;
  const std::vector<int64_t> lengths =
      settings.document > 0 ? std::vector<int64_t>{settings.document} : std::vector<int64_t>{185, 160, 172, 123};
  TrainBatch batch;
  batch.input_ids = at::randint(kVerifierVocab, {num_rows}, torch::kInt64);
  batch.aux_hidden_states = at::randn({num_rows, kAux * kHidden});
  batch.last_hidden_states = at::randn({num_rows, kHidden});
  batch.loss_mask = at::zeros({num_rows}, torch::kBool);
  batch.position_ids = at::zeros({num_rows}, torch::kInt64);
  batch.document_ids = at::zeros({num_rows}, torch::kInt64);
  int64_t begin = 0, document = 0;
  while (begin < num_rows) {
    const int64_t length = std::min(lengths[document % lengths.size()], num_rows - begin);
    batch.loss_mask.narrow(0, begin + length * 2 / 5, length - length * 2 / 5).fill_(true);
    batch.position_ids.narrow(0, begin, length).copy_(at::arange(length));
    batch.document_ids.narrow(0, begin, length).fill_(document++);
    begin += length;
  }
  return batch;
}

bool fills_blocks(const std::string& algorithm) {
  return algorithm.starts_with("dflash") || algorithm == "dspark" || algorithm == "xpress";
}

std::unique_ptr<TrainableDraft> make_draft(const Settings& settings) {
  TrainableRequest request;
  request.algorithm = settings.algorithm;
  DraftTrainingOptions options;
  options.num_layers = fills_blocks(settings.algorithm) ? settings.num_layers : 1;
  for (int64_t i = 0; i < *options.num_layers; ++i) options.full_attention_indices.push_back(i);
  if (fills_blocks(settings.algorithm)) options.block_size = settings.block_size;
  if (settings.algorithm == "peagle") options.embed_requires_grad = false;
  options.max_anchors = fills_blocks(settings.algorithm) ? settings.max_anchors : settings.row;
  options.target_layer_ids = {2, 15, 27};
  options.num_depths = 4;
  options.mask_token_id = 0;
  options.plain_ops = settings.plain_ops;
  request.options = resolve_options(settings.algorithm, options);
  request.verifier = smollm2();
  request.tensors = random_verifier();
  if (settings.algorithm != "dflash2" && settings.algorithm != "mtp") {
    request.vocabulary = vocabulary(settings.draft_vocab);
  }
  return make_trainable_draft(request);
}

// The best rate of torch's own fp32 product over a few square and layer-like shapes. GFLOP/s
double product_rate() {
  double best = 0;
  for (const auto& [m, k, n] :
       std::vector<std::array<int64_t, 3>>{{1024, 1024, 1024}, {640, 576, 3072}, {384, 576, 8192}}) {
    const auto a = at::randn({m, k}), b = at::randn({n, k});
    auto c = at::empty({m, n});
    for (int i = 0; i < 8; ++i) {
      const double start = seconds();
      at::mm_out(c, a, b.t());
      best = std::max(best, 2e-9 * m * k * n / (seconds() - start));
    }
  }
  return best;
}

struct StepTimes {
  double forward = 0, backward = 0, cpu = 0;
  double total() const { return forward + backward; }
};

StepTimes time_step(TrainableDraft& draft, const TrainBatch& batch, uint64_t seed) {
  for (NamedParameter& parameter : draft.parameters()) parameter.value.mutable_grad() = torch::Tensor();
  StepTimes times;
  const double start = seconds(), cpu = cpu_seconds();
  const LossResult result = draft.forward(batch, seed);
  times.forward = seconds() - start;
  result.loss.backward();
  times.backward = seconds() - start - times.forward;
  times.cpu = cpu_seconds() - cpu;
  return times;
}

void run(const Settings& settings) {
  at::manual_seed(7);
  const auto draft = make_draft(settings);
  const TrainBatch batch = random_batch(settings);
  const double flops = draft->needed_flops(batch);
  double rate = product_rate();
  std::vector<StepTimes> steps;
  for (int i = 0; i < settings.num_steps + 2; ++i) {
    const StepTimes times = time_step(*draft, batch, i);
    if (i >= 2) steps.push_back(times);  // the first two fill caches and the allocator
  }
  rate = std::max(rate, product_rate());
  std::sort(steps.begin(), steps.end(), [](const StepTimes& a, const StepTimes& b) { return a.total() < b.total(); });
  const auto print = [&](const char* name, const StepTimes& t) {
    fmt::print(
        "{} {}: {:.0f} ms (forward {:.0f}, backward {:.0f}; cpu {:.0f}), {:.0f} tokens/s, {:.1f} GFLOP/s = {:.1f} % of "
        "the "
        "product rate\n",
        settings.algorithm, name, 1e3 * t.total(), 1e3 * t.forward, 1e3 * t.backward, 1e3 * t.cpu,
        settings.row / t.total(), 1e-9 * flops / t.total(), 1e-7 * flops / t.total() / rate);
  };
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{}: {} threads, {:.2f} GFLOP a row = {:.1f} MFLOP a token; product rate {:.1f} GFLOP/s; peak memory {} MB\n",
      settings.algorithm, at::get_num_threads(), 1e-9 * flops, 1e-6 * flops / settings.row, rate,
      usage.ru_maxrss / 1024);
  print("best", steps.front());
  print("median", steps[steps.size() / 2]);
}

Settings read_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  int place = 0;
  for (const std::string& argument : arguments) {
    const auto value = [&](const char* name) { return std::stoll(argument.substr(std::string(name).size())); };
    if (argument == "--plain") {
      settings.plain_ops = true;
    } else if (argument.starts_with("--row=")) {
      settings.row = value("--row=");
    } else if (argument.starts_with("--document=")) {
      settings.document = value("--document=");
    } else if (argument.starts_with("--vocabulary=")) {
      settings.draft_vocab = value("--vocabulary=");
    } else if (argument.starts_with("--layers=")) {
      settings.num_layers = value("--layers=");
    } else if (argument.starts_with("--block=")) {
      settings.block_size = value("--block=");
    } else if (argument.starts_with("--anchors=")) {
      settings.max_anchors = value("--anchors=");
    } else if (++place == 1) {
      settings.algorithm = argument;
    } else if (place == 2) {
      settings.num_steps = std::stoi(argument);
    } else {
      at::set_num_threads(std::stoi(argument));
    }
  }
  return settings;
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) { speculators::run(speculators::read_arguments({argv + 1, argv + argc})); }
