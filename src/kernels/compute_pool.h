// Worker threads that wait by spinning, so that a parallel region costs microseconds: a decode step of a small model
// has about 180 of them in 10 ms. After a short idle time the workers sleep, so an idle program uses no processor.
// One region at a time: call run() from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace speculators {

class ComputePool {
 public:
  // `num_threads` counts the caller; 0 takes SPECULATORS_NUM_THREADS or the number of physical processors we may use.
  explicit ComputePool(int num_threads = 0);
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int num_threads() const;
  // Calls body(begin, end) on disjoint ranges that cover [0, count); a range never is smaller than `grain`
  // (but the last). Returns when all are done. Exceptions must not leave `body`.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    run(
        count, grain,
        [](void* context, int64_t begin, int64_t end) {
          (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
        },
        &body);
  }

 private:
  using Function = void (*)(void*, int64_t, int64_t);
  void run(int64_t count, int64_t grain, Function function, void* context);
  struct State;
  std::unique_ptr<State> state_;
};

// The pool of the process, made at first use.
ComputePool& compute_pool();

}  // namespace speculators
