// `stitch-mtp`: a trained MTP head goes back into a copy of its verifier's folder, under the family's own names, so
// that vLLM serves it as the verifier's native head. Source: reference pipeline.md 4.6, vllm_contract.md 2.6.
#pragma once

#include <cstdint>

#include "base/files.h"

namespace speculators {

struct StitchReport {
  int64_t num_tensors = 0;  // replaced
  int64_t num_shards = 0;   // rewritten; every other file is a copy
};

// The output folder appears whole or not at all; an earlier model folder of that name is replaced. Throws UsageError
// when the folders are not three different ones, or the output is something else than a model folder; DataError listing
// every tensor of the head that the verifier lacks, has in another shape or as quantised numbers, or has beyond the
// head's.
StitchReport stitch_mtp(const fs::path& speculator_folder, const fs::path& verifier_folder,
                        const fs::path& output_folder);

}  // namespace speculators
