// A tokenizer of single bytes (token id = byte) with four special tokens, and
// chat templates for it. For tests only.
#pragma once

#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "base/json.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"

namespace speculators {

inline constexpr int32_t kTurn = 256, kEnd = 257, kThink = 258, kThinkEnd = 259;

inline std::string tiny_tokenizer_json() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    std::string token;
    append_byte_alphabet(token, std::string_view(&c, 1));
    vocab[token] = byte;
  }
  Json added = Json::array();
  const char* const names[] = {"<turn>", "<end>", "<think>", "</think>"};
  for (int i = 0; i < 4; ++i) {
    added.push_back({{"id", 256 + i},
                     {"content", names[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  return Json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer", byte_level},
              {"post_processor", nullptr},
              {"decoder", byte_level},
              {"model",
               {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", ""},
                {"end_of_word_suffix", ""},
                {"fuse_unk", false},
                {"vocab", vocab},
                {"merges", Json::array()}}}}
      .dump();
}

// <turn>u:Hi<end><turn>a:Yo<end>; the generation prompt is <turn>a:
inline constexpr const char* kPlainTemplate =
    "{% for m in messages %}<turn>{{ m.role[0] }}:{{ m.content }}<end>{% "
    "endfor %}"
    "{% if add_generation_prompt %}<turn>a:{% endif %}";

// Like Qwen3: reasoning of turns before the last user is dropped, and the
// generation prompt opens an empty scaffold.
inline constexpr const char* kThinkingTemplate =
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == "
    "'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}<turn>{{ m.role[0] }}:"
    "{% if m.role == 'assistant' and loop.index0 > ns.last %}<think>{{ "
    "m.reasoning_content }}</think>{% endif %}"
    "{{ m.content }}<end>{% endfor %}{% if add_generation_prompt "
    "%}<turn>a:<think></think>{% endif %}";

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "speculators-data-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  fs::path put(const std::string& name, const std::string& text) const {
    make_folders((path_ / name).parent_path());
    write_file(path_ / name, text);
    return path_ / name;
  }

 private:
  fs::path path_;
};

inline void put_tiny_model(const TemporaryFolder& folder, const std::string& chat_template = kPlainTemplate) {
  folder.put("model/tokenizer.json", tiny_tokenizer_json());
  folder.put("model/tokenizer_config.json", "{}");
  if (!chat_template.empty()) folder.put("model/chat_template.jinja", chat_template);
}

}  // namespace speculators
