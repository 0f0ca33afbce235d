// The variable `loop` inside a for block: position, neighbours, length, recursion.
#pragma once

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/renderer.h"

namespace speculators::jinja {

struct LoopObject : Object, std::enable_shared_from_this<LoopObject> {
  // `length`: where it is known beforehand. `node` and `outer` serve recursive loops.
  LoopObject(IteratorPtr source, std::optional<size_t> length, const For& node, Frame& outer, int depth)
      : source(std::move(source)), known_length(length), node(node), outer(outer), depth(depth) {}

  bool next(Value& item);  // moves to the next item

  std::string type_name() const override { return "LoopContext"; }
  std::string repr() const override { return "<LoopContext>"; }
  std::optional<Value> attribute(std::string_view name) override;
  std::optional<size_t> length() override;
  bool is_callable() const override { return true; }
  Value call(Renderer& renderer, Arguments arguments) override;
  bool has_next();
  bool changed(List values);

  IteratorPtr source;
  std::optional<size_t> known_length;
  const For& node;
  Frame& outer;
  int depth;  // 0 outside of any recursion
  int64_t index = -1;
  Value previous, current;
  std::optional<Value> upcoming;  // read ahead of time
  std::optional<List> last_changed;
};

}  // namespace speculators::jinja
