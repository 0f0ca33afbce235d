#include "tokenizer/jinja/filters.h"

#include <unordered_map>

#include "tokenizer/jinja/filter_lists.h"

namespace speculators::jinja {

Filter find_filter(std::string_view name) {
  static const auto* filters = [] {
    auto* map = new std::unordered_map<std::string_view, Filter>();
    for (const auto& list : {text_filters(), number_filters(), sequence_filters(), selection_filters()}) {
      for (const NamedFilter& row : list) map->emplace(row.name, row.filter);
    }
    return map;
  }();
  const auto found = filters->find(name);
  return found != filters->end() ? found->second : nullptr;
}

}  // namespace speculators::jinja
