#include "tokenizer/jinja/value.h"

#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

struct ListIterator : Iterator {
  explicit ListIterator(ListPtr items) : items(std::move(items)) {}
  bool next(Value& item) override {
    if (position == items->size()) return false;
    item = (*items)[position++];
    return true;
  }
  ListPtr items;
  size_t position = 0;
};

struct KeyIterator : Iterator {
  explicit KeyIterator(DictPtr dict) : dict(std::move(dict)) {}
  bool next(Value& item) override {
    if (position == dict->size()) return false;
    item = dict->entries()[position++].first;
    return true;
  }
  DictPtr dict;
  size_t position = 0;
};

struct CharacterIterator : Iterator {
  explicit CharacterIterator(std::shared_ptr<const std::string> text) : text(std::move(text)) {}
  bool next(Value& item) override {
    if (position == text->size()) return false;
    const size_t start = position;
    next_code_point(*text, position);
    item = Value(text->substr(start, position - start));
    return true;
  }
  std::shared_ptr<const std::string> text;
  size_t position = 0;
};

struct EmptyIterator : Iterator {
  bool next(Value&) override { return false; }
};

// nullptr when the value cannot be iterated.
IteratorPtr find_iterator(const Value& value) {
  if (const auto* list = value.get_if<ListPtr>()) return std::make_unique<ListIterator>(*list);
  if (const auto* tuple = value.get_if<Tuple>()) return std::make_unique<ListIterator>(tuple->items);
  if (const auto* dict = value.get_if<DictPtr>()) return std::make_unique<KeyIterator>(*dict);
  if (const auto* text = value.get_if<String>()) return std::make_unique<CharacterIterator>(text->text);
  if (value.is<Undefined>()) return std::make_unique<EmptyIterator>();
  if (Object* object = value.object()) return object->iterate();
  return nullptr;
}

void check_hashable(const Value& key) {
  if (key.is<ListPtr>() || key.is<DictPtr>()) throw_type_error("unhashable type: '" + type_name(key) + "'");
  if (const auto* tuple = key.get_if<Tuple>()) {
    for (const Value& item : *tuple->items) check_hashable(item);
  }
}

// Classes of the engine itself carry their module, as Python's do.
std::string describe_owner(const Value& owner) {
  if (owner.is<None>()) return "None";
  const std::string name = type_name(owner);
  if (name == "LoopContext" || name == "Macro") return "jinja2.runtime." + name + " object";
  if (name == "Namespace" || name == "Cycler" || name == "Joiner") return "jinja2.utils." + name + " object";
  return name + " object";
}

}  // namespace

const std::string* Value::string() const {
  const auto* text = get_if<String>();
  return text != nullptr ? text->text.get() : nullptr;
}

const List* Value::sequence() const {
  if (const auto* list = get_if<ListPtr>()) return list->get();
  if (const auto* tuple = get_if<Tuple>()) return tuple->items.get();
  return nullptr;
}

const Dict* Value::dict() const {
  const auto* dict = get_if<DictPtr>();
  return dict != nullptr ? dict->get() : nullptr;
}

Object* Value::object() const {
  const auto* object = get_if<ObjectPtr>();
  return object != nullptr ? object->get() : nullptr;
}

std::optional<Int> Value::integer() const {
  if (const auto* number = get_if<Int>()) return *number;
  if (const auto* boolean = get_if<bool>()) return Int{*boolean};
  return std::nullopt;
}

Value make_tuple_value(List items) { return Value(Tuple{std::make_shared<const List>(std::move(items))}); }

Value make_markup(std::string text) {
  return Value(String{std::make_shared<const std::string>(std::move(text)), /*is_markup=*/true});
}

Value make_undefined_name(std::string_view name) {
  UndefinedCause cause;
  cause.name = name;
  return Value(Undefined{std::make_shared<const UndefinedCause>(std::move(cause))});
}

Value make_undefined_hint(std::string hint) {
  UndefinedCause cause;
  cause.hint = std::move(hint);
  return Value(Undefined{std::make_shared<const UndefinedCause>(std::move(cause))});
}

