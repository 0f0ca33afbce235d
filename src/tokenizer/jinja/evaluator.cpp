// Expressions. One small function per kind of node.
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/predicates.h"
#include "tokenizer/jinja/renderer.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {

struct ExpressionEvaluator {
  Renderer& renderer;
  Frame& frame;
  int line;

  Value eval(const ExprPtr& expr) const { return renderer.evaluate(*expr, frame); }

  List eval_all(const std::vector<ExprPtr>& exprs) const {
    List items;
    items.reserve(exprs.size());
    for (const auto& expr : exprs) items.push_back(eval(expr));
    return items;
  }

  Value operator()(const Name& node) const {
    const Frame* home = &frame;
    for (int i = 0; i < node.hops; ++i) home = home->parent;
    const Value& value = home->slots[static_cast<size_t>(node.slot)];
    return value.is<Missing>() ? make_undefined_name(node.name) : value;
  }
  Value operator()(const Constant& node) const { return node.value; }
  Value operator()(const TupleExpr& node) const { return make_tuple_value(eval_all(node.items)); }
  Value operator()(const ListExpr& node) const { return Value(eval_all(node.items)); }
  Value operator()(const DictExpr& node) const {
    Dict dict;
    for (const auto& [key, value] : node.items) {
      Value name = eval(key);
      dict.set(std::move(name), eval(value));
    }
    return make_dict_value(std::move(dict));
  }
  Value operator()(const Unary& node) const {
    const Value operand = eval(node.operand);
    if (node.op == UnaryOperator::kNot) return Value(!is_truthy(operand));
    return node.op == UnaryOperator::kNegate ? negate(operand) : plus(operand);
  }
  Value operator()(const Binary& node) const {
    const Value left = eval(node.left);
    return apply(node.op, left, eval(node.right));
  }
  Value operator()(const Logical& node) const {
    Value left = eval(node.left);
    return is_truthy(left) == node.is_and ? eval(node.right) : left;
  }
  Value operator()(const Concat& node) const {
    std::string out;
    for (const auto& part : node.parts) append_text(out, eval(part));
    return Value(std::move(out));
  }
  Value operator()(const Comparison& node) const {
    Value left = eval(node.first);
    for (const auto& [op, expr] : node.rest) {
      Value right = eval(expr);
      if (!holds(op, left, right)) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }
  static bool holds(CompareOperator op, const Value& left, const Value& right) {
    switch (op) {
      case CompareOperator::kEqual:
        return equals(left, right);
      case CompareOperator::kNotEqual:
        return !equals(left, right);
      case CompareOperator::kIn:
        return contains(right, left);
      case CompareOperator::kNotIn:
        return !contains(right, left);
      default:
        return compare(op, left, right);
    }
  }
  Value operator()(const Conditional& node) const {
    if (is_truthy(eval(node.test))) return eval(node.then);
    if (node.otherwise != nullptr) return eval(node.otherwise);
    return make_undefined_hint("the inline if-expression on line " + std::to_string(line) +
                               " evaluated to false and no else section was defined.");
  }
  Value operator()(const AttributeExpr& node) const { return get_attribute(eval(node.owner), node.name); }
  Value operator()(const Subscript& node) const {
    const Value owner = eval(node.owner);
    return get_item(owner, eval(node.item));
  }
  Value operator()(const SliceExpr& node) const {
    const Value owner = eval(node.owner);
    const auto bound = [this](const ExprPtr& expr) { return expr != nullptr ? slice_bound(eval(expr)) : std::nullopt; };
    SliceBounds bounds;
    bounds.start = bound(node.start);
    bounds.stop = bound(node.stop);
    bounds.step = bound(node.step);
    return get_slice(owner, bounds);
  }
  Value operator()(const CallExpr& node) const {
    // A method of plain data is called at once, without an object for it in between.
    if (const auto* attribute = std::get_if<AttributeExpr>(&node.callee->node)) {
      const Value owner = eval(attribute->owner);
      if (!owner.is<ObjectPtr>() && !owner.is<Undefined>()) {
        if (const Method method = find_method(owner, attribute->name)) {
          Arguments arguments = renderer.evaluate_arguments(node.arguments, frame);
          return method(owner, arguments);
        }
      }
      const Value callee = get_attribute(owner, attribute->name);
      return renderer.call(callee, renderer.evaluate_arguments(node.arguments, frame));
    }
    const Value callee = eval(node.callee);
    return renderer.call(callee, renderer.evaluate_arguments(node.arguments, frame));
  }
  Value operator()(const FilterExpr& node) const {
    if (node.filter == nullptr) throw_runtime_error("No filter named '" + node.name + "' found.");
    const Value input = node.input != nullptr ? eval(node.input) : Value(*renderer.block_text_);
    return node.filter(renderer, input, renderer.evaluate_arguments(node.arguments, frame));
  }
  Value operator()(const TestExpr& node) const {
    if (node.test == nullptr) throw_runtime_error("No test named '" + node.name + "' found.");
    const Value input = eval(node.input);
    return Value(node.test(renderer, input, renderer.evaluate_arguments(node.arguments, frame)));
  }
};

Value Renderer::evaluate(const Expr& expr, Frame& frame) {
  check_stack();
  return std::visit(ExpressionEvaluator{*this, frame, expr.line}, expr.node);
}

Arguments Renderer::evaluate_arguments(const CallArguments& arguments, Frame& frame) {
  Arguments out;
  for (const auto& expr : arguments.positional) out.positional.push_back(evaluate(*expr, frame));
  if (arguments.more_positional != nullptr) {
    const Value more = evaluate(*arguments.more_positional, frame);
    if (!is_iterable(more)) throw_type_error("argument after * must be an iterable, not " + type_name(more));
    for (Value& item : to_list(more)) out.positional.push_back(std::move(item));
  }
  for (const auto& [name, expr] : arguments.keywords) out.keywords.emplace_back(name, evaluate(*expr, frame));
  if (arguments.more_keywords != nullptr) {
    const Value more = evaluate(*arguments.more_keywords, frame);
    if (more.dict() == nullptr) throw_type_error("argument after ** must be a mapping, not " + type_name(more));
    for (const auto& [key, value] : more.dict()->entries()) {
      if (key.string() == nullptr) throw_type_error("keywords must be strings");
      out.keywords.emplace_back(*key.string(), value);
    }
  }
  return out;
}

Value Renderer::call(const Value& callee, Arguments arguments) {
  if (const auto* undefined = callee.get_if<Undefined>()) throw_undefined(*undefined);
  Object* object = callee.object();
  if (object == nullptr) throw_type_error("'" + type_name(callee) + "' object is not callable");
  return object->call(*this, std::move(arguments));
}

namespace {

[[noreturn]] void throw_unknown(const char* kind, const Value& name) {
  std::string message = std::string("No ") + kind + " named " + to_repr(name) + ".";
  if (const auto* undefined = name.get_if<Undefined>()) {
    try {
      throw_undefined(*undefined);
    } catch (const TemplateError& error) {
      message += std::string(" (") + error.what() + "; did you forget to quote the callable name?)";
    }
  }
  throw_runtime_error(message);
}

}  // namespace

Value Renderer::call_filter(const Value& name, const Value& input, const Arguments& arguments) {
  const Filter filter = name.string() != nullptr ? find_filter(*name.string()) : nullptr;
  if (filter == nullptr) throw_unknown("filter", name);
  return filter(*this, input, arguments);
}

bool Renderer::call_predicate(const Value& name, const Value& input, const Arguments& arguments) {
  const Predicate predicate = name.string() != nullptr ? find_predicate(*name.string()) : nullptr;
  if (predicate == nullptr) throw_unknown("test", name);
  return predicate(*this, input, arguments);
}

}  // namespace speculators::jinja
