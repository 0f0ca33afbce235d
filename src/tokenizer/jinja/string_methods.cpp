// The methods of str.
#include <algorithm>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/printf.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

using CharacterTest = bool (*)(char32_t);

const std::string& text_of(const Value& self) { return *self.string(); }

Value string_list(std::vector<std::string> parts) {
  List items(std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
  return Value(std::move(items));
}

long get_limit(const BoundArguments& bound, size_t parameter) {
  return static_cast<long>(std::clamp(bound.get_int(parameter, -1), Int{-1}, Int{1} << 60));
}

template <std::string (*Map)(std::string_view)>
Value map_text(const Value& self, Arguments& arguments) {
  const BoundArguments bound("str", arguments, {}, 0);
  return Value(Map(text_of(self)));
}

// All characters pass, and there is one.
template <CharacterTest Test>
Value all_pass(const Value& self, Arguments& arguments) {
  const BoundArguments bound("str", arguments, {}, 0);
  const std::u32string points = to_code_points(text_of(self));
  return Value(!points.empty() && std::all_of(points.begin(), points.end(), Test));
}

Value is_printable_text(const Value& self, Arguments& arguments) {
  const BoundArguments bound("isprintable", arguments, {}, 0);
  const std::u32string points = to_code_points(text_of(self));
  return Value(std::all_of(points.begin(), points.end(), is_printable));
}

Value is_ascii_text(const Value& self, Arguments& arguments) {
  const BoundArguments bound("isascii", arguments, {}, 0);
  return Value(is_ascii(text_of(self)));
}

// There is a cased letter, and none of the other case.
template <CharacterTest Wanted, CharacterTest Other>
Value has_case(const Value& self, Arguments& arguments) {
  const BoundArguments bound("islower", arguments, {}, 0);
  const std::u32string points = to_code_points(text_of(self));
  const bool other = std::any_of(points.begin(), points.end(), [](char32_t c) { return Other(c) || is_title_case(c); });
  return Value(!other && std::any_of(points.begin(), points.end(), Wanted));
}

Value is_title_text(const Value& self, Arguments& arguments) {
  const BoundArguments bound("istitle", arguments, {}, 0);
  bool cased = false, after_letter = false;
  for (const char32_t c : to_code_points(text_of(self))) {
    const bool starts = is_upper_case(c) || is_title_case(c);
    if (starts ? after_letter : is_lower_case(c) && !after_letter) return Value(false);
    after_letter = starts || is_lower_case(c);
    cased = cased || after_letter;
  }
  return Value(cased);
}

Value is_identifier(const Value& self, Arguments& arguments) {
  const BoundArguments bound("isidentifier", arguments, {}, 0);
  const std::u32string points = to_code_points(text_of(self));
  if (points.empty() || is_decimal(points[0])) return Value(false);
  return Value(std::all_of(points.begin(), points.end(), [](char32_t c) { return c == '_' || is_alnum(c); }));
}

Value strip_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("strip", arguments, {"chars"}, 0);
  const auto chars = bound.find_string(0);
  return Value(strip_left(strip_right(text_of(self), chars), chars));
}
Value lstrip_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("lstrip", arguments, {"chars"}, 0);
  return Value(strip_left(text_of(self), bound.find_string(0)));
}
Value rstrip_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("rstrip", arguments, {"chars"}, 0);
  return Value(strip_right(text_of(self), bound.find_string(0)));
}

Value split_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("split", arguments, {"sep", "maxsplit"}, 0);
  return string_list(split(text_of(self), bound.find_string(0), get_limit(bound, 1)));
}
Value rsplit_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("rsplit", arguments, {"sep", "maxsplit"}, 0);
  return string_list(split_from_right(text_of(self), bound.find_string(0), get_limit(bound, 1)));
}
Value splitlines_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("splitlines", arguments, {"keepends"}, 0);
  return string_list(split_lines(text_of(self), bound.get_bool(0, false)));
}

Value partition_at(const std::string& text, const std::string& separator, bool from_right) {
  if (separator.empty()) throw_value_error("empty separator");
  const size_t found = from_right ? text.rfind(separator) : text.find(separator);
  if (found != std::string::npos) {
    return make_tuple_value({text.substr(0, found), separator, text.substr(found + separator.size())});
  }
  return from_right ? make_tuple_value({"", "", text}) : make_tuple_value({text, "", ""});
}
Value partition_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("partition", arguments, {"sep"}, 1);
  return partition_at(text_of(self), bound.get_string(0), false);
}
Value rpartition_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("rpartition", arguments, {"sep"}, 1);
  return partition_at(text_of(self), bound.get_string(0), true);
}

