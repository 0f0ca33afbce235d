#include "checkpoint/gguf_dequantize.h"

#include <cstring>

#include "base/bf16.h"

namespace speculators {
namespace {

using Byte = uint8_t;

template <class Number>
Number load(const Byte* at) {
  Number number;
  std::memcpy(&number, at, sizeof number);
  return number;
}

float load_half(const Byte* at) { return half_to_float(load<uint16_t>(at)); }

void f32_block(const Byte* block, float* out) { *out = load<float>(block); }
void f16_block(const Byte* block, float* out) { *out = load_half(block); }
void bf16_block(const Byte* block, float* out) { *out = to_float(load<Bf16>(block)); }

// The kinds of 32: byte j of the nibbles holds elements j (low) and j + 16 (high).
void q4_0_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  for (int j = 0; j < 16; ++j) {
    const int packed = block[2 + j];
    out[j] = static_cast<float>((packed & 0xf) - 8) * scale;
    out[j + 16] = static_cast<float>((packed >> 4) - 8) * scale;
  }
}

void q4_1_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int packed = block[4 + j];
    out[j] = static_cast<float>(packed & 0xf) * scale + minimum;
    out[j + 16] = static_cast<float>(packed >> 4) * scale + minimum;
  }
}

// The fifth bit of element j is bit j of a 32-bit word.
int fifth_bit(uint32_t high_bits, int j) { return static_cast<int>((high_bits >> j) & 1u) << 4; }

void q5_0_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  const auto high_bits = load<uint32_t>(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int packed = block[6 + j];
    out[j] = static_cast<float>(((packed & 0xf) | fifth_bit(high_bits, j)) - 16) * scale;
    out[j + 16] = static_cast<float>(((packed >> 4) | fifth_bit(high_bits, j + 16)) - 16) * scale;
  }
}

void q5_1_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  const auto high_bits = load<uint32_t>(block + 4);
  for (int j = 0; j < 16; ++j) {
    const int packed = block[8 + j];
    out[j] = static_cast<float>((packed & 0xf) | fifth_bit(high_bits, j)) * scale + minimum;
    out[j + 16] = static_cast<float>((packed >> 4) | fifth_bit(high_bits, j + 16)) * scale + minimum;
  }
}

void q8_0_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(static_cast<int8_t>(block[2 + j])) * scale;
}

// Scale and minimum of one group of 32 in Q4_K and Q5_K: 8 pairs of 6 bits in 12 bytes. Groups 0-3 lie in the low 6
// bits of bytes 0-3 (scale) and 4-7 (minimum); groups 4-7 take 4 bits from bytes 8-11 and their top 2 from bytes 0-7.
struct GroupScale {
  int scale, minimum;
};

GroupScale group_scale(const Byte* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const int low = packed[group + 4];
  return {(low & 0xf) | ((packed[group - 4] >> 6) << 4), (low >> 4) | ((packed[group] >> 6) << 4)};
}

// Groups 2p (low nibbles) and 2p + 1 (high nibbles) share the 32 bytes that start at 32 * p.
void q4_k_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  for (int group = 0; group < 8; ++group) {
    const GroupScale packed = group_scale(block + 4, group);
    const float group_step = scale * static_cast<float>(packed.scale);
    const float group_minimum = minimum * static_cast<float>(packed.minimum);
    const Byte* nibbles = block + 16 + 32 * (group / 2);
    for (int j = 0; j < 32; ++j) {
      const int value = group % 2 == 0 ? nibbles[j] & 0xf : nibbles[j] >> 4;
      out[32 * group + j] = group_step * static_cast<float>(value) - group_minimum;
    }
  }
}

// As Q4_K, with the fifth bits of group g in bit g of 32 bytes.
void q5_k_block(const Byte* block, float* out) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  const Byte* high_bits = block + 16;
  for (int group = 0; group < 8; ++group) {
    const GroupScale packed = group_scale(block + 4, group);
    const float group_step = scale * static_cast<float>(packed.scale);
    const float group_minimum = minimum * static_cast<float>(packed.minimum);
    const Byte* nibbles = block + 48 + 32 * (group / 2);
    for (int j = 0; j < 32; ++j) {
      const int low = group % 2 == 0 ? nibbles[j] & 0xf : nibbles[j] >> 4;
      const int value = low | (((high_bits[j] >> group) & 1) << 4);
      out[32 * group + j] = group_step * static_cast<float>(value) - group_minimum;
    }
  }
}

// Two halves of 128; in each, quarter q of 32 takes nibbles (low for q < 2, else high) and 2 top bits at 2q.
void q6_k_block(const Byte* block, float* out) {
  const float scale = load_half(block + 208);
  const auto* group_scales = reinterpret_cast<const int8_t*>(block + 192);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, j = i % 32;
    const int nibbles = block[64 * half + 32 * (quarter % 2) + j];
    const int low = quarter < 2 ? nibbles & 0xf : nibbles >> 4;
    const int high = (block[128 + 32 * half + j] >> (2 * quarter)) & 3;
    const float group_step = scale * static_cast<float>(group_scales[i / 16]);
    out[i] = group_step * static_cast<float>((low | (high << 4)) - 32);
  }
}

using BlockFunction = void (*)(const Byte*, float*);

BlockFunction block_function(GgufType type) {
  switch (type) {
    case GgufType::kF32:
      return f32_block;
    case GgufType::kF16:
      return f16_block;
    case GgufType::kBF16:
      return bf16_block;
    case GgufType::kQ4_0:
      return q4_0_block;
    case GgufType::kQ4_1:
      return q4_1_block;
    case GgufType::kQ5_0:
      return q5_0_block;
    case GgufType::kQ5_1:
      return q5_1_block;
    case GgufType::kQ8_0:
      return q8_0_block;
    case GgufType::kQ4_K:
      return q4_k_block;
    case GgufType::kQ5_K:
      return q5_k_block;
    case GgufType::kQ6_K:
      return q6_k_block;
  }
  return nullptr;
}

}  // namespace

std::vector<float> dequantize(const GgufTensor& tensor) {
  const GgufTypeInfo& info = info_of(tensor.type);  // throws for a type that has no block function
  const BlockFunction convert = block_function(tensor.type);
  const auto num_blocks = tensor.bytes.size() / static_cast<size_t>(info.block_bytes);
  std::vector<float> out(num_blocks * static_cast<size_t>(info.block_elements));
  const auto* bytes = reinterpret_cast<const Byte*>(tensor.bytes.data());
  for (size_t i = 0; i < num_blocks; ++i) {
    convert(bytes + i * static_cast<size_t>(info.block_bytes),
            out.data() + i * static_cast<size_t>(info.block_elements));
  }
  return out;
}

}  // namespace speculators
