// Attention over pages in AVX-512.
#include "kernels/attention_template.h"
#include "kernels/vector_avx512.h"

namespace speculators {

void attend_avx512(const AttentionTask& task) { Attention<Avx512Vector>::attend(task); }

}  // namespace speculators
