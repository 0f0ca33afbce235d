// The instruction set whose kernels run in this process: the best one that the processor and the build offer.
// SPECULATORS_ISA=portable|avx2|avx512 asks for another one. All give the same bits; they differ in speed only.
#pragma once

#include <string_view>
#include <vector>

namespace speculators {

enum class Isa { kPortable, kAvx2, kAvx512 };

std::string_view isa_name(Isa isa);
// Those this processor can run, slowest first.
std::vector<Isa> list_usable_isas();
bool processor_has(Isa isa);
// Read once. Throws UsageError for an unknown name and for one that this processor lacks.
Isa current_isa();

// Tells the processor that this thread spins.
void pause_processor();

}  // namespace speculators
