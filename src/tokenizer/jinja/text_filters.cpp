// Filters that make or change text.
#include <algorithm>
#include <cstdio>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/attribute_path.h"
#include "tokenizer/jinja/filter_lists.h"
#include "tokenizer/jinja/json_dump.h"
#include "tokenizer/jinja/markup.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/printf.h"
#include "tokenizer/jinja/stringify.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

template <std::string (*Map)(std::string_view)>
Value map_text(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("filter", arguments, {}, 0);
  return Value(Map(to_text(input)));
}

// What must be a str already, and an undefined value is an error.
const std::string& need_text(const Value& input) {
  if (const auto* undefined = input.get_if<Undefined>()) throw_undefined(*undefined);
  if (input.string() == nullptr) throw_type_error("expected a str, got " + type_name(input));
  return *input.string();
}

Value trim_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_trim", arguments, {"chars"}, 0);
  const auto chars = bound.find_string(0);
  return Value(strip_left(strip_right(to_text(input), chars), chars));
}

// Words start after spaces, hyphens and opening brackets; unlike str.title, an apostrophe starts none.
std::string title_words(std::string_view text) {
  const auto separates = [](char32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
  };
  std::string out, word;
  const auto flush = [&] {
    if (word.empty()) return;
    size_t second = 0;
    next_code_point(word, second);
    out += to_upper(word.substr(0, second)) + to_lower(word.substr(second));
    word.clear();
  };
  for (const char32_t c : to_code_points(text)) {
    if (separates(c)) {
      flush();
      append_utf8(out, c);
    } else {
      append_utf8(word, c);
    }
  }
  flush();
  return out;
}

Value replace_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_replace", arguments, {"old", "new", "count"}, 2);
  const Value count = bound.get_or(2, Value());
  const Int limit = count.is<None>() ? -1 : bound.get_int(2, -1);
  return Value(replace_text(to_text(input), to_text(bound.get(0)), to_text(bound.get(1)),
                            static_cast<long>(std::clamp(limit, Int{-1}, Int{1} << 60))));
}

Value indent_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_indent", arguments, {"width", "first", "blank"}, 0);
  const Value width = bound.get_or(0, Value(4));
  const Int blanks = width.string() != nullptr ? 0 : bound.get_int(0, 4);
  const std::string indentation = width.string() != nullptr
                                      ? *width.string()
                                      : std::string(static_cast<size_t>(std::clamp(blanks, Int{0}, Int{1} << 20)), ' ');
  const bool indents_blank = bound.get_bool(2, false);
  const auto lines = split_lines(need_text(input) + "\n", /*keep_ends=*/false);
  std::string out = bound.get_bool(1, false) ? indentation : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if (i > 0 && (indents_blank || !lines[i].empty())) out += indentation;
    out += lines[i];
    check_text_size(out.size());
  }
  return Value(std::move(out));
}

Value truncate_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_truncate", arguments, {"length", "killwords", "end", "leeway"}, 0);
  const std::string end = bound.find(2) != nullptr ? bound.get_string(2) : "...";
  const Int length = bound.get_int(0, 255);
  const Int leeway = bound.get_or(3, Value()).is<None>() ? Int{5} : bound.get_int(3, 5);
  const Int end_size = static_cast<Int>(count_code_points(end));
  if (length < end_size) throw_value_error("truncate: the length is shorter than the end text");
  if (leeway < 0) throw_value_error("truncate: the leeway is negative");
  const std::u32string text = to_code_points(need_text(input));
  if (static_cast<Int>(text.size()) <= length + leeway) return input;
  const std::string cut = to_utf8(text.substr(0, static_cast<size_t>(length - end_size)));
  if (bound.get_bool(1, false)) return Value(cut + end);
  const size_t blank = cut.rfind(' ');
  return Value(cut.substr(0, blank) + end);
}

Value center_filter(Renderer& renderer, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_center", arguments, {"width"}, 0);
  Arguments width;
  width.positional.push_back(bound.get_or(0, Value(80)));
  const Value text(to_text(input));
  return find_method(text, "center")(text, width);
}

Value wordcount_filter(Renderer&, const Value& input, const Arguments&) {
  int64_t words = 0;
  bool inside = false;
  for (const char32_t c : to_code_points(to_text(input))) {
    const bool is_word = c == '_' || is_alnum(c);
    words += is_word && !inside ? 1 : 0;
    inside = is_word;
  }
  return Value(words);
}

