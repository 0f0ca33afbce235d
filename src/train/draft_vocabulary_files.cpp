#include "train/draft_vocabulary_files.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/leftovers.h"
#include "checkpoint/npy.h"
#include "checkpoint/pickle.h"

namespace speculators {
namespace {

std::vector<int64_t> read_list(const fs::path& path) {
  const Tensor tensor = read_npy(path);
  if (tensor.view().shape.size() != 1) {
    throw DataError(
        fmt::format("{}: expected one dimension, found shape {}", path.string(), shape_string(tensor.view().shape)));
  }
  return to_ints(tensor.view(), path.string());
}

// Throws DataError when the two files do not belong together.
VocabularyMap read_map(const fs::path& d2t_path, const fs::path& t2d_path, const VocabularyOptions& options,
                       int64_t verifier_vocab_size) {
  const auto offsets = read_list(d2t_path), members = read_list(t2d_path);
  VocabularyMap map{.t2d = std::vector<bool>(members.begin(), members.end()), .d2t = offsets};
  check_vocabulary_map(map, d2t_path.string());
  const auto size = static_cast<int64_t>(offsets.size()), verifier_size = static_cast<int64_t>(members.size());
  if (verifier_size != verifier_vocab_size) {
    throw DataError(
        fmt::format("{}: expected {} entries, one per token of the verifier, found {}; it was made for another one",
                    t2d_path.string(), verifier_vocab_size, verifier_size));
  }
  if (size != options.draft_vocab_size.value_or(size)) {
    throw DataError(fmt::format("{}: expected {} tokens as in --draft-vocab-size, found {}", d2t_path.string(),
                                *options.draft_vocab_size, size));
  }
  return map;
}

void keep_map(const VocabularyMap& map, const fs::path& d2t_path, const fs::path& t2d_path) {
  const auto size = [](const auto& values) { return std::vector<int64_t>{static_cast<int64_t>(values.size())}; };
  write_npy(d2t_path, make_tensor(size(map.d2t), map.d2t).view());
  write_npy(t2d_path, make_bool_tensor(size(map.t2d), map.t2d).view());
}

bool is_newer(const fs::path& left, const fs::path& right) {
  return fs::last_write_time(left) > fs::last_write_time(right);
}

}  // namespace

std::optional<VocabularyMap> choose_draft_vocabulary(const VocabularyOptions& options, const fs::path& data_path,
                                                     int64_t verifier_vocab_size) {
  if (options.d2t_path.has_value() != options.t2d_path.has_value()) {
    throw UsageError("--d2t-path and --t2d-path: expected both or none, got one");
  }
  if (options.d2t_path) return read_map(*options.d2t_path, *options.t2d_path, options, verifier_vocab_size);
  const int64_t size = options.draft_vocab_size.value_or(verifier_vocab_size);
  if (size < 1 || size > verifier_vocab_size) {
    throw UsageError(fmt::format("--draft-vocab-size: expected 1 to {}, got {}", verifier_vocab_size, size));
  }
  if (size == verifier_vocab_size) return std::nullopt;

  const fs::path d2t_path = data_path / fmt::format("d2t-{}.npy", size),
                 t2d_path = data_path / fmt::format("t2d-{}.npy", size);
  remove_leftovers(d2t_path);
  remove_leftovers(t2d_path);
  const fs::path counts = options.token_freq_path ? fs::path(*options.token_freq_path) : data_path / "token_freq.pt";
  const bool kept = fs::exists(d2t_path) && fs::exists(t2d_path);
  const bool has_counts = fs::exists(counts);
  if (kept && !(has_counts && is_newer(counts, d2t_path)))
    return read_map(d2t_path, t2d_path, options, verifier_vocab_size);
  if (!has_counts) {
    throw UsageError(
        fmt::format("--draft-vocab-size {}: expected token counts in {}, found no file; run prepare-data with "
                    "--no-skip-token-freq, or give --token-freq-path",
                    size, counts.string()));
  }
  const auto map = make_vocabulary_map(read_token_freq(counts), verifier_vocab_size, size);
  keep_map(map, d2t_path, t2d_path);
  return map;
}

}  // namespace speculators
