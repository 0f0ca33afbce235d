// NumPy's default_rng: SeedSequence -> PCG64 (XSL-RR 128/64), and Generator.permutation. Packing order depends on it,
// so it has to be equal to NumPy's bit by bit. Source: reference algorithms.md 12.4; M. O'Neill, PCG (2014).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace speculators {

// `numpy.random.default_rng(seed)`. One generator per thread.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint64_t seed);
  uint64_t next_u64();
  // The low half of a 64-bit output first; the high half is kept for the next call.
  uint32_t next_u32();
  double next_double();  // [0, 1)
  // 0 ... count-1 in random order.
  std::vector<int64_t> permutation(int64_t count);

 private:
  uint64_t draw_up_to(uint64_t maximum);
  __extension__ typedef unsigned __int128 Word;
  Word state_ = 0, increment_ = 0;
  std::optional<uint32_t> kept_;
};

}  // namespace speculators