Value make_undefined_item(const Value& owner, const Value& item) {
  UndefinedCause cause;
  cause.owner = describe_owner(owner);
  cause.is_item = item.string() == nullptr;
  cause.name = cause.is_item ? to_repr(item) : *item.string();
  return Value(Undefined{std::make_shared<const UndefinedCause>(std::move(cause))});
}

Value make_unsafe(const Value& owner, std::string_view attribute) {
  UndefinedCause cause;
  cause.hint = "access to attribute " + quote_text(attribute) + " of '" + type_name(owner) + "' object is unsafe.";
  cause.is_unsafe = true;
  return Value(Undefined{std::make_shared<const UndefinedCause>(std::move(cause))});
}

void throw_undefined(const Undefined& undefined) {
  const UndefinedCause& cause = *undefined.cause;
  std::string message = cause.hint;
  if (message.empty() && cause.owner.empty()) message = quote_text(cause.name) + " is undefined";
  if (message.empty() && cause.is_item) message = cause.owner + " has no element " + cause.name;
  if (message.empty()) message = quote_text(cause.owner) + " has no attribute " + quote_text(cause.name);
  throw TemplateError(cause.is_unsafe ? ErrorKind::kSecurity : ErrorKind::kUndefined, message);
}

const Value* Dict::find(std::string_view key) const {
  if (!index_.empty()) {
    const auto found = index_.find(std::string(key));
    return found != index_.end() ? &entries_[found->second].second : nullptr;
  }
  for (const auto& [name, value] : entries_) {
    const std::string* text = name.string();
    if (text != nullptr && *text == key) return &value;
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (const std::string* text = key.string()) return find(*text);
  check_hashable(key);
  for (const auto& [name, value] : entries_) {
    if (equals(name, key)) return &value;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  if (const Value* found = find(key)) {
    const_cast<Value&>(*found) = std::move(value);  // our own entry
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() < kIndexFrom) return;
  const size_t first = index_.empty() ? 0 : entries_.size() - 1;
  for (size_t i = first; i < entries_.size(); ++i) {
    if (const std::string* text = entries_[i].first.string()) index_.emplace(*text, i);
  }
}

Value make_dict_value(Dict dict) { return Value(std::make_shared<const Dict>(std::move(dict))); }

Value Object::call(Renderer&, Arguments) { throw_type_error("'" + type_name() + "' object is not callable"); }

std::string type_name(const Value& value) {
  struct Name {
    std::string operator()(None) const { return "NoneType"; }
    std::string operator()(Missing) const { return "Undefined"; }
    std::string operator()(const Undefined&) const { return "Undefined"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(Int) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const String& text) const { return text.is_markup ? "Markup" : "str"; }
    std::string operator()(const ListPtr&) const { return "list"; }
    std::string operator()(const Tuple&) const { return "tuple"; }
    std::string operator()(const DictPtr&) const { return "dict"; }
    std::string operator()(const ObjectPtr& object) const { return object->type_name(); }
  };
  return std::visit(Name{}, value.data());
}

IteratorPtr iterate(const Value& value) {
  IteratorPtr iterator = find_iterator(value);
  if (iterator == nullptr) throw_type_error("'" + type_name(value) + "' object is not iterable");
  return iterator;
}

bool is_iterable(const Value& value) {
  // Asking a generator for its iterator does not consume anything.
  return find_iterator(value) != nullptr;
}

List to_list(const Value& value) {
  if (const List* items = value.sequence()) return *items;
  List items;
  const IteratorPtr iterator = iterate(value);
  for (Value item; iterator->next(item);) {
    check_list_size(items.size());
    items.push_back(std::move(item));
  }
  return items;
}

std::optional<size_t> find_length(const Value& value) {
  if (const List* items = value.sequence()) return items->size();
  if (const Dict* dict = value.dict()) return dict->size();
  if (const std::string* text = value.string()) return count_code_points(*text);
  if (value.is<Undefined>()) return 0;
  if (Object* object = value.object()) return object->length();
  return std::nullopt;
}

size_t get_length(const Value& value) {
  const auto length = find_length(value);
  if (!length) throw_type_error("object of type '" + type_name(value) + "' has no len()");
  return *length;
}

}  // namespace speculators::jinja
