// How much memory a training run will need, before it starts. An estimate from sizes, on the safe side of what was
// measured for eagle3 and dflash on a CPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace speculators {

// What the estimate is made from. Counts of elements unless said otherwise.
struct MemoryNeeds {
  int64_t parameters = 0;        // trainable
  int64_t frozen = 0;            // verifier tensors that stay in memory (fp32)
  int64_t optimiser_values = 0;  // moments (fp32)
  int64_t saved_values = 0;      // of one checkpoint (bf16)
  int64_t row_values = 0;        // hidden states of one packed row
  int64_t bytes_per_row_value = 4;
  int64_t rows_in_flight = 0;    // read ahead, being built, being trained on
  int64_t query_rows = 0;        // draft states of one forward pass, all steps or blocks
  int64_t values_per_query = 0;  // kept for the backward pass, all layers
  int64_t vocab_size = 0;        // V: logits of a chunk of rows
};

struct MemoryItem {
  std::string what;
  int64_t bytes = 0;
};

std::vector<MemoryItem> plan_memory(const MemoryNeeds& needs);

// What this process may still take: free memory of the machine, or less where a control group limits it.
int64_t available_memory_bytes();

// Throws UsageError listing the items when they exceed `available_bytes`.
void check_memory(const std::vector<MemoryItem>& items, int64_t available_bytes);

}  // namespace speculators
