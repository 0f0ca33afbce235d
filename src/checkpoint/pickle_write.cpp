#include "checkpoint/pickle.h"
#include "checkpoint/zip_archive.h"

namespace speculators {
namespace {

constexpr size_t kBatch = 1000;  // as Python writes dicts

void put_bytes(std::string& out, uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

// LONG1: as few little-endian bytes as keep the sign.
void put_long(std::string& out, int64_t value) {
  int count = 8;
  while (count > 1) {
    const int64_t shortened = value >> (8 * (count - 1) - 1);  // top byte and the sign bit below it
    if (shortened != 0 && shortened != -1) break;
    --count;
  }
  out += '\x8a';
  put_bytes(out, static_cast<uint64_t>(count), 1);
  put_bytes(out, static_cast<uint64_t>(value), count);
}

void put_int(std::string& out, int64_t value) {
  if (value >= 0 && value <= UINT8_MAX) {
    out += 'K';  // BININT1
    put_bytes(out, static_cast<uint64_t>(value), 1);
  } else if (value >= 0 && value <= UINT16_MAX) {
    out += 'M';  // BININT2
    put_bytes(out, static_cast<uint64_t>(value), 2);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    out += 'J';  // BININT
    put_bytes(out, static_cast<uint64_t>(value), 4);
  } else {
    put_long(out, value);
  }
}

}  // namespace

std::string pickle_counts(const std::map<int64_t, int64_t>& counts) {
  std::string out("\x80\x02}q\0", 5);  // PROTO 2, EMPTY_DICT, BINPUT 0
  size_t index = 0;
  for (const auto& [token, count] : counts) {
    if (index % kBatch == 0) out += index == 0 ? "(" : "u(";  // SETITEMS, MARK
    put_int(out, token);
    put_int(out, count);
    ++index;
  }
  if (index > 0) out += 'u';
  out += '.';  // STOP
  return out;
}

void write_token_freq(const fs::path& path, const std::map<int64_t, int64_t>& counts) {
  write_zip(path, {{"token_freq/data.pkl", pickle_counts(counts)},
                   {"token_freq/byteorder", "little"},
                   {"token_freq/version", "3\n"}});
}

}  // namespace speculators
