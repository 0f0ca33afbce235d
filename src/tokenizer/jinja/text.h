// Python's str methods on UTF-8: positions count code points, and letters, digits and spaces are Unicode's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace speculators::jinja {

bool is_ascii(std::string_view text);
size_t count_code_points(std::string_view text);
std::u32string to_code_points(std::string_view text);  // invalid bytes become U+FFFD
std::string to_utf8(std::u32string_view text);
void append_utf8(std::string& out, char32_t code_point);
// Decodes the code point at `position` and moves past it.
char32_t next_code_point(std::string_view text, size_t& position);

bool is_space(char32_t c);       // str.isspace
bool is_line_break(char32_t c);  // where str.splitlines splits
bool is_printable(char32_t c);   // str.isprintable
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alnum(char32_t c);
bool is_lower_case(char32_t c);
bool is_upper_case(char32_t c);
bool is_title_case(char32_t c);
int decimal_value(char32_t c);  // -1 unless a decimal digit

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);  // str.title
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);
std::string case_fold(std::string_view text);

// `chars`: the set to remove; nullopt: white space.
std::string_view strip_left(std::string_view text, const std::optional<std::string>& chars = std::nullopt);
std::string_view strip_right(std::string_view text, const std::optional<std::string>& chars = std::nullopt);

// str.split and str.rsplit; `limit` < 0: no limit. With `separator` nullopt runs of white space separate.
std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator, long limit);
std::vector<std::string> split_from_right(std::string_view text, const std::optional<std::string>& separator,
                                          long limit);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
std::string replace_text(std::string_view text, std::string_view from, std::string_view to, long limit);

std::string quote_text(std::string_view text);  // repr of a str

}  // namespace speculators::jinja
