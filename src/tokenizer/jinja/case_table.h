// Letters whose upper or title case is more than one letter, such as the German sharp s.
#pragma once

namespace speculators::jinja {

struct LongCase {
  char32_t letter;
  char32_t mapped[3];  // ends with 0 when shorter
};

const LongCase* find_long_upper(char32_t letter);  // null: one letter only
const LongCase* find_long_title(char32_t letter);

}  // namespace speculators::jinja
