// Statements, scopes and assignment.
#include "tokenizer/jinja/renderer.h"

#include <cstdlib>

#include "tokenizer/jinja/globals.h"
#include "tokenizer/jinja/loop.h"
#include "tokenizer/jinja/macro.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {
namespace {

constexpr std::ptrdiff_t kMaxStackBytes = 3 << 20;

// The items of `source` that pass the `if` of a for block.
struct FilteredIterator : Iterator {
  FilteredIterator(IteratorPtr source, std::function<bool(const Value&)> passes)
      : source(std::move(source)), passes(std::move(passes)) {}
  bool next(Value& item) override {
    while (source->next(item)) {
      if (passes(item)) return true;
    }
    return false;
  }
  IteratorPtr source;
  std::function<bool(const Value&)> passes;
};

List unpack(const Value& value, size_t count) {
  if (!is_iterable(value)) throw_type_error("cannot unpack non-iterable " + type_name(value) + " object");
  List items = to_list(value);
  if (items.size() < count) {
    throw_value_error("not enough values to unpack (expected " + std::to_string(count) + ", got " +
                      std::to_string(items.size()) + ")");
  }
  if (items.size() > count) throw_value_error("too many values to unpack (expected " + std::to_string(count) + ")");
  return items;
}

Frame& home_of(const Name& name, Frame& frame) {
  Frame* home = &frame;
  for (int i = 0; i < name.hops; ++i) home = home->parent;
  return *home;
}

Value& slot_of(const Name& name, Frame& frame) { return home_of(name, frame).slots[static_cast<size_t>(name.slot)]; }

}  // namespace

Renderer::Renderer(const Template& parsed, const Variables& variables) : parsed_(parsed), variables_(variables) {}

Renderer::~Renderer() {
  for (const auto& weak : namespaces_) {
    if (const auto object = weak.lock()) static_cast<Namespace&>(*object).attributes = Dict();
  }
}

std::string Renderer::render() {
  const char here = 0;
  stack_base_ = &here;
  std::string out;
  Frame& frame = keep_frame(parsed_.scope, nullptr);
  enter(frame);
  run(parsed_.body, frame, out);
  return out;
}

void Renderer::check_stack() const {
  const char here = 0;
  if (std::abs(stack_base_ - &here) > kMaxStackBytes) throw_runtime_error("maximum recursion depth exceeded");
}

void Renderer::count_step() {
  if (++steps_ > kMaxLoopSteps) throw_runtime_error("the loops of the template ran more than 200 million times");
}

void Renderer::keep_namespace(std::weak_ptr<Object> object) { namespaces_.push_back(std::move(object)); }

Frame& Renderer::keep_frame(const Scope& scope, Frame* parent) {
  return *kept_frames_.emplace_back(std::make_unique<Frame>(scope, parent));
}

Value Renderer::look_up(const std::string& name) const {
  const auto found = variables_.find(name);
  return found != variables_.end() ? found->second : find_global(name);
}

void Renderer::enter(Frame& frame) {
  for (size_t i = 0; i < frame.slots.size(); ++i) {
    const Slot& slot = frame.scope->slots[i];
    switch (slot.start) {
      case Slot::Start::kParameter:
        break;
      case Slot::Start::kUndefined:
        frame.slots[i] = Missing{};
        break;
      case Slot::Start::kResolve:
        frame.slots[i] = look_up(slot.name);
        break;
      case Slot::Start::kAlias:
        frame.slots[i] = slot_of(Name{slot.name, slot.hops, slot.slot}, frame);
        break;
    }
  }
}

