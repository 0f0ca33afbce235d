// GPT-2's byte alphabet: every byte has a printable character, so that any byte string is a string of characters.
// 33-126, 161-172 and 174-255 stand for themselves; the other 68 bytes are U+0100, U+0101, ... in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace speculators {

char32_t byte_to_alphabet(uint8_t byte);
// -1 for characters outside the alphabet.
int alphabet_to_byte(char32_t c);

// Appends the characters of `bytes`.
void append_byte_alphabet(std::string& out, std::string_view bytes);

// Appends the bytes that valid UTF-8 `token` stands for. Returns false, leaving `out` as it was, when a character lies
// outside the alphabet.
bool append_alphabet_bytes(std::string& out, std::string_view token);

}  // namespace speculators
