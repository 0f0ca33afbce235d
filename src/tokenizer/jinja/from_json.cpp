#include "tokenizer/jinja/from_json.h"

#include <nlohmann/json.hpp>

namespace speculators::jinja {
namespace {

Value convert(const Json& json, int depth) {
  if (depth > kMaxNesting) throw_runtime_error("data nested more than 400 deep");
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return Value(static_cast<Int>(json.get<uint64_t>()));
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      List items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(convert(item, depth + 1));
      return Value(std::move(items));
    }
    case Json::value_t::object: {
      Dict dict;
      for (const auto& [key, value] : json.items()) dict.set(Value(key), convert(value, depth + 1));
      return make_dict_value(std::move(dict));
    }
    default:
      return {};
  }
}

}  // namespace

Value from_json(const Json& json) { return convert(json, 0); }

}  // namespace speculators::jinja
