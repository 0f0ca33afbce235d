#include "kernels/isa.h"

#include <cstdlib>
#include <string>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr Isa kAllIsas[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512};

std::string list_usable_names() {
  std::string names;
  for (const Isa isa : list_usable_isas()) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

Isa choose_isa() {
  const std::vector<Isa> usable = list_usable_isas();
  const char* wanted = std::getenv("SPECULATORS_ISA");
  if (wanted == nullptr || *wanted == '\0') return usable.back();
  for (const Isa isa : usable) {
    if (isa_name(isa) == wanted) return isa;
  }
  throw UsageError("SPECULATORS_ISA: expected one of " + list_usable_names() + " on this processor, got '" + wanted +
                   "'; unset it to take the fastest");
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    default:
      return "portable";
  }
}

std::vector<Isa> list_usable_isas() {
  std::vector<Isa> usable;
  for (const Isa isa : kAllIsas) {
    if (processor_has(isa)) usable.push_back(isa);
  }
  return usable;
}

Isa current_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

}  // namespace speculators
