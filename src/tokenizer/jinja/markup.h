// HTML escaping as the `escape` filter does it.
#pragma once

#include <string>
#include <string_view>

namespace speculators::jinja {

std::string escape_html(std::string_view text);

}  // namespace speculators::jinja
