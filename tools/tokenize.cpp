// Developer program behind tools/check_tokenizer.py: runs our tokenizer over many texts.
// A list file is a sequence of items, each a 32-bit little-endian count and that many bytes (texts) or 32-bit ids.
//   tokenize FOLDER encode|encode-special TEXTS IDS   texts -> ids
//   tokenize FOLDER decode|decode-skip IDS TEXTS      ids -> texts
//   tokenize FOLDER stream IDS TEXTS                  ids -> texts, token by token
//   tokenize FOLDER time TEXTS SECONDS                prints the MB/s of encoding, repeated for about SECONDS
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/files.h"
#include "tokenizer/tokenizer.h"

namespace speculators {
namespace {

template <class Item>
std::vector<std::vector<Item>> read_list(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<std::vector<Item>> items;
  for (size_t at = 0; at + 4 <= bytes.size();) {
    uint32_t count = 0;
    std::memcpy(&count, bytes.data() + at, 4);
    items.emplace_back(count);
    std::memcpy(items.back().data(), bytes.data() + at + 4, count * sizeof(Item));
    at += 4 + count * sizeof(Item);
  }
  return items;
}

template <class Item>
void append_item(std::string& out, const Item& item) {
  const auto count = static_cast<uint32_t>(item.size());
  out.append(reinterpret_cast<const char*>(&count), 4);
  out.append(reinterpret_cast<const char*>(item.data()), item.size() * sizeof(*item.data()));
}

std::string_view view(const std::vector<char>& text) { return {text.data(), text.size()}; }

std::string decode_stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  StreamDecoder decoder(tokenizer, /*skip_special_tokens=*/false);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

// In CPU time: other work on the machine counts less.
void time_encoding(const Tokenizer& tokenizer, const std::string& path, double seconds) {
  const auto texts = read_list<char>(path);
  double bytes = 0;
  size_t num_ids = 0;
  const std::clock_t start = std::clock();
  double elapsed = 0;
  do {
    for (const auto& text : texts) {
      num_ids += tokenizer.encode(view(text)).size();
      bytes += static_cast<double>(text.size());
    }
    elapsed = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  } while (elapsed < seconds);
  std::printf("%.3f MB/s, %.2f million ids/s\n", bytes / elapsed / 1e6, static_cast<double>(num_ids) / elapsed / 1e6);
}

int run(const std::vector<std::string>& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const Tokenizer tokenizer = Tokenizer::load(arguments[0]);
  const double load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  const std::string& task = arguments[1];
  std::string out;
  if (task == "time") {
    std::printf("loaded in %.0f ms; ", load_ms);
    time_encoding(tokenizer, arguments[2], std::stod(arguments[3]));
    return 0;
  }
  if (task.starts_with("encode")) {
    for (const auto& text : read_list<char>(arguments[2])) {
      append_item(out, tokenizer.encode(view(text), task == "encode-special"));
    }
  } else {
    for (const auto& ids : read_list<int32_t>(arguments[2])) {
      append_item(out, task == "stream" ? decode_stream(tokenizer, ids) : tokenizer.decode(ids, task == "decode-skip"));
    }
  }
  write_file(arguments[3], out);
  return 0;
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: tokenize FOLDER encode|encode-special|decode|decode-skip|stream|time IN OUT\n");
    return 2;
  }
  try {
    return speculators::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
