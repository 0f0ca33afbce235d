#include "tokenizer/jinja/undeclared.h"

#include "tokenizer/jinja/walk.h"

namespace speculators::jinja {
namespace {

class Finder {
 public:
  explicit Finder(std::set<std::string> names) : names_(std::move(names)) {}

  void visit(Body& body) {
    for (auto& statement : body) std::visit([this](auto& node) { visit_node(node); }, statement.node);
  }
  std::set<std::string> found;

 private:
  void visit(Expr& expr) {
    if (const auto* name = std::get_if<Name>(&expr.node); name != nullptr && names_.contains(name->name)) {
      found.insert(name->name);
    }
    for_each_child(expr, [this](Expr& child) { visit(child); });
  }
  void visit(ExprPtr& expr) {
    if (expr != nullptr) visit(*expr);
  }
  void assign(const Name& name) { names_.erase(name.name); }
  void visit(Target& target) {
    if (auto* name = std::get_if<Name>(&target.node)) assign(*name);
    if (auto* items = std::get_if<std::vector<Target>>(&target.node)) {
      for (auto& item : *items) visit(item);
    }
  }
  void visit(MacroDefinition& definition) {
    for (auto& parameter : definition.parameters) assign(parameter.name);
    for (auto& parameter : definition.parameters) visit(parameter.fallback);
    visit(definition.body);
  }

  void visit_node(Text&) {}
  void visit_node(Break&) {}
  void visit_node(Continue&) {}
  void visit_node(Print& node) { visit(node.value); }
  void visit_node(If& node) {
    visit(node.test);
    visit(node.body);
    for (auto& branch : node.elifs) visit_node(branch);
    visit(node.otherwise);
  }
  void visit_node(For& node) {
    visit(node.target);
    visit(node.iterable);
    visit(node.body);
    visit(node.otherwise);
    visit(node.filter);
  }
  void visit_node(MacroStatement& node) { visit(node.definition); }
  void visit_node(CallBlock& node) {
    visit(node.call);
    visit(node.caller);
  }
  void visit_node(GenerationBlock& node) { visit(node.body); }
  void visit_node(FilterBlock& node) {
    visit(node.body);
    visit(node.filter);
  }
  void visit_node(Assign& node) {
    visit(node.target);
    visit(node.value);
  }
  void visit_node(AssignBlock& node) {
    visit(node.target);
    visit(node.filter);
    visit(node.body);
  }
  void visit_node(With& node) {
    for (auto& [name, value] : node.values) assign(name);
    for (auto& [name, value] : node.values) visit(value);
    visit(node.body);
  }

  std::set<std::string> names_;
};

}  // namespace

std::set<std::string> find_undeclared(Body& body, std::set<std::string> names) {
  Finder finder(std::move(names));
  finder.visit(body);
  return std::move(finder.found);
}

}  // namespace speculators::jinja
