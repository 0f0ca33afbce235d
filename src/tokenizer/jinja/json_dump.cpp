#include "tokenizer/jinja/json_dump.h"

#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/attribute_path.h"
#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

std::string dump_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return format_float(value);
}

class Dumper {
 public:
  explicit Dumper(const JsonStyle& style) : style_(style) {}

  void dump(const Value& value, int depth) {
    if (depth > kMaxNesting) throw_runtime_error("data nested more than 400 deep");
    check_text_size(out.size());
    if (const std::string* text = value.string()) {
      dump_string(*text);
    } else if (value.is<None>()) {
      out += "null";
    } else if (const auto* boolean = value.get_if<bool>()) {
      out += *boolean ? "true" : "false";
    } else if (const auto* number = value.get_if<Int>()) {
      out += format_int(*number);
    } else if (const auto* real = value.get_if<double>()) {
      out += dump_float(*real);
    } else if (const List* items = value.sequence()) {
      dump_list(*items, depth);
    } else if (const Dict* dict = value.dict()) {
      dump_dict(*dict, depth);
    } else {
      throw_type_error("Object of type " + type_name(value) + " is not JSON serializable");
    }
  }
  std::string out;

 private:
  void new_line(int depth) {
    if (!style_.indent) return;
    out += '\n';
    for (int i = 0; i < depth; ++i) out += *style_.indent;
  }

  void dump_list(const List& items, int depth) {
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line(depth + 1);
      dump(items[i], depth + 1);
    }
    new_line(depth);
    out += ']';
  }

  void dump_dict(const Dict& dict, int depth) {
    if (dict.size() == 0) {
      out += "{}";
      return;
    }
    out += '{';
    bool is_first = true;
    for (const auto& [key, value] : ordered(dict)) {
      if (!is_first) out += style_.item_separator;
      is_first = false;
      new_line(depth + 1);
      dump_key(key);
      out += style_.key_separator;
      dump(value, depth + 1);
    }
    new_line(depth);
    out += '}';
  }

  std::vector<Dict::Entry> ordered(const Dict& dict) const {
    if (!style_.sort_keys) return dict.entries();
    List keys, pairs;
    for (const auto& [key, value] : dict.entries()) {
      keys.push_back(key);
      pairs.push_back(make_tuple_value({key, value}));
    }
    std::vector<Dict::Entry> entries;
    for (const Value& pair : sort_by(pairs, keys, /*reverse=*/false)) {
      entries.emplace_back((*pair.sequence())[0], (*pair.sequence())[1]);
    }
    return entries;
  }

  void dump_key(const Value& key) {
    if (key.string() != nullptr) return dump_string(*key.string());
    const bool is_plain = key.is<None>() || key.is<bool>() || key.is<Int>() || key.is<double>();
    if (!is_plain) throw_type_error("keys must be str, int, float, bool or None, not " + type_name(key));
    out += '"';
    dump(key, 0);
    out += '"';
  }

  void append_escape(unsigned code) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", code);
    out += buffer;
  }

  void dump_string(const std::string& text) {
    out += '"';
    for (size_t i = 0; i < text.size();) {
      const size_t start = i;
      const char32_t c = next_code_point(text, i);
      switch (c) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\f':
          out += "\\f";
          break;
        case '\b':
          out += "\\b";
          break;
        default:
          if (c < 0x20 || (style_.ascii_only && c > 0x7E && c < 0x10000)) {
            append_escape(c);
          } else if (style_.ascii_only && c >= 0x10000) {
            append_escape(0xD800 + ((c - 0x10000) >> 10));
            append_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
          } else {
            out.append(text, start, i - start);
          }
      }
    }
    out += '"';
  }

  const JsonStyle& style_;
};

}  // namespace

std::string dump_json(const Value& value, const JsonStyle& style) {
  Dumper dumper(style);
  dumper.dump(value, 0);
  return std::move(dumper.out);
}

}  // namespace speculators::jinja
