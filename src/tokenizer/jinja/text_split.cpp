// Stripping, splitting and replacing, as Python's str does it.
#include <algorithm>

#include "tokenizer/jinja/error.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

size_t previous_start(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && (text[start] & 0xC0) == 0x80) --start;
  return start;
}

template <class Predicate>
std::string_view drop_left(std::string_view text, Predicate drop) {
  size_t start = 0;
  while (start < text.size()) {
    size_t next = start;
    if (!drop(next_code_point(text, next))) break;
    start = next;
  }
  return text.substr(start);
}

template <class Predicate>
std::string_view drop_right(std::string_view text, Predicate drop) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = previous_start(text, end);
    const size_t keep = start;
    if (!drop(next_code_point(text, start))) break;
    end = keep;
  }
  return text.substr(0, end);
}

std::vector<std::string> split_at_spaces(std::string_view text, long limit) {
  std::vector<std::string> parts;
  text = drop_left(text, is_space);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<long>(parts.size()) == limit) {
      parts.emplace_back(text);  // blanks at the end stay, as in Python
      break;
    }
    const std::string_view rest = drop_left(text, [](char32_t c) { return !is_space(c); });
    parts.emplace_back(text.substr(0, text.size() - rest.size()));
    text = drop_left(rest, is_space);
  }
  return parts;
}

std::vector<std::string> split_at_spaces_from_right(std::string_view text, long limit) {
  std::vector<std::string> parts;
  text = drop_right(text, is_space);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<long>(parts.size()) == limit) {
      parts.emplace_back(text);
      break;
    }
    const std::string_view rest = drop_right(text, [](char32_t c) { return !is_space(c); });
    parts.emplace_back(text.substr(rest.size()));
    text = drop_right(rest, is_space);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

void check_separator(const std::string& separator) {
  if (separator.empty()) throw_value_error("empty separator");
}

}  // namespace

std::string_view strip_left(std::string_view text, const std::optional<std::string>& chars) {
  if (!chars) return drop_left(text, is_space);
  const std::u32string set = to_code_points(*chars);
  return drop_left(text, [&set](char32_t c) { return set.find(c) != std::u32string::npos; });
}

std::string_view strip_right(std::string_view text, const std::optional<std::string>& chars) {
  if (!chars) return drop_right(text, is_space);
  const std::u32string set = to_code_points(*chars);
  return drop_right(text, [&set](char32_t c) { return set.find(c) != std::u32string::npos; });
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator, long limit) {
  if (!separator) return split_at_spaces(text, limit);
  check_separator(*separator);
  std::vector<std::string> parts;
  while (limit < 0 || static_cast<long>(parts.size()) < limit) {
    const size_t found = text.find(*separator);
    if (found == std::string_view::npos) break;
    parts.emplace_back(text.substr(0, found));
    text.remove_prefix(found + separator->size());
  }
  parts.emplace_back(text);
  return parts;
}

std::vector<std::string> split_from_right(std::string_view text, const std::optional<std::string>& separator,
                                          long limit) {
  if (!separator) return split_at_spaces_from_right(text, limit);
  check_separator(*separator);
  std::vector<std::string> parts;
  while (limit < 0 || static_cast<long>(parts.size()) < limit) {
    const size_t found = text.rfind(*separator);
    if (found == std::string_view::npos) break;
    parts.emplace_back(text.substr(found + separator->size()));
    text = text.substr(0, found);
  }
  parts.emplace_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    const char32_t c = next_code_point(text, i);
    if (!is_line_break(c)) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.emplace_back(text.substr(start, (keep_ends ? i : at) - start));
    start = i;
  }
  if (start < text.size()) lines.emplace_back(text.substr(start));
  return lines;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to, long limit) {
  std::string out;
  long replaced = 0;
  size_t position = 0;
  while (limit < 0 || replaced < limit) {
    size_t found = text.find(from, position);
    if (found == std::string_view::npos || out.size() > kMaxTextBytes) break;
    ++replaced;
    out.append(text.substr(position, found - position)).append(to);
    position = found + from.size();
    if (!from.empty()) continue;
    // An empty needle sits before every character and at the end.
    if (position >= text.size()) return out;
    const size_t start = position;
    next_code_point(text, position);
    out.append(text.substr(start, position - start));
  }
  check_text_size(out.size());
  return out.append(text.substr(std::min(position, text.size())));
}

}  // namespace speculators::jinja
