// Macros and the bodies of call blocks as callable values.
#pragma once

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/renderer.h"

namespace speculators::jinja {

struct Macro : Object {
  Macro(const MacroDefinition& definition, Frame& closure) : definition(definition), closure(closure) {}
  std::string type_name() const override { return "Macro"; }
  std::string repr() const override;
  std::optional<Value> attribute(std::string_view name) override;
  bool is_callable() const override { return true; }
  Value call(Renderer& renderer, Arguments arguments) override;
  const MacroDefinition& definition;
  Frame& closure;

 private:
  void bind(Frame& frame, Arguments arguments) const;
};

}  // namespace speculators::jinja