// text[start:end] as bytes, or nullopt when start lies behind the end of the text.
std::optional<std::pair<size_t, std::string>> window(const Value& self, const BoundArguments& bound) {
  const auto start = bound.find(1) != nullptr ? slice_bound(*bound.find(1)) : std::nullopt;
  const auto stop = bound.find(2) != nullptr ? slice_bound(*bound.find(2)) : std::nullopt;
  if (!start && !stop) return std::pair(size_t{0}, text_of(self));
  const Int size = static_cast<Int>(count_code_points(text_of(self)));
  const Int first = start.value_or(0) < 0 ? std::max(Int{0}, *start + size) : start.value_or(0);
  if (first > size) return std::nullopt;
  return std::pair(static_cast<size_t>(first), *get_slice(self, {first, stop, std::nullopt}).string());
}

enum class End { kStart, kFinish };

Value matches_end(const Value& self, const BoundArguments& bound, const char* name, End end) {
  const auto part = window(self, bound);
  const auto matches = [&](const Value& affix) {
    const std::string* text = affix.string();
    if (text == nullptr) {
      throw_type_error(std::string(name) + " first arg must be str or a tuple of str, not " + type_name(affix));
    }
    if (!part) return false;
    return end == End::kStart ? part->second.starts_with(*text) : part->second.ends_with(*text);
  };
  const auto* tuple = bound.get(0).get_if<Tuple>();
  if (tuple == nullptr) return Value(matches(bound.get(0)));
  return Value(std::any_of(tuple->items->begin(), tuple->items->end(), matches));
}
Value startswith_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("startswith", arguments, {"prefix", "start", "end"}, 1);
  return matches_end(self, bound, "startswith", End::kStart);
}
Value endswith_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("endswith", arguments, {"suffix", "start", "end"}, 1);
  return matches_end(self, bound, "endswith", End::kFinish);
}

// The position in code points, -1 when absent.
Int find_part(const Value& self, const BoundArguments& bound, bool from_right) {
  const std::string& part = bound.get_string(0);
  const auto inside = window(self, bound);
  if (!inside) return -1;
  const size_t found = from_right ? inside->second.rfind(part) : inside->second.find(part);
  if (found == std::string::npos) return -1;
  return static_cast<Int>(inside->first + count_code_points(std::string_view(inside->second).substr(0, found)));
}
template <bool FromRight, bool MustExist>
Value find_method_of_text(const Value& self, Arguments& arguments) {
  const BoundArguments bound("find", arguments, {"sub", "start", "end"}, 1);
  const Int found = find_part(self, bound, FromRight);
  if (MustExist && found < 0) throw_value_error("substring not found");
  return Value(found);
}
Value count_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"sub", "start", "end"}, 1);
  const std::string& part = bound.get_string(0);
  const auto inside = window(self, bound);
  if (!inside) return Value(0);
  if (part.empty()) return Value(count_code_points(inside->second) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = inside->second.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return Value(count);
}

Value replace_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
  return Value(replace_text(text_of(self), bound.get_string(0), bound.get_string(1), get_limit(bound, 2)));
}

Value join_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"iterable"}, 1);
  if (!is_iterable(bound.get(0))) throw_type_error("can only join an iterable");
  std::string out;
  const IteratorPtr iterator = iterate(bound.get(0));
  int64_t index = 0;
  for (Value item; iterator->next(item); ++index) {
    if (item.string() == nullptr) {
      throw_type_error("sequence item " + std::to_string(index) + ": expected str instance, " + type_name(item) +
                       " found");
    }
    if (index != 0) out += text_of(self);
    out += *item.string();
    check_text_size(out.size());
  }
  return Value(std::move(out));
}

Value format_method(const Value& self, Arguments& arguments) { return Value(format_fields(text_of(self), arguments)); }
Value format_map_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("format_map", arguments, {"mapping"}, 1);
  Arguments fields;
  if (const Dict* dict = bound.get(0).dict()) {
    for (const auto& [key, value] : dict->entries()) {
      if (key.string() != nullptr) fields.keywords.emplace_back(*key.string(), value);
    }
  }
  return Value(format_fields(text_of(self), fields));
}

