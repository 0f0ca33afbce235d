// The built-in objects: ranges, iterators, dict views, functions, bound methods, namespaces.
#pragma once

#include <functional>
#include <map>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

struct RangeObject : Object {
  RangeObject(Int start, Int stop, Int step) : start(start), stop(stop), step(step) {}
  std::string type_name() const override { return "range"; }
  std::string repr() const override;
  std::optional<size_t> length() override;
  IteratorPtr iterate() override;
  std::optional<Value> item(Int index) override;
  bool has_items() const override { return true; }
  bool contains(const Value& item) const;
  Int start, stop, step;
};

// A generator or another one-way iterator: what is taken from it is gone.
struct IteratorObject : Object {
  IteratorObject(std::string type, std::string name, IteratorPtr iterator)
      : type(std::move(type)), name(std::move(name)), iterator(std::move(iterator)) {}
  std::string type_name() const override { return type; }
  std::string repr() const override { return "<" + type + " object" + name + ">"; }
  IteratorPtr iterate() override;
  std::string type, name;
  std::shared_ptr<Iterator> iterator;
};
Value make_generator(IteratorPtr iterator);
// A generator from a function that fills in the next item and returns false at the end.
Value make_generator(std::function<bool(Value&)> next);

struct DictView : Object {
  enum class Part { kKeys, kValues, kItems };
  DictView(DictPtr dict, Part part) : dict(std::move(dict)), part(part) {}
  std::string type_name() const override;
  std::string repr() const override;
  std::optional<size_t> length() override { return dict->size(); }
  IteratorPtr iterate() override;
  Value at(size_t index) const;
  DictPtr dict;
  Part part;
};

// A global function or class: raise_exception, namespace, ...
struct Function : Object {
  using Body = Value (*)(Renderer&, Arguments);
  Function(std::string name, Body body, bool is_class) : name(std::move(name)), body(body), is_class(is_class) {}
  std::string type_name() const override { return is_class ? "type" : "function"; }
  std::string repr() const override { return is_class ? "<class '" + name + "'>" : "<function " + name + ">"; }
  bool is_callable() const override { return true; }
  Value call(Renderer& renderer, Arguments arguments) override { return body(renderer, std::move(arguments)); }
  std::string name;
  Body body;
  bool is_class;
};

// A method of plain data, and the value it was asked from.
using Method = Value (*)(const Value& self, Arguments& arguments);
struct BoundMethod : Object {
  BoundMethod(Value self, std::string name, Method method)
      : self(std::move(self)), name(std::move(name)), method(method) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  std::string repr() const override;
  bool is_callable() const override { return true; }
  Value call(Renderer&, Arguments arguments) override { return method(self, arguments); }
  Value self;
  std::string name;
  Method method;
};

// What `namespace(...)` makes: the one thing a template can change.
struct Namespace : Object {
  std::string type_name() const override { return "Namespace"; }
  std::string repr() const override;
  std::optional<Value> attribute(std::string_view name) override;
  Dict attributes;
};

// The method of a str, list, tuple, dict or float; null when there is none.
Method find_method(const Value& owner, std::string_view name);
bool changes_its_owner(const Value& owner, std::string_view name);  // list.append and the like

}  // namespace speculators::jinja
