// Runs a template: one Renderer per render, on one thread. The template itself is only read and may be shared.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

using Variables = std::unordered_map<std::string, Value>;

// The variables of one entered scope.
struct Frame {
  Frame(const Scope& scope, Frame* parent) : scope(&scope), parent(parent), slots(scope.slots.size(), Missing{}) {}
  const Scope* scope;
  Frame* parent;
  std::vector<Value> slots;
};

enum class Flow { kNormal, kBreak, kContinue };

class Renderer {
 public:
  // `variables` are what the caller passes in; the globals (range, namespace, ...) stand behind them.
  Renderer(const Template& parsed, const Variables& variables);
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;
  ~Renderer();

  std::string render();

  // For filters, macros and loops.
  Value call(const Value& callee, Arguments arguments);
  Value call_filter(const Value& name, const Value& input, const Arguments& arguments);
  bool call_predicate(const Value& name, const Value& input, const Arguments& arguments);
  std::string run_macro(const MacroDefinition& definition, Frame& closure, Frame& frame);
  std::string run_recursive_loop(const For& node, const Value& iterable, Frame& outer, int depth);
  Frame& keep_frame(const Scope& scope, Frame* parent);  // lives as long as the renderer
  void enter(Frame& frame);                              // sets all slots but parameters to their start
  void count_step();                                     // throws when all loops together ran too long
  void keep_namespace(std::weak_ptr<Object> object);     // emptied at the end, so that cycles do not leak
  Value evaluate(const Expr& expr, Frame& frame);

 private:
  friend struct ExpressionEvaluator;
  Flow run(const Body& body, Frame& frame, std::string& out);
  Flow run(const Statement& statement, Frame& frame, std::string& out);
  Flow run_if(const If& node, Frame& frame, std::string& out);
  Flow run_for(const For& node, Frame& frame, std::string& out);
  Flow run_loop(const For& node, const Value& iterable, Frame& outer, int depth, std::string& out);
  Flow run_in_scope(const Body& body, const Scope& scope, Frame& frame, std::string& out);
  void run_call_block(const CallBlock& node, Frame& frame, std::string& out);
  Flow run_filter_block(const FilterBlock& node, Frame& frame, std::string& out);
  void run_assign(const Assign& node, Frame& frame);
  Flow run_assign_block(const AssignBlock& node, Frame& frame);
  Flow run_with(const With& node, Frame& frame, std::string& out);
  void assign(const Target& target, const Value& value, Frame& frame);
  void check_namespaces(const Target& target, Frame& frame);
  Arguments evaluate_arguments(const CallArguments& arguments, Frame& frame);
  Value apply_filters(const Expr& filter, const std::string& text, Frame& frame);
  Value look_up(const std::string& name) const;
  void check_stack() const;

  const Template& parsed_;
  const Variables& variables_;
  std::vector<std::unique_ptr<Frame>> kept_frames_;
  std::vector<std::weak_ptr<Object>> namespaces_;
  const std::string* block_text_ = nullptr;  // the input of a filter without one
  const char* stack_base_ = nullptr;
  int call_depth_ = 0;
  long long steps_ = 0;
};

// Runs a scope's body with a frame that outlives it only where a macro may still need it.
template <class Use>
auto with_frame(Renderer& renderer, const Scope& scope, Frame* parent, Use&& use) {
  if (scope.has_closures) return use(renderer.keep_frame(scope, parent));
  Frame frame(scope, parent);
  return use(frame);
}

}  // namespace speculators::jinja
