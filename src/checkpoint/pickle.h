// torch's `token_freq.pt`: a ZIP archive whose data.pkl holds one Python dict, token id -> how often it was seen.
// The reader knows the opcodes of ints and dicts and runs nothing; every other opcode is refused by name.
// Source: docs/formats/token_freq.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/files.h"

namespace speculators {

// Reads what torch.save wrote for a dict, a Counter or an OrderedDict of ints. Throws DataError for damage and other
// content.
std::map<int64_t, int64_t> read_token_freq(const fs::path& path);

// `torch.load(path, weights_only=True)` reads it. Appears whole or not at all.
void write_token_freq(const fs::path& path, const std::map<int64_t, int64_t>& counts);

// The pickle inside. `place` is kept for messages.
std::map<int64_t, int64_t> unpickle_counts(std::span<const std::byte> pickle, const std::string& place);
std::string pickle_counts(const std::map<int64_t, int64_t>& counts);

}  // namespace speculators
