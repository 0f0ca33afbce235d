// The values a template computes with: Python's None, bool, int, float, str, list, tuple, dict, and objects (functions,
// macros, loops, namespaces, iterators). Small, copied freely, contents shared. Lists and dicts never change once they
// are values: the sandbox forbids it, so sharing needs no locks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "tokenizer/jinja/error.h"

namespace speculators::jinja {

// Python's int has no bounds; 128 bits hold every number that JSON can carry. Overflow is an error, never a wrap.
using Int = __int128;

class Value;
class Dict;
struct Object;
using List = std::vector<Value>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

// Why a value is undefined; the message is built only when it is needed.
struct UndefinedCause {
  std::string hint;   // the whole message, when not empty
  std::string owner;  // "dict object" for a missing attribute or item, empty for a missing name
  std::string name;   // the name, or for an item that is no string its repr
  bool is_item = false;
  bool is_unsafe = false;  // the sandbox hides it
};

struct Missing {};  // a variable slot that nothing was stored in; never seen by templates
struct None {};
struct Undefined {
  std::shared_ptr<const UndefinedCause> cause;
};
struct String {
  std::shared_ptr<const std::string> text;  // UTF-8
  bool is_markup = false;                   // went through `escape` or `safe`
};
struct Tuple {
  ListPtr items;
};

class Value {
 public:
  using Variant = std::variant<None, Missing, Undefined, bool, Int, double, String, ListPtr, Tuple, DictPtr, ObjectPtr>;
  Value() = default;  // None
  Value(bool value) : data_(value) {}
  Value(int value) : data_(Int{value}) {}
  Value(int64_t value) : data_(Int{value}) {}
  Value(size_t value) : data_(static_cast<Int>(value)) {}
  Value(Int value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(String{std::make_shared<const std::string>(std::move(text))}) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(String text) : data_(std::move(text)) {}
  Value(List items) : data_(std::make_shared<const List>(std::move(items))) {}
  Value(ListPtr items) : data_(std::move(items)) {}
  Value(Tuple tuple) : data_(std::move(tuple)) {}
  Value(DictPtr dict) : data_(std::move(dict)) {}
  Value(ObjectPtr object) : data_(std::move(object)) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(Missing missing) : data_(missing) {}

  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  const std::string* string() const;  // null unless a str
  const List* sequence() const;       // the items of a list or tuple, else null
  const Dict* dict() const;           // null unless a dict
  Object* object() const;             // null unless an object
  template <class T>
  T* object_as() const {
    return dynamic_cast<T*>(object());
  }
  // The value of an int or a bool, as Python lets bool stand for int.
  std::optional<Int> integer() const;
  const Variant& data() const { return data_; }

 private:
  Variant data_;
};

Value make_tuple_value(List items);
Value make_markup(std::string text);
Value make_undefined_name(std::string_view name);
Value make_undefined_hint(std::string hint);
// `item` is the attribute name or the subscript that `owner` does not have.
Value make_undefined_item(const Value& owner, const Value& item);
Value make_unsafe(const Value& owner, std::string_view attribute);
[[noreturn]] void throw_undefined(const Undefined& undefined);

// Keys in insertion order. Built by set(), then shared as const.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;
  const Value* find(const Value& key) const;  // throws a type error for keys that cannot be hashed
  const Value* find(std::string_view key) const;
  const Value* find(const std::string& key) const { return find(std::string_view(key)); }
  void set(Value key, Value value);
  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kIndexFrom = 16;  // smaller dicts are searched in order
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // of the string keys, once there are kIndexFrom entries
};
Value make_dict_value(Dict dict);

// One pass over items; generators keep one alive between uses.
struct Iterator {
  virtual ~Iterator() = default;
  virtual bool next(Value& item) = 0;  // false at the end, and from then on
};
using IteratorPtr = std::unique_ptr<Iterator>;

// The arguments of one call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

class Renderer;

// Everything that is not plain data.
struct Object {
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;  // as Python's type(x).__name__
  virtual std::string repr() const = 0;
  virtual std::optional<Value> attribute(std::string_view name) { return std::nullopt; }
  virtual std::optional<Value> item(Int index) { return std::nullopt; }  // counted from 0, negative from the end
  virtual bool has_items() const { return false; }                       // item() is there at all
  virtual std::optional<size_t> length() { return std::nullopt; }
  virtual IteratorPtr iterate() { return nullptr; }  // null: not iterable
  virtual bool is_truthy() { return length().value_or(1) != 0; }
  virtual bool is_callable() const { return false; }
  virtual Value call(Renderer& renderer, Arguments arguments);
};

// Python's names: "str", "int", "NoneType", ...
std::string type_name(const Value& value);

// Throws a type error when `value` is not iterable. A dict gives its keys, a str its characters.
IteratorPtr iterate(const Value& value);
bool is_iterable(const Value& value);
List to_list(const Value& value);
std::optional<size_t> find_length(const Value& value);  // nullopt: no len()
size_t get_length(const Value& value);                  // throws a type error

}  // namespace speculators::jinja