Value format_filter(Renderer&, const Value& input, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.keywords.empty()) {
    throw_runtime_error("can't handle positional and keyword arguments at the same time");
  }
  if (arguments.keywords.empty()) return format_printf(Value(to_text(input)), make_tuple_value(arguments.positional));
  Dict values;
  for (const auto& [name, value] : arguments.keywords) values.set(Value(name), value);
  return format_printf(Value(to_text(input)), make_dict_value(std::move(values)));
}

Value string_filter(Renderer&, const Value& input, const Arguments&) {
  return input.string() != nullptr ? input : Value(to_text(input));
}

Value safe_filter(Renderer&, const Value& input, const Arguments&) { return make_markup(to_text(input)); }

Value escape_filter(Renderer&, const Value& input, const Arguments&) {
  const auto* text = input.get_if<String>();
  return text != nullptr && text->is_markup ? input : make_markup(escape_html(to_text(input)));
}

Value forceescape_filter(Renderer&, const Value& input, const Arguments&) {
  return make_markup(escape_html(to_text(input)));
}

std::string quote_url(const std::string& text, bool for_query) {
  std::string out;
  char buffer[8];
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                       c == '.' || c == '-' || c == '~' || (c == '/' && !for_query);
    if (plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      std::snprintf(buffer, sizeof buffer, "%%%02X", static_cast<unsigned char>(c));
      out += buffer;
    }
  }
  return out;
}

Value urlencode_filter(Renderer&, const Value& input, const Arguments&) {
  if (input.string() != nullptr || !is_iterable(input)) return Value(quote_url(to_text(input), false));
  std::string out;
  const auto add = [&out](const Value& key, const Value& value) {
    out += (out.empty() ? "" : "&") + quote_url(to_text(key), true) + "=" + quote_url(to_text(value), true);
  };
  if (const Dict* dict = input.dict()) {
    for (const auto& [key, value] : dict->entries()) add(key, value);
    return Value(std::move(out));
  }
  for (const Value& pair : to_list(input)) {
    const List items = to_list(pair);
    if (items.size() != 2) throw_value_error("urlencode expects pairs of key and value");
    add(items[0], items[1]);
  }
  return Value(std::move(out));
}

Value join_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_join", arguments, {"d", "attribute"}, 0);
  const std::string separator = to_text(bound.get_or(0, Value("")));
  const AttributePath path(bound.get_or(1, Value()));
  std::string out;
  const IteratorPtr iterator = iterate(input);
  bool is_first = true;
  for (Value item; iterator->next(item); is_first = false) {
    if (!is_first) out += separator;
    append_text(out, path.get(item));
  }
  return Value(std::move(out));
}

Value tojson_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  JsonStyle style;
  style.ascii_only = bound.get_bool(0, false);
  style.sort_keys = bound.get_bool(3, false);
  const Value indent = bound.get_or(1, Value());
  if (indent.string() != nullptr) style.indent = *indent.string();
  if (indent.string() == nullptr && !indent.is<None>()) {
    style.indent = std::string(static_cast<size_t>(std::clamp(bound.get_int(1, 0), Int{0}, Int{1024})), ' ');
  }
  if (style.indent) style.item_separator = ",";
  const Value separators = bound.get_or(2, Value());
  if (!separators.is<None>()) {
    const List pair = to_list(separators);
    if (pair.size() != 2) throw_value_error("tojson: separators must be a pair of texts");
    style.item_separator = to_text(pair[0]);
    style.key_separator = to_text(pair[1]);
  }
  return Value(dump_json(input, style));
}

constexpr NamedFilter kFilters[] = {
    {"capitalize", map_text<capitalize>},
    {"center", center_filter},
    {"e", escape_filter},
    {"escape", escape_filter},
    {"forceescape", forceescape_filter},
    {"format", format_filter},
    {"indent", indent_filter},
    {"join", join_filter},
    {"lower", map_text<to_lower>},
    {"replace", replace_filter},
    {"safe", safe_filter},
    {"string", string_filter},
    {"title", map_text<title_words>},
    {"tojson", tojson_filter},
    {"trim", trim_filter},
    {"truncate", truncate_filter},
    {"upper", map_text<to_upper>},
    {"urlencode", urlencode_filter},
    {"wordcount", wordcount_filter},
};

}  // namespace

std::span<const NamedFilter> text_filters() { return kFilters; }

}  // namespace speculators::jinja