Flow Renderer::run(const Body& body, Frame& frame, std::string& out) {
  for (const Statement& statement : body) {
    const Flow flow = run(statement, frame, out);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Flow Renderer::run(const Statement& statement, Frame& frame, std::string& out) {
  struct Runner {
    Renderer& renderer;
    Frame& frame;
    std::string& out;
    Flow done() const { return Flow::kNormal; }
    Flow operator()(const Text& node) const { return out += node.text, done(); }
    Flow operator()(const Print& node) const { return append_text(out, renderer.evaluate(*node.value, frame)), done(); }
    Flow operator()(const If& node) const { return renderer.run_if(node, frame, out); }
    Flow operator()(const For& node) const { return renderer.run_for(node, frame, out); }
    Flow operator()(const MacroStatement& node) const {
      slot_of(node.name, frame) = Value(ObjectPtr(std::make_shared<Macro>(node.definition, frame)));
      return done();
    }
    Flow operator()(const CallBlock& node) const { return renderer.run_call_block(node, frame, out), done(); }
    Flow operator()(const GenerationBlock& node) const {
      return renderer.run_in_scope(node.body, node.scope, frame, out);
    }
    Flow operator()(const FilterBlock& node) const { return renderer.run_filter_block(node, frame, out); }
    Flow operator()(const Assign& node) const { return renderer.run_assign(node, frame), done(); }
    Flow operator()(const AssignBlock& node) const { return renderer.run_assign_block(node, frame); }
    Flow operator()(const With& node) const { return renderer.run_with(node, frame, out); }
    Flow operator()(const Break&) const { return Flow::kBreak; }
    Flow operator()(const Continue&) const { return Flow::kContinue; }
  };
  check_stack();
  try {
    const Flow flow = std::visit(Runner{*this, frame, out}, statement.node);
    check_text_size(out.size());
    return flow;
  } catch (TemplateError& error) {
    if (error.line == 0) error.line = statement.line;
    throw;
  }
}

Flow Renderer::run_if(const If& node, Frame& frame, std::string& out) {
  if (is_truthy(evaluate(*node.test, frame))) return run(node.body, frame, out);
  for (const If& branch : node.elifs) {
    if (is_truthy(evaluate(*branch.test, frame))) return run(branch.body, frame, out);
  }
  return run(node.otherwise, frame, out);
}

Flow Renderer::run_for(const For& node, Frame& frame, std::string& out) {
  const Value iterable = evaluate(*node.iterable, frame);
  return run_loop(node, iterable, frame, 0, out);
}

std::string Renderer::run_recursive_loop(const For& node, const Value& iterable, Frame& outer, int depth) {
  if (depth > kMaxCallDepth) throw_runtime_error("maximum recursion depth exceeded");
  std::string out;
  run_loop(node, iterable, outer, depth, out);
  return out;
}

Flow Renderer::run_loop(const For& node, const Value& iterable, Frame& outer, int depth, std::string& out) {
  IteratorPtr source = iterate(iterable);
  std::optional<size_t> length = find_length(iterable);
  if (node.filter != nullptr) {
    Frame& test_frame = keep_frame(node.filter_scope, &outer);
    length.reset();
    source = std::make_unique<FilteredIterator>(std::move(source), [this, &node, &test_frame](const Value& item) {
      enter(test_frame);
      assign(node.filter_target, item, test_frame);
      return is_truthy(evaluate(*node.filter, test_frame));
    });
  }
  const auto loop = std::make_shared<LoopObject>(std::move(source), length, node, outer, depth);
  return with_frame(*this, node.scope, &outer, [&](Frame& frame) {
    bool completed_one = false;
    for (Value item; loop->next(item);) {
      count_step();
      enter(frame);
      if (node.loop_slot >= 0) frame.slots[static_cast<size_t>(node.loop_slot)] = Value(ObjectPtr(loop));
      assign(node.target, item, frame);
      const Flow flow = run(node.body, frame, out);
      if (flow == Flow::kBreak) break;
      // Jinja counts only rounds that reach the end of the body: one cut short by `continue` leaves `else` to run.
      completed_one = completed_one || flow == Flow::kNormal;
    }
    loop->last_changed.reset();
    if (completed_one || node.otherwise.empty()) return Flow::kNormal;
    return run_in_scope(node.otherwise, node.otherwise_scope, outer, out);
  });
}

Flow Renderer::run_in_scope(const Body& body, const Scope& scope, Frame& outer, std::string& out) {
  return with_frame(*this, scope, &outer, [&](Frame& frame) {
    enter(frame);
    return run(body, frame, out);
  });
}

std::string Renderer::run_macro(const MacroDefinition& definition, Frame& closure, Frame& frame) {
  if (++call_depth_ > kMaxCallDepth) throw_runtime_error("maximum recursion depth exceeded");
  enter(frame);
  for (const auto& parameter : definition.parameters) {
    Value& slot = slot_of(parameter.name, frame);
    if (!slot.is<Missing>()) continue;
    const std::string& name = parameter.name.name;
    slot = parameter.fallback != nullptr ? evaluate(*parameter.fallback, frame)
                                         : make_undefined_hint("parameter '" + name + "' was not provided");
  }
  std::string out;
  run(definition.body, frame, out);
  --call_depth_;
  return out;
}

void Renderer::run_call_block(const CallBlock& node, Frame& frame, std::string& out) {
  const auto& call_node = std::get<CallExpr>(node.call->node);
  const Value callee = evaluate(*call_node.callee, frame);
  Arguments arguments = evaluate_arguments(call_node.arguments, frame);
  arguments.keywords.emplace_back("caller", Value(ObjectPtr(std::make_shared<Macro>(node.caller, frame))));
  append_text(out, call(callee, std::move(arguments)));
}

Value Renderer::apply_filters(const Expr& filter, const std::string& text, Frame& frame) {
  const std::string* outer_text = block_text_;
  block_text_ = &text;
  Value result = evaluate(filter, frame);
  block_text_ = outer_text;
  return result;
}

// A `break` or `continue` inside a captured block leaves without its text, as in Jinja.
Flow Renderer::run_filter_block(const FilterBlock& node, Frame& outer, std::string& out) {
  return with_frame(*this, node.scope, &outer, [&](Frame& frame) {
    enter(frame);
    std::string text;
    const Flow flow = run(node.body, frame, text);
    if (flow == Flow::kNormal) append_text(out, apply_filters(*node.filter, text, frame));
    return flow;
  });
}

void Renderer::run_assign(const Assign& node, Frame& frame) {
  check_namespaces(node.target, frame);
  assign(node.target, evaluate(*node.value, frame), frame);
}

Flow Renderer::run_assign_block(const AssignBlock& node, Frame& outer) {
  return with_frame(*this, node.scope, &outer, [&](Frame& frame) {
    enter(frame);
    std::string text;
    const Flow flow = run(node.body, frame, text);
    if (flow != Flow::kNormal) return flow;
    assign(node.target, node.filter != nullptr ? apply_filters(*node.filter, text, frame) : Value(text), outer);
    return flow;
  });
}

Flow Renderer::run_with(const With& node, Frame& outer, std::string& out) {
  return with_frame(*this, node.scope, &outer, [&](Frame& frame) {
    enter(frame);
    for (const auto& [name, expr] : node.values) slot_of(name, frame) = evaluate(*expr, outer);
    return run(node.body, frame, out);
  });
}

void Renderer::check_namespaces(const Target& target, Frame& frame) {
  if (const auto* place = std::get_if<NamespaceTarget>(&target.node)) {
    if (slot_of(place->name, frame).object_as<Namespace>() == nullptr) {
      throw_runtime_error("cannot assign attribute on non-namespace object");
    }
  }
  if (const auto* items = std::get_if<std::vector<Target>>(&target.node)) {
    for (const auto& item : *items) check_namespaces(item, frame);
  }
}

void Renderer::assign(const Target& target, const Value& value, Frame& frame) {
  if (const auto* name = std::get_if<Name>(&target.node)) {
    slot_of(*name, frame) = value;
  } else if (const auto* place = std::get_if<NamespaceTarget>(&target.node)) {
    auto* object = slot_of(place->name, frame).object_as<Namespace>();
    if (object == nullptr) throw_runtime_error("cannot assign attribute on non-namespace object");
    object->attributes.set(Value(place->attribute), value);
  } else {
    const auto& targets = std::get<std::vector<Target>>(target.node);
    const List items = unpack(value, targets.size());
    for (size_t i = 0; i < targets.size(); ++i) assign(targets[i], items[i], frame);
  }
}

}  // namespace speculators::jinja
