#include "kernels/compute_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "kernels/isa.h"
#include "kernels/processors.h"

namespace speculators {
namespace {

constexpr int kMaxThreads = 4096;
// Waiting: first spin, then offer the processor to others between looks, at last sleep (workers only).
constexpr int kSpinsBeforeYield = 2000;
constexpr auto kIdleBeforeSleep = std::chrono::microseconds(1000);

// Bounded spinning: on a busy machine the thread we wait for may need our processor.
class Waiter {
 public:
  void wait() {
    if (++spins_ < kSpinsBeforeYield) {
      pause_processor();
    } else {
      sched_yield();
    }
  }
  bool spins_long() const { return spins_ >= kSpinsBeforeYield; }

 private:
  int spins_ = 0;
};

int default_num_threads() {
  const char* text = std::getenv("SPECULATORS_NUM_THREADS");
  if (text == nullptr || *text == '\0') return count_usable_cores();
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end != '\0' || value < 1 || value > kMaxThreads) {
    throw UsageError("SPECULATORS_NUM_THREADS: expected a number from 1 to " + std::to_string(kMaxThreads) + ", got '" +
                     text + "'; unset it to use all cores");
  }
  return static_cast<int>(value);
}

// Set while this thread runs a body: a region inside a region runs on the thread that meets it.
thread_local bool inside_region = false;

}  // namespace

// One region: `ticket_` names it (a running number and how many parts it has). Part i belongs to thread i, but the
// caller takes over parts that nobody has begun, so a worker that sleeps or waits for a processor never holds the
// region up.
struct ComputePool::State {
  // A worker's words live on a cache line of their own.
  struct alignas(64) Slot {
    std::atomic<uint64_t> claimed{0};  // number of the last region whose part was begun
    std::atomic<uint64_t> done{0};     // number of the last region whose part was finished by the worker
  };
  static constexpr int kPartBits = 16;

  alignas(64) std::atomic<uint64_t> ticket{0};
  Function function = nullptr;  // function .. num_parts: the region; stable until all its parts are done
  void* context = nullptr;
  int64_t count = 0;
  int num_parts = 0;
  alignas(64) std::atomic<bool> busy{false};
  std::atomic<int> num_sleeping{0};
  std::atomic<bool> stopping{false};
  uint64_t region = 0;  // the caller's running number
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Slot> slots;  // one per thread; the caller's is unused
  std::vector<std::thread> workers;

  explicit State(int num_threads) : slots(static_cast<size_t>(num_threads)) {}

  bool claim(int part, uint64_t number) {
    std::atomic<uint64_t>& claimed = slots[static_cast<size_t>(part)].claimed;
    uint64_t last = claimed.load(std::memory_order_relaxed);
    return last < number && claimed.compare_exchange_strong(last, number, std::memory_order_acq_rel);
  }

  void run_part(int part) {
    const int64_t begin = count * part / num_parts;
    const int64_t end = count * (part + 1) / num_parts;
    inside_region = true;
    function(context, begin, end);
    inside_region = false;
  }

  void publish(uint64_t number) {
    ticket.store((number << kPartBits) | static_cast<uint64_t>(num_parts), std::memory_order_seq_cst);
    if (num_sleeping.load(std::memory_order_seq_cst) == 0) return;
    { const std::lock_guard lock(mutex); }  // a worker is either before its last look at the ticket, or asleep
    wake.notify_all();
  }

  // Returns the next ticket after `seen`.
  uint64_t wait_for_ticket(uint64_t seen) {
    Waiter waiter;
    auto idle_since = std::chrono::steady_clock::time_point{};
    while (true) {
      const uint64_t now = ticket.load(std::memory_order_acquire);
      if (now != seen || stopping.load(std::memory_order_relaxed)) return now;
      waiter.wait();
      if (!waiter.spins_long()) continue;
      const auto time = std::chrono::steady_clock::now();
      if (idle_since == std::chrono::steady_clock::time_point{}) idle_since = time;
      if (time - idle_since > kIdleBeforeSleep) {
        sleep_until_ticket(seen);
        idle_since = {};
      }
    }
  }

  void sleep_until_ticket(uint64_t seen) {
    std::unique_lock lock(mutex);
    num_sleeping.fetch_add(1, std::memory_order_seq_cst);
    wake.wait(lock, [&] { return ticket.load(std::memory_order_seq_cst) != seen || stopping.load(); });
    num_sleeping.fetch_sub(1, std::memory_order_relaxed);
  }

  void work(int part) {
    uint64_t seen = 0;
    while (true) {
      seen = wait_for_ticket(seen);
      if (stopping.load(std::memory_order_relaxed)) return;
      const uint64_t number = seen >> kPartBits;
      const int parts = static_cast<int>(seen & ((uint64_t{1} << kPartBits) - 1));
      if (part >= parts || !claim(part, number)) continue;
      run_part(part);
      slots[static_cast<size_t>(part)].done.store(number, std::memory_order_release);
    }
  }

  // Own part first, then parts that nobody has begun, then wait for the others.
  void run_region() {
    const uint64_t number = ++region;
    publish(number);
    run_part(0);
    for (int part = num_parts - 1; part > 0; --part) {
      if (!claim(part, number)) continue;
      run_part(part);
      slots[static_cast<size_t>(part)].done.store(number, std::memory_order_relaxed);
    }
    Waiter waiter;
    for (int part = 1; part < num_parts; ++part) {
      while (slots[static_cast<size_t>(part)].done.load(std::memory_order_acquire) != number) waiter.wait();
    }
  }
};

ComputePool::ComputePool(int num_threads) {
  if (num_threads <= 0) num_threads = default_num_threads();
  state_ = std::make_unique<State>(std::min(num_threads, kMaxThreads));
  for (int part = 1; part < static_cast<int>(state_->slots.size()); ++part) {
    state_->workers.emplace_back([state = state_.get(), part] { state->work(part); });
  }
}

ComputePool::~ComputePool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping.store(true);
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ComputePool::num_threads() const { return static_cast<int>(state_->slots.size()); }

void ComputePool::run(int64_t count, int64_t grain, Function function, void* context) {
  if (count <= 0) return;
  const int64_t num_parts = std::min<int64_t>(num_threads(), count / std::max<int64_t>(grain, 1));
  // Inside a region, and while another thread has one, the work is done right here.
  if (num_parts <= 1 || inside_region || state_->busy.exchange(true, std::memory_order_acquire)) {
    function(context, 0, count);
    return;
  }
  state_->function = function;
  state_->context = context;
  state_->count = count;
  state_->num_parts = static_cast<int>(num_parts);
  state_->run_region();
  state_->busy.store(false, std::memory_order_release);
}

ComputePool& compute_pool() {
  static ComputePool pool;
  return pool;
}

}  // namespace speculators
