// Attention over pages in AVX2.
#include "kernels/attention_template.h"
#include "kernels/vector_avx2.h"

namespace speculators {

void attend_avx2(const AttentionTask& task) { Attention<Avx2Vector>::attend(task); }

}  // namespace speculators
