#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace speculators {

Scheduler::Scheduler(int64_t max_sequences, int64_t prefill_chunk)
    : max_sequences_(max_sequences), prefill_chunk_(prefill_chunk) {}

void Scheduler::submit(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }

bool Scheduler::cancel(int64_t request_id) {
  const auto is_meant = [&](const std::unique_ptr<Sequence>& sequence) { return sequence->request.id == request_id; };
  const auto waiting = std::find_if(waiting_.begin(), waiting_.end(), is_meant);
  if (waiting != waiting_.end()) {
    waiting_.erase(waiting);
    return true;
  }
  const auto running = std::find_if(running_.begin(), running_.end(), is_meant);
  if (running == running_.end()) return false;
  running_.erase(running);
  return true;
}

std::vector<Turn>& Scheduler::schedule() {
  while (!waiting_.empty() && num_running() < max_sequences_) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  turns_.clear();
  int64_t prompt_rows_left = prefill_chunk_;
  for (const auto& sequence : running_) {
    Turn turn{.sequence = sequence.get()};
    if (sequence->prompt_left() > 0) {
      turn.num_prompt_rows = std::min(sequence->prompt_left(), prompt_rows_left);
      prompt_rows_left -= turn.num_prompt_rows;
      if (turn.num_prompt_rows == 0) continue;
    }
    turns_.push_back(std::move(turn));
  }
  return turns_;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_finished() {
  std::vector<std::unique_ptr<Sequence>> finished;
  for (auto& sequence : running_) {
    if (sequence->finished()) finished.push_back(std::move(sequence));
  }
  std::erase(running_, nullptr);
  return finished;
}

}  // namespace speculators
