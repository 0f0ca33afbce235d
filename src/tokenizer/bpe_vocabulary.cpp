#include "tokenizer/bpe_vocabulary.h"

#include <bit>
#include <cstring>

namespace speculators {
namespace {

constexpr uint64_t kMultiplier1 = 0x9e3779b97f4a7c15u;
constexpr uint64_t kMultiplier2 = 0xd6e8feb86659fd93u;

uint64_t mix(uint64_t value) {
  value *= kMultiplier2;
  return value ^ value >> 32;
}

}  // namespace

uint64_t hash_bytes(std::string_view bytes) {
  uint64_t hash = kMultiplier1 ^ bytes.size();
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = mix(hash ^ word) * kMultiplier1;
  }
  uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  return mix(mix(hash ^ rest) * kMultiplier1);
}

void Vocabulary::reserve(size_t num_tokens, size_t num_bytes) {
  arena_.reserve(num_bytes);
  spans_.reserve(num_tokens);
  rehash(std::bit_ceil(num_tokens * 2 + 16));
}

void Vocabulary::add(std::string_view token, int32_t id) {
  if ((num_tokens_ + 1) * 2 > slots_.size()) rehash(std::bit_ceil(num_tokens_ * 4 + 16));
  if (static_cast<size_t>(id) >= spans_.size()) spans_.resize(static_cast<size_t>(id) + 1);
  spans_[id] = {static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size())};
  arena_ += token;
  ++num_tokens_;
  insert(hash_bytes(token), id);
}

int32_t Vocabulary::find(std::string_view bytes) const {
  if (slots_.empty()) return kNoToken;
  const uint64_t hash = hash_bytes(bytes);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id == kNoToken) return kNoToken;
    if (slot.tag == hash >> 32 && token(slot.id) == bytes) return slot.id;
  }
}

void Vocabulary::rehash(size_t num_slots) {
  if (num_slots <= slots_.size()) return;
  slots_.assign(num_slots, Slot{});
  for (int32_t id = 0; id < id_end(); ++id) {
    if (contains(id)) insert(hash_bytes(token(id)), id);
  }
}

void Vocabulary::insert(uint64_t hash, int32_t id) {
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].id != kNoToken) at = (at + 1) & mask;
  slots_[at] = {static_cast<uint32_t>(hash >> 32), id};
}

}  // namespace speculators
