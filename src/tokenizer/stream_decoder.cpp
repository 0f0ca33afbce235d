#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_model.h"

namespace speculators {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : model_(tokenizer.model_.get()),
      skip_special_tokens_(skip_special_tokens),
      run_(std::make_unique<DecoderRun>(model_->decoder.start())) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(int32_t id) {
  std::string text;
  if (const auto token = model_->find_decodable(id, skip_special_tokens_)) run_->push(*token, text);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text;
  run_->finish(text);
  *run_ = model_->decoder.start();
  return text;
}

}  // namespace speculators
