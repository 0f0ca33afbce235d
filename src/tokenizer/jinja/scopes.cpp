#include "tokenizer/jinja/scopes.h"

#include <algorithm>

#include "tokenizer/jinja/symbols.h"
#include "tokenizer/jinja/undeclared.h"
#include "tokenizer/jinja/walk.h"

namespace speculators::jinja {
namespace {

// First pass over one scope: collects the names its statements read and assign, without entering inner scopes.
class Collector {
 public:
  explicit Collector(Symbols& symbols) : symbols_(&symbols) {}

  void visit(Body& body) {
    for (auto& statement : body) std::visit([this](auto& node) { visit_node(node); }, statement.node);
  }
  void visit(ExprPtr& expr) {
    if (expr != nullptr) visit(*expr);
  }
  void declare(const Target& target) {
    if (const auto* name = std::get_if<Name>(&target.node)) symbols_->declare_parameter(name->name);
    if (const auto* items = std::get_if<std::vector<Target>>(&target.node)) {
      for (const auto& item : *items) declare(item);
    }
  }

 private:
  void visit(Expr& expr) {
    if (const auto* name = std::get_if<Name>(&expr.node)) symbols_->load(name->name);
    for_each_child(expr, [this](Expr& child) { visit(child); });
  }
  void store(const Target& target) {
    if (const auto* name = std::get_if<Name>(&target.node)) symbols_->store(name->name);
    if (const auto* place = std::get_if<NamespaceTarget>(&target.node)) symbols_->load(place->name.name);
    if (const auto* items = std::get_if<std::vector<Target>>(&target.node)) {
      for (const auto& item : *items) store(item);
    }
  }

  void visit_node(Text&) {}
  void visit_node(Break&) {}
  void visit_node(Continue&) {}
  void visit_node(GenerationBlock&) {}
  void visit_node(Print& node) { visit(node.value); }
  void visit_node(If& node) {
    visit(node.test);
    Symbols* before = symbols_;
    std::vector<Symbols> branches(3, *before);
    symbols_ = &branches[0];
    visit(node.body);
    symbols_ = &branches[1];
    for (auto& branch : node.elifs) visit_node(branch);
    symbols_ = &branches[2];
    visit(node.otherwise);
    symbols_ = before;
    symbols_->merge_branches(branches);
  }
  void visit_node(For& node) { visit(node.iterable); }
  void visit_node(MacroStatement& node) { symbols_->store(node.name.name); }
  void visit_node(CallBlock& node) { visit(node.call); }
  void visit_node(FilterBlock& node) { visit(node.filter); }
  void visit_node(Assign& node) {
    visit(node.value);
    store(node.target);
  }
  void visit_node(AssignBlock& node) { store(node.target); }
  void visit_node(With& node) {
    for (auto& [name, value] : node.values) visit(value);
  }

  Symbols* symbols_;
};

// Second pass: gives every name its slot and enters inner scopes.
class Binder {
 public:
  // `is_soft`: inside an `if`, where an unknown filter or test is an error only once it is used.
  explicit Binder(Symbols& symbols, int loops = 0) : symbols_(symbols), loops_(loops) {}

  void bind(Body& body, bool is_soft = false) {
    for (auto& statement : body) {
      line_ = statement.line;
      std::visit([&](auto& node) { bind_node(node, is_soft); }, statement.node);
    }
  }
  void bind(ExprPtr& expr, bool is_soft = false) {
    if (expr != nullptr) bind(*expr, is_soft);
  }
  void bind(Target& target) {
    line_ = target.line;
    if (auto* name = std::get_if<Name>(&target.node)) bind_store(*name);
    if (auto* place = std::get_if<NamespaceTarget>(&target.node)) bind(place->name);
    if (auto* items = std::get_if<std::vector<Target>>(&target.node)) {
      for (auto& item : *items) bind(item);
    }
  }

 private:
  void bind(Name& name) {
    const auto found = symbols_.find(name.name);
    name.hops = found->hops;
    name.slot = found->slot;
  }
  void bind_store(Name& name) {
    if (loops_ > 0 && name.name == "loop") {
      throw TemplateError(ErrorKind::kSyntax, "Can't assign to special loop variable in for-loop target", line_);
    }
    bind(name);
  }

  template <class Node>
  static void check_known(const Node& node, bool is_known, const char* kind, int line) {
    if (!is_known)
      throw TemplateError(ErrorKind::kSyntax, std::string("No ") + kind + " named '" + node.name + "'.", line);
  }

  void bind(Expr& expr, bool is_soft) {
    if (auto* name = std::get_if<Name>(&expr.node)) bind(*name);
    if (auto* filter = std::get_if<FilterExpr>(&expr.node); filter != nullptr && !is_soft) {
      check_known(*filter, filter->filter != nullptr, "filter", expr.line);
    }
    if (auto* test = std::get_if<TestExpr>(&expr.node); test != nullptr && !is_soft) {
      check_known(*test, test->test != nullptr, "test", expr.line);
    }
    const bool softens = is_soft || std::holds_alternative<Conditional>(expr.node);
    for_each_child(expr, [&](Expr& child) { bind(child, softens); });
  }

  void bind_node(Text&, bool) {}
  void bind_node(Break&, bool) {}
  void bind_node(Continue&, bool) {}
  void bind_node(Print& node, bool is_soft) { bind(node.value, is_soft); }
  void bind_node(If& node, bool) {
    bind(node.test, true);
    bind(node.body, true);
    for (auto& branch : node.elifs) bind_node(branch, true);
    bind(node.otherwise, true);
  }
  void bind_node(Assign& node, bool is_soft) {
    bind(node.value, is_soft);
    bind(node.target);
  }

