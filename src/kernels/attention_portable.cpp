// Attention over pages in plain C++ lanes.
#include "kernels/attention_template.h"
#include "kernels/vector_portable.h"

namespace speculators {

void attend_portable(const AttentionTask& task) { Attention<PortableVector<8>>::attend(task); }

}  // namespace speculators
