// The tables that find_filter searches, one per file of filters.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

std::span<const NamedFilter> text_filters();
std::span<const NamedFilter> number_filters();
std::span<const NamedFilter> sequence_filters();
std::span<const NamedFilter> selection_filters();

}  // namespace speculators::jinja
