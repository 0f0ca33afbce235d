#include "checkpoint/pickle.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "checkpoint/pickle_machine.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

using Kind = PickleValue::Kind;

[[noreturn]] void fail(const std::string& place, const std::string& problem) {
  throw DataError(fmt::format("{}: {}; expected a dict of token id -> count", place, problem));
}

void add_counts(const PickleValue& dict, const std::string& place, std::map<int64_t, int64_t>& counts) {
  for (const auto& [token, count] : dict.entries) {
    if (!token->is(Kind::kInt)) fail(place, "found a key that is no integer");
    if (!count->is(Kind::kInt)) fail(place, fmt::format("found a count of token {} that is no integer", token->number));
    counts[token->number] = count->number;
  }
}

}  // namespace

std::map<int64_t, int64_t> unpickle_counts(std::span<const std::byte> bytes, const std::string& place) {
  const Pickle pickle(bytes, place);
  const PickleValue& root = pickle.root();
  std::map<int64_t, int64_t> counts;
  if (root.is(Kind::kCall)) {  // Counter(dict) or OrderedDict()
    const PickleValue& called = *root.items[0];
    if (!called.is_class("collections.Counter") && !called.is_class("collections.OrderedDict")) {
      fail(place, fmt::format("it asks for {}, which is not run", called.text));
    }
    for (const PickleValue* argument : root.items[1]->items) {
      if (!argument->is(Kind::kDict)) fail(place, fmt::format("found a {} of something else", called.text));
      add_counts(*argument, place, counts);
    }
  } else if (!root.is(Kind::kDict)) {
    fail(place, "found another object");
  }
  add_counts(root, place, counts);
  return counts;
}

std::map<int64_t, int64_t> read_token_freq(const fs::path& path) {
  const MappedFile file(path);
  // The members lie in a folder named after the file that torch wrote.
  for (const auto& [name, content] : read_zip(file.bytes(), path.string())) {
    if (name.ends_with("/data.pkl")) return unpickle_counts(content, fmt::format("{}: {}", path.string(), name));
  }
  throw DataError(
      fmt::format("{}: expected a member data.pkl, found none; was this written by torch.save?", path.string()));
}

}  // namespace speculators
