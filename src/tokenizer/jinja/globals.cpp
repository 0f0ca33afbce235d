#include "tokenizer/jinja/globals.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <unordered_map>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/renderer.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {
namespace {

Value raise_exception(Renderer&, Arguments arguments) {
  const BoundArguments bound("raise_exception", arguments, {"message"}, 1);
  throw TemplateError(ErrorKind::kRaised, to_text(bound.get(0)));
}

// Python's own additions to the C format: %f microseconds; %z and %Z are empty for a local time without a zone.
std::string expand_python_codes(const std::string& format, int64_t microseconds) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char code = format[++i];
    if (code == 'f') {
      char digits[16];
      std::snprintf(digits, sizeof digits, "%06d", static_cast<int>(microseconds));
      out += digits;
    } else if (code != 'z' && code != 'Z') {
      out += '%';
      out += code;
    }
  }
  return out;
}

Value strftime_now(Renderer&, Arguments arguments) {
  const BoundArguments bound("strftime_now", arguments, {"format"}, 1);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds);
  const std::time_t time = seconds.count();
  std::tm local{};
  localtime_r(&time, &local);
  // The blank in front tells an empty result from a buffer that is too small.
  const std::string format = " " + expand_python_codes(bound.get_string(0), rest.count());
  std::string out(format.size() * 16 + 256, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &local));
  if (out.empty()) throw_value_error("strftime_now: the format is too long");
  return Value(out.substr(1));
}

Value make_range(Renderer&, Arguments arguments) {
  const size_t count = arguments.positional.size();
  if (!arguments.keywords.empty()) throw_type_error("range() takes no keyword arguments");
  if (count == 0) throw_type_error("range expected at least 1 argument, got 0");
  const BoundArguments bound("range", arguments, {"start", "stop", "step"}, 1);
  constexpr Int kBound = Int{1} << 62;
  Int numbers[3];
  for (size_t i = 0; i < 3; ++i) numbers[i] = std::clamp(bound.get_int(i, 1), -kBound, kBound);
  if (numbers[2] == 0) throw_value_error("range() arg 3 must not be zero");
  const auto range = count == 1 ? std::make_shared<RangeObject>(0, numbers[0], 1)
                                : std::make_shared<RangeObject>(numbers[0], numbers[1], numbers[2]);
  if (*range->length() > static_cast<size_t>(kMaxRange)) {
    throw_value_error("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  return Value(ObjectPtr(range));
}

// dict(mapping or pairs, **keywords).
Dict build_dict(const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    throw_type_error("dict expected at most 1 argument, got " + std::to_string(arguments.positional.size()));
  }
  Dict dict;
  if (!arguments.positional.empty() && arguments.positional[0].dict() != nullptr) {
    dict = *arguments.positional[0].dict();
  } else if (!arguments.positional.empty()) {
    for (const Value& pair : to_list(arguments.positional[0])) {
      List items = to_list(pair);
      if (items.size() != 2) throw_value_error("dictionary update sequence element has not length 2");
      dict.set(std::move(items[0]), std::move(items[1]));
    }
  }
  for (const auto& [name, value] : arguments.keywords) dict.set(Value(name), value);
  return dict;
}

Value make_dict(Renderer&, Arguments arguments) { return make_dict_value(build_dict(arguments)); }

Value make_namespace(Renderer& renderer, Arguments arguments) {
  const auto object = std::make_shared<Namespace>();
  object->attributes = build_dict(arguments);
  renderer.keep_namespace(object);
  return Value(ObjectPtr(object));
}

// cycler("a", "b").next(): one after the other, around and around.
struct Cycler : Object, std::enable_shared_from_this<Cycler> {
  explicit Cycler(List items) : items(std::move(items)) {}
  std::string type_name() const override { return "Cycler"; }
  std::string repr() const override { return "<Cycler>"; }
  std::optional<Value> attribute(std::string_view name) override;
  List items;
  size_t position = 0;
};

struct CyclerMethod : Object {
  CyclerMethod(std::shared_ptr<Cycler> cycler, bool is_reset) : cycler(std::move(cycler)), is_reset(is_reset) {}
  std::string type_name() const override { return "method"; }
  std::string repr() const override { return "<bound method Cycler>"; }
  bool is_callable() const override { return true; }
  Value call(Renderer&, Arguments) override {
    if (is_reset) {
      cycler->position = 0;
      return {};
    }
    const Value item = cycler->items[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items.size();
    return item;
  }
  std::shared_ptr<Cycler> cycler;
  bool is_reset;
};

std::optional<Value> Cycler::attribute(std::string_view name) {
  if (name == "current") return items[position];
  if (name == "pos") return Value(position);
  if (name == "items") return make_tuple_value(items);
  if (name != "next" && name != "reset") return std::nullopt;
  return Value(ObjectPtr(std::make_shared<CyclerMethod>(shared_from_this(), name == "reset")));
}

Value make_cycler(Renderer&, Arguments arguments) {
  if (arguments.positional.empty()) throw_runtime_error("at least one item has to be provided");
  return Value(ObjectPtr(std::make_shared<Cycler>(std::move(arguments.positional))));
}

// joiner(", ")(): nothing the first time, the separator from then on.
struct Joiner : Object {
  explicit Joiner(Value separator) : separator(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  std::string repr() const override { return "<Joiner>"; }
  bool is_callable() const override { return true; }
  Value call(Renderer&, Arguments) override {
    if (used) return separator;
    used = true;
    return Value("");
  }
  Value separator;
  bool used = false;
};

Value make_joiner(Renderer&, Arguments arguments) {
  const BoundArguments bound("joiner", arguments, {"sep"}, 0);
  return Value(ObjectPtr(std::make_shared<Joiner>(bound.get_or(0, Value(", ")))));
}

Value lipsum(Renderer&, Arguments) { throw_runtime_error("lipsum() is not available in chat templates"); }

Value function(const char* name, Function::Body body, bool is_class) {
  return Value(ObjectPtr(std::make_shared<Function>(name, body, is_class)));
}

}  // namespace

Value find_global(const std::string& name) {
  static const auto* globals = new std::unordered_map<std::string, Value>{
      {"cycler", function("jinja2.utils.Cycler", make_cycler, true)},
      {"dict", function("dict", make_dict, true)},
      {"joiner", function("jinja2.utils.Joiner", make_joiner, true)},
      {"lipsum", function("generate_lorem_ipsum", lipsum, false)},
      {"namespace", function("jinja2.utils.Namespace", make_namespace, true)},
      {"raise_exception", function("raise_exception", raise_exception, false)},
      {"range", function("safe_range", make_range, false)},
      {"strftime_now", function("strftime_now", strftime_now, false)},
  };
  const auto found = globals->find(name);
  return found != globals->end() ? found->second : Value(Missing{});
}

}  // namespace speculators::jinja
