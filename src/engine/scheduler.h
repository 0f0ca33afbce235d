// Who takes part in a round: requests start in the order they came, as many at once as allowed; decoding sequences
// always take part, prompts share `prefill_chunk` rows, the oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/sequence.h"

namespace speculators {

class Scheduler {
 public:
  Scheduler(int64_t max_sequences, int64_t prefill_chunk);

  void submit(std::unique_ptr<Sequence> sequence);
  bool cancel(int64_t request_id);
  bool idle() const { return waiting_.empty() && running_.empty(); }
  int64_t num_running() const { return static_cast<int64_t>(running_.size()); }
  int64_t num_waiting() const { return static_cast<int64_t>(waiting_.size()); }

  // The turns of the next round; valid until the next call. Sequences with a prompt left and no rows to spare are
  // absent.
  std::vector<Turn>& schedule();
  // Takes out what is finished, in the order it was submitted.
  std::vector<std::unique_ptr<Sequence>> take_finished();

 private:
  int64_t max_sequences_, prefill_chunk_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<Turn> turns_;
};

}  // namespace speculators
