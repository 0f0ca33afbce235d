#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "tokenizer/tokenizer_model.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

// Scratch of longer texts is freed rather than kept.
constexpr size_t kMaxKeptText = 16 << 20;

// The token that tokenizer_config.json names under `key`: a string, or an object with "content".
std::optional<int32_t> find_named_token(const JsonObject& config, const std::string& key, const Tokenizer& tokenizer) {
  if (!config.has(key)) return std::nullopt;
  const bool is_object = config.value().find(key)->is_object();
  return tokenizer.find_id(is_object ? config.get_object(key).get_string("content") : config.get_string(key));
}

}  // namespace

std::unique_ptr<EncodeScratch> ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<EncodeScratch> scratch = std::move(idle_.back());
      idle_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<EncodeScratch>();
}

void ScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
}

Tokenizer::Model::Model(TokenizerJson file, const std::string& place)
    : bpe(std::move(file.vocabulary), std::move(file.merges), std::move(file.options), place),
      normalizer(Normalizer::parse(file.normalizer, place + ": normalizer")),
      added(AddedTokens::parse(file.added_tokens, bpe.vocabulary(), normalizer, place + ": added_tokens")),
      pre_tokenizer(PreTokenizer::parse(file.pre_tokenizer, bpe.has_byte_alphabet(), place + ": pre_tokenizer")),
      post_processor(PostProcessor::parse(file.post_processor, place + ": post_processor")),
      decoder(Decoder::parse(file.decoder, place + ": decoder")) {}

std::optional<int32_t> Tokenizer::Model::find_id(std::string_view token) const {
  if (const AddedToken* found = added.find(token)) return found->id;
  const int32_t id = bpe.vocabulary().find(token);
  return id == Vocabulary::kNoToken ? std::nullopt : std::optional(id);
}

void Tokenizer::Model::encode(std::string_view text, EncodeScratch& scratch, std::vector<int32_t>& ids) const {
  scratch.raw_sections.clear();
  added.split_raw(text, scratch.raw_sections);
  for (const Section& raw : scratch.raw_sections) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    const auto normal = normalizer.apply(text.substr(raw.begin, raw.end - raw.begin), scratch.normalizer);
    scratch.normal_sections.clear();
    added.split_normalized(normal, scratch.normal_sections);
    for (const Section& section : scratch.normal_sections) {
      if (section.id >= 0) {
        ids.push_back(section.id);
      } else {
        const bool starts_input = raw.begin == 0 && section.begin == 0 && scratch.normalizer.keeps_start;
        encode_section(normal.substr(section.begin, section.end - section.begin), starts_input, scratch, ids);
      }
    }
  }
}

void Tokenizer::Model::encode_section(std::string_view text, bool starts_input, EncodeScratch& scratch,
                                      std::vector<int32_t>& ids) const {
  PreTokenized& work = scratch.pre_tokenized;
  pre_tokenizer.split(text, starts_input, work);
  const BpeInput input = pre_tokenizer.yields_bytes() ? BpeInput::kBytes : BpeInput::kCharacters;
  const char* const text_end = work.text.data() + work.text.size();
  for (const Piece& piece : work.pieces) {
    bpe.encode_word(work.text.substr(piece.begin, piece.end - piece.begin), text_end, input, scratch.bpe, ids);
  }
}

// An added token reaches the decoder in its normal form, and is skipped by that name, as in the `tokenizers` package.
std::optional<std::string_view> Tokenizer::Model::find_decodable(int32_t id, bool skip_special_tokens) const {
  if (const AddedToken* found = added.find(id)) {
    if (!skip_special_tokens) return found->normal_form;
    const AddedToken* named = found->normal_form == found->content ? found : added.find(found->normal_form);
    return named && named->special ? std::nullopt : std::optional<std::string_view>(found->normal_form);
  }
  if (!bpe.vocabulary().contains(id)) return std::nullopt;
  return bpe.vocabulary().token(id);
}

Tokenizer::Tokenizer(std::unique_ptr<Model> model) : model_(std::move(model)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::parse(std::string_view tokenizer_json, const std::string& place) {
  return Tokenizer(std::make_unique<Model>(parse_tokenizer_json(tokenizer_json, place), place));
}

Tokenizer Tokenizer::load(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.json";
  Tokenizer tokenizer = parse(read_file(path), path.string());
  const fs::path config_path = folder / "tokenizer_config.json";
  if (!fs::exists(config_path)) return tokenizer;
  const Json value = read_json(config_path);
  const JsonObject config(value, config_path.string());
  Model& model = *tokenizer.model_;
  model.bos_id = find_named_token(config, "bos_token", tokenizer);
  model.eos_id = find_named_token(config, "eos_token", tokenizer);
  model.pad_id = find_named_token(config, "pad_token", tokenizer);
  model.mask_id = find_named_token(config, "mask_token", tokenizer);
  model.unk_id = find_named_token(config, "unk_token", tokenizer);
  return tokenizer;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::unique_ptr<EncodeScratch> scratch = model_->scratch_pool.take();
  const size_t text_size = text.size();
  if (!unicode::is_valid(text)) {
    scratch->valid_text.clear();
    unicode::append_lossy(scratch->valid_text, text);
    text = scratch->valid_text;
  }
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  model_->encode(text, *scratch, ids);
  if (text_size <= kMaxKeptText) model_->scratch_pool.give_back(std::move(scratch));
  return model_->post_processor.apply(std::move(ids), add_special_tokens);
}

std::string Tokenizer::decode(std::span<const int32_t> token_ids, bool skip_special_tokens) const {
  std::string text;
  DecoderRun run = model_->decoder.start();
  for (const int32_t id : token_ids) {
    if (const auto token = model_->find_decodable(id, skip_special_tokens)) run.push(*token, text);
  }
  run.finish(text);
  return text;
}

int64_t Tokenizer::vocab_size() const {
  const auto& added = model_->added.tokens();
  return std::max(model_->bpe.vocabulary().id_end(), added.empty() ? 0 : added.back().id + 1);
}

std::optional<int32_t> Tokenizer::find_id(std::string_view token) const { return model_->find_id(token); }

std::string Tokenizer::token(int32_t id) const {
  if (const AddedToken* found = model_->added.find(id)) return found->content;
  if (model_->bpe.vocabulary().contains(id)) return std::string(model_->bpe.vocabulary().token(id));
  throw UsageError(fmt::format("token id: expected an id of the vocabulary (0 to {}), found {}", vocab_size() - 1, id));
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* found = model_->added.find(id);
  return found && found->special;
}

std::optional<int32_t> Tokenizer::bos_id() const { return model_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return model_->eos_id; }
std::optional<int32_t> Tokenizer::pad_id() const { return model_->pad_id; }
std::optional<int32_t> Tokenizer::mask_id() const { return model_->mask_id; }
std::optional<int32_t> Tokenizer::unk_id() const { return model_->unk_id; }

std::string Tokenizer::token_bytes(int32_t id) const {
  if (const auto decodable = model_->find_decodable(id, false)) return model_->decoder.token_bytes(*decodable);
  return token(id);  // throws
}

}  // namespace speculators
