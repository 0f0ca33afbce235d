// What a Tokenizer consists of, and the working memory of its encoding threads.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/decoder.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json.h"

namespace speculators {

// The memory of one encode() call, kept for the next: the word cache in it stays warm.
struct EncodeScratch {
  Bpe::Scratch bpe;
  PreTokenized pre_tokenized;
  Normalizer::Buffers normalizer;
  std::vector<Section> raw_sections;
  std::vector<Section> normal_sections;
  std::string valid_text;
};

// Hands out scratch memory: as many pieces as threads encode at once, the one used last first.
class ScratchPool {
 public:
  std::unique_ptr<EncodeScratch> take();
  void give_back(std::unique_ptr<EncodeScratch> scratch);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> idle_;
};

struct Tokenizer::Model {
  Bpe bpe;
  Normalizer normalizer;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  PostProcessor post_processor;
  Decoder decoder;
  mutable ScratchPool scratch_pool;
  std::optional<int32_t> bos_id, eos_id, pad_id, mask_id, unk_id;

  Model(TokenizerJson file, const std::string& place);

  std::optional<int32_t> find_id(std::string_view token) const;
  // The ids of valid UTF-8, before the post-processor.
  void encode(std::string_view text, EncodeScratch& scratch, std::vector<int32_t>& ids) const;
  // What the decoder receives for `id`; nullopt for ids that do not exist or are skipped.
  std::optional<std::string_view> find_decodable(int32_t id, bool skip_special_tokens) const;

 private:
  void encode_section(std::string_view text, bool starts_input, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const;
};

}  // namespace speculators