  void bind_node(For& node, bool is_soft) {
    bind(node.iterable, is_soft);
    // The variable `loop` may be kept somewhere and used after the loop.
    if (node.is_recursive || node.filter != nullptr) symbols_.mark_closure();
    if (node.filter != nullptr) {
      Symbols symbols(node.filter_scope, &symbols_);
      Collector collector(symbols);
      collector.declare(node.filter_target);
      collector.visit(node.filter);
      symbols.finish();
      Binder inner(symbols, loops_ + 1);
      inner.bind(node.filter_target);
      inner.bind(node.filter);
    }
    Symbols symbols(node.scope, &symbols_);
    const bool uses_loop = node.is_recursive || !find_undeclared(node.body, {"loop"}).empty();
    if (uses_loop) node.loop_slot = symbols.declare_parameter("loop");
    Collector collector(symbols);
    collector.declare(node.target);
    collector.visit(node.body);
    symbols.finish();
    Binder inner(symbols, loops_ + 1);
    inner.bind(node.target);
    inner.bind(node.body);
    if (!node.otherwise.empty()) bind_scope(node.otherwise_scope, node.otherwise);
  }

  void bind_scope(Scope& scope, Body& body) {
    Symbols symbols(scope, &symbols_);
    Collector(symbols).visit(body);
    symbols.finish();
    Binder(symbols, loops_).bind(body);
  }

  void bind_definition(MacroDefinition& definition) {
    Symbols symbols(definition.scope, &symbols_);
    symbols_.mark_closure();
    for (auto& parameter : definition.parameters) symbols.declare_parameter(parameter.name.name);
    Collector collector(symbols);
    for (auto& parameter : definition.parameters) collector.visit(parameter.fallback);
    collector.visit(definition.body);
    declare_specials(definition, symbols);
    symbols.finish();
    Binder inner(symbols, loops_);
    for (auto& parameter : definition.parameters) inner.bind(parameter.name);
    for (auto& parameter : definition.parameters) inner.bind(parameter.fallback);
    inner.bind(definition.body);
  }

  // A macro that reads caller, kwargs or varargs receives them.
  void declare_specials(MacroDefinition& definition, Symbols& symbols) {
    const auto used = find_undeclared(definition.body, {"caller", "kwargs", "varargs"});
    const auto find_parameter = [&](std::string_view name) {
      return std::ranges::find_if(definition.parameters, [&](const Parameter& p) { return p.name.name == name; });
    };
    const auto caller = find_parameter("caller");
    definition.has_explicit_caller = caller != definition.parameters.end();
    if (used.contains("caller")) {
      if (!definition.has_explicit_caller) {
        definition.caller_slot = symbols.declare_parameter("caller");
      } else if (caller->fallback == nullptr) {
        throw TemplateError(ErrorKind::kSyntax,
                            "When defining macros or call blocks the special \"caller\" argument must be omitted or be "
                            "given a default.",
                            line_);
      }
    }
    const auto takes = [&](const char* name) {
      return used.contains(name) && find_parameter(name) == definition.parameters.end();
    };
    if (takes("kwargs")) definition.kwargs_slot = symbols.declare_parameter("kwargs");
    if (takes("varargs")) definition.varargs_slot = symbols.declare_parameter("varargs");
  }

  void bind_node(MacroStatement& node, bool) {
    bind_definition(node.definition);
    bind(node.name);
  }
  void bind_node(CallBlock& node, bool is_soft) {
    bind_definition(node.caller);
    bind(node.call, is_soft);
  }
  void bind_node(GenerationBlock& node, bool) { bind_scope(node.scope, node.body); }
  void bind_node(FilterBlock& node, bool) {
    Symbols symbols(node.scope, &symbols_);
    Collector collector(symbols);
    collector.visit(node.body);
    collector.visit(node.filter);
    symbols.finish();
    Binder inner(symbols, loops_);
    inner.bind(node.body);
    inner.bind(node.filter);
  }
  void bind_node(AssignBlock& node, bool) {
    Symbols symbols(node.scope, &symbols_);
    Collector collector(symbols);
    collector.visit(node.body);
    // The filter's own arguments were not collected by Jinja either; they must be known outside or in the body.
    collector.visit(node.filter);
    symbols.finish();
    Binder inner(symbols, loops_);
    inner.bind(node.body);
    inner.bind(node.filter);
    bind(node.target);
  }
  void bind_node(With& node, bool is_soft) {
    for (auto& [name, value] : node.values) bind(value, is_soft);
    Symbols symbols(node.scope, &symbols_);
    for (auto& [name, value] : node.values) symbols.declare_parameter(name.name);
    Collector(symbols).visit(node.body);
    symbols.finish();
    Binder inner(symbols, loops_);
    for (auto& [name, value] : node.values) inner.bind(name);
    inner.bind(node.body);
  }

  Symbols& symbols_;
  int loops_;
  int line_ = 0;
};

}  // namespace

void bind_names(Template& parsed) {
  Symbols symbols(parsed.scope, nullptr);
  Collector(symbols).visit(parsed.body);
  symbols.finish();
  Binder(symbols).bind(parsed.body);
}

}  // namespace speculators::jinja
