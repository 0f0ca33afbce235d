#include "tokenizer/jinja/stringify.h"

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

void append_repr(std::string& out, const Value& value, int depth);

void append_items(std::string& out, const List& items, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out += ", ";
    append_repr(out, items[i], depth);
  }
}

void append_dict(std::string& out, const Dict& dict, int depth) {
  out += '{';
  const char* separator = "";
  for (const auto& [key, value] : dict.entries()) {
    out += separator;
    append_repr(out, key, depth);
    out += ": ";
    append_repr(out, value, depth);
    separator = ", ";
  }
  out += '}';
}

struct Repr {
  std::string& out;
  int depth;
  void operator()(None) const { out += "None"; }
  void operator()(Missing) const { out += "Undefined"; }
  void operator()(const Undefined&) const { out += "Undefined"; }
  void operator()(bool value) const { out += value ? "True" : "False"; }
  void operator()(Int value) const { out += format_int(value); }
  void operator()(double value) const { out += format_float(value); }
  void operator()(const String& text) const {
    out += text.is_markup ? "Markup(" + quote_text(*text.text) + ")" : quote_text(*text.text);
  }
  void operator()(const ListPtr& list) const {
    out += '[';
    append_items(out, *list, depth);
    out += ']';
  }
  void operator()(const Tuple& tuple) const {
    out += '(';
    append_items(out, *tuple.items, depth);
    out += tuple.items->size() == 1 ? ",)" : ")";
  }
  void operator()(const DictPtr& dict) const { append_dict(out, *dict, depth); }
  void operator()(const ObjectPtr& object) const { out += object->repr(); }
};

void append_repr(std::string& out, const Value& value, int depth) {
  if (depth > kMaxNesting) throw_runtime_error("data nested more than 400 deep");
  check_text_size(out.size());
  std::visit(Repr{out, depth + 1}, value.data());
}

}  // namespace

std::string to_repr(const Value& value) {
  std::string out;
  append_repr(out, value, 0);
  return out;
}

void append_text(std::string& out, const Value& value) {
  if (const std::string* text = value.string()) {
    out += *text;
  } else if (!value.is<Undefined>() && !value.is<Missing>()) {
    append_repr(out, value, 0);
  }
  check_text_size(out.size());
}

std::string to_text(const Value& value) {
  std::string out;
  append_text(out, value);
  return out;
}

}  // namespace speculators::jinja