template <int Side>  // -1: text left, 0: centred, 1: text right
Value pad_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("ljust", arguments, {"width", "fillchar"}, 1);
  const std::string fill = bound.find(1) != nullptr ? bound.get_string(1) : " ";
  if (count_code_points(fill) != 1) throw_type_error("The fill character must be exactly one character long");
  const Int width = bound.get_int(0, 0);
  const Int missing = width - static_cast<Int>(count_code_points(text_of(self)));
  if (missing <= 0) return self;
  check_text_size(static_cast<size_t>(std::min(missing, Int{kMaxTextBytes} + 1)) * fill.size());
  // Python puts the odd blank left when the width is odd.
  const Int left = Side < 0 ? 0 : Side > 0 ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (Int i = 0; i < left; ++i) out += fill;
  out += text_of(self);
  for (Int i = left; i < missing; ++i) out += fill;
  return Value(std::move(out));
}

Value zfill_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("zfill", arguments, {"width"}, 1);
  const std::string& text = text_of(self);
  const Int missing = bound.get_int(0, 0) - static_cast<Int>(count_code_points(text));
  if (missing <= 0) return self;
  check_text_size(static_cast<size_t>(std::min(missing, Int{kMaxTextBytes} + 1)));
  const size_t sign = text.starts_with('+') || text.starts_with('-') ? 1 : 0;
  return Value(text.substr(0, sign) + std::string(static_cast<size_t>(missing), '0') + text.substr(sign));
}

Value removeprefix_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("removeprefix", arguments, {"prefix"}, 1);
  const std::string& prefix = bound.get_string(0);
  return text_of(self).starts_with(prefix) ? Value(text_of(self).substr(prefix.size())) : self;
}
Value removesuffix_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("removesuffix", arguments, {"suffix"}, 1);
  const std::string& suffix = bound.get_string(0);
  const std::string& text = text_of(self);
  return !suffix.empty() && text.ends_with(suffix) ? Value(text.substr(0, text.size() - suffix.size())) : self;
}

Value expandtabs_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("expandtabs", arguments, {"tabsize"}, 0);
  const Int size = std::min(bound.get_int(0, 8), Int{1024});
  std::string out;
  Int column = 0;
  for (const char32_t c : to_code_points(text_of(self))) {
    if (c == '\t') {
      const Int blanks = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      append_utf8(out, c);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    check_text_size(out.size());
  }
  return Value(std::move(out));
}

template <int Kind>
Value refuse(const Value&, Arguments&) {
  throw_type_error("str.encode, str.translate and str.maketrans are not available in chat templates");
}

constexpr NamedMethod kStringMethods[] = {
    {"capitalize", map_text<capitalize>},
    {"casefold", map_text<case_fold>},
    {"center", pad_method<0>},
    {"count", count_method},
    {"encode", refuse<0>},
    {"endswith", endswith_method},
    {"expandtabs", expandtabs_method},
    {"find", find_method_of_text<false, false>},
    {"format", format_method},
    {"format_map", format_map_method},
    {"index", find_method_of_text<false, true>},
    {"isalnum", all_pass<is_alnum>},
    {"isalpha", all_pass<is_alpha>},
    {"isascii", is_ascii_text},
    {"isdecimal", all_pass<is_decimal>},
    {"isdigit", all_pass<is_digit>},
    {"isidentifier", is_identifier},
    {"islower", has_case<is_lower_case, is_upper_case>},
    {"isnumeric", all_pass<is_numeric>},
    {"isprintable", is_printable_text},
    {"isspace", all_pass<is_space>},
    {"istitle", is_title_text},
    {"isupper", has_case<is_upper_case, is_lower_case>},
    {"join", join_method},
    {"ljust", pad_method<-1>},
    {"lower", map_text<to_lower>},
    {"lstrip", lstrip_method},
    {"maketrans", refuse<1>},
    {"partition", partition_method},
    {"removeprefix", removeprefix_method},
    {"removesuffix", removesuffix_method},
    {"replace", replace_method},
    {"rfind", find_method_of_text<true, false>},
    {"rindex", find_method_of_text<true, true>},
    {"rjust", pad_method<1>},
    {"rpartition", rpartition_method},
    {"rsplit", rsplit_method},
    {"rstrip", rstrip_method},
    {"split", split_method},
    {"splitlines", splitlines_method},
    {"startswith", startswith_method},
    {"strip", strip_method},
    {"swapcase", map_text<swap_case>},
    {"title", map_text<to_title>},
    {"translate", refuse<2>},
    {"upper", map_text<to_upper>},
    {"zfill", zfill_method},
};

}  // namespace

std::span<const NamedMethod> string_methods() { return kStringMethods; }

}  // namespace speculators::jinja
