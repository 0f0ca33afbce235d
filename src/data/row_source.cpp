#include "data/row_source.h"

#include <fmt/format.h>

#include <algorithm>

namespace speculators {
namespace {

bool is_row_file(const fs::path& path) { return path.extension() == ".jsonl" || path.extension() == ".json"; }

std::vector<fs::path> list_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && is_row_file(entry.path())) files.push_back(entry.path());
  }
  if (files.empty()) {
    throw DataError(fmt::format("{}: expected .jsonl or .json files in the folder, found none", folder.string()));
  }
  // As texts, like upstream: "a-b/x" before "a/x".
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.string() < b.string(); });
  return files;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Finds the end of the JSON value that starts at `begin`: brackets and strings
// are followed, nothing is checked, since every row is parsed properly later
// on.
size_t skip_value(std::string_view text, size_t begin) {
  size_t depth = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      --depth;
    } else if (c == ',' && depth == 0) {
      return i;
    }
  }
  return text.size();
}

}  // namespace

RowSource::RowSource(const fs::path& source) {
  if (source.string().starts_with("hf:")) {
    throw UsageError(
        fmt::format("{}: data sets are not downloaded here; fetch "
                    "the .jsonl file and pass its path",
                    source.string()));
  }
  if (!fs::exists(source)) throw DataError(fmt::format("{}: no such file or folder", source.string()));
  if (fs::is_directory(source)) {
    for (const fs::path& file : list_files(source)) add_file(file);
  } else if (is_row_file(source)) {
    add_file(source);
  } else {
    throw DataError(fmt::format("{}: expected a .jsonl or .json file, or a folder of them", source.string()));
  }
}

std::string_view RowSource::text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void RowSource::add_file(const fs::path& path) {
  files_.emplace_back(path);
  std::string_view text = text_of(files_.back());
  const size_t start = std::min(text.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), text.size());
  // Files named .json that hold lines are common, and the other way round.
  const bool is_list = start < text.size() && text[start] == '[';
  is_list_.push_back(is_list);
  if (is_list) {
    index_list(path);
  } else if (path.extension() == ".json" && !is_blank(text) && text[start] != '{') {
    throw DataError(fmt::format("{}: expected a JSON list of rows, or one JSON object a line", path.string()));
  } else {
    index_lines();
  }
}

void RowSource::index_lines() {
  const std::string_view text = text_of(files_.back());
  const auto file = static_cast<uint32_t>(files_.size() - 1);
  uint64_t number = 0;
  size_t begin = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    ++number;
    if (!is_blank(text.substr(begin, end - begin))) rows_.push_back({file, number, begin, end - begin});
    begin = end + 1;
  }
}

void RowSource::index_list(const fs::path& path) {
  const std::string_view text = text_of(files_.back());
  const auto file = static_cast<uint32_t>(files_.size() - 1);
  size_t begin = text.find('[') + 1;
  for (uint64_t number = 0;; ++number) {
    const size_t end = skip_value(text, begin);
    const bool is_last = end >= text.size() || text[end] != ',';
    if (!is_blank(text.substr(begin, end - begin))) {
      rows_.push_back({file, number, begin, end - begin});
    } else if (!is_last || number > 0) {
      throw DataError(fmt::format("{}: row {}: expected an object, found nothing", path.string(), number));
    }
    if (is_last && (end >= text.size() || text[end] != ']' || !is_blank(text.substr(end + 1)))) {
      throw DataError(
          fmt::format("{}: expected the list to end with ']' and "
                      "nothing behind it; is the file complete?",
                      path.string()));
    }
    if (is_last) return;
    begin = end + 1;
  }
}

std::string RowSource::place(size_t index) const {
  const Row& row = rows_[index];
  const std::string path = files_[row.file].path().string();
  return is_list_[row.file] ? fmt::format("{}: row {}", path, row.number) : fmt::format("{}:{}", path, row.number);
}

DataRow RowSource::read(size_t index, RowWarnings& warnings) const {
  const Row& row = rows_[index];
  const std::string_view text = text_of(files_[row.file]).substr(row.begin, row.size);
  const Json json = Json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) {
    const std::string start(text.substr(text.find_first_not_of(" \t\r\n"), 40));
    throw DataError(fmt::format("{}: expected one JSON object{}, found '{}'; is the file complete?", place(index),
                                is_list_[row.file] ? "" : " a line", start));
  }
  return parse_row(json, place(index), warnings);
}

}  // namespace speculators
