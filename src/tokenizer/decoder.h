// The "decoder" of tokenizer.json: token strings -> text. ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and
// Sequence; without one, tokens are joined by spaces. Decoding always runs token by token, so a stream and a whole
// sequence cannot differ. A Decoder is const and thread-safe; a DecoderRun belongs to one stream.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace speculators {

// One step of one running decode. What `push` cannot give away yet waits for later tokens or for `finish`.
class DecoderStage {
 public:
  // Receives what a stage lets out: a call per token, or per fragment once tokens are fused into one text.
  class Output {
   public:
    virtual ~Output() = default;
    virtual void take(std::string_view text) = 0;
  };
  virtual ~DecoderStage() = default;
  virtual void push(std::string_view token, Output& output) = 0;
  virtual void finish(Output& output) { (void)output; }
};

class DecoderRun {
 public:
  explicit DecoderRun(std::vector<std::unique_ptr<DecoderStage>> stages) : stages_(std::move(stages)) {}
  // Appends to `out` what `token` completes: whole UTF-8 characters only.
  void push(std::string_view token, std::string& out);
  void finish(std::string& out);

 private:
  class Chain;
  std::vector<std::unique_ptr<DecoderStage>> stages_;
};

class Decoder {
 public:
  struct Part;  // what a stage is made from; decoder.cpp

  Decoder();
  // `value` is the JSON of the part, or null. Throws DataError naming `place` and the part it does not know.
  static Decoder parse(const Json& value, const std::string& place);

  DecoderRun start() const;
  // The bytes that one token stands for, whatever its neighbours: no stripping, byte tokens as bytes.
  std::string token_bytes(std::string_view token) const;

 private:
  void append_parts(const Json& value, const std::string& place);
  std::vector<std::shared_ptr<const Part>> parts_;
};

}  // namespace speculators
