// The stages that decoders are made of. `fused`: an earlier stage made one text of all tokens, so what comes are
// fragments of one long token.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/decoder.h"

namespace speculators {

using DecoderStagePointer = std::unique_ptr<DecoderStage>;

// Characters of GPT-2's byte alphabet become bytes, all tokens one text; ill-formed bytes become U+FFFD.
DecoderStagePointer make_byte_level_decoder();
// Applies `edit` to every token.
DecoderStagePointer make_edit_decoder(std::function<std::string(std::string_view)> edit);
// <0xNN> tokens become bytes: neighbours together are UTF-8, or else one U+FFFD each.
DecoderStagePointer make_byte_fallback_decoder();
// Takes up to `start` of the characters `content` from the front of the whole text.
DecoderStagePointer make_strip_front_decoder(std::string content, size_t start);
// `marker` becomes a space; in the first token it vanishes when `drops_first`.
DecoderStagePointer make_marker_decoder(std::string marker, bool drops_first, bool fused);
DecoderStagePointer make_join_decoder(std::string separator);
// Waits for the whole text and then applies `edit` to it.
DecoderStagePointer make_whole_text_decoder(std::function<std::string(std::string_view)> edit);

// 0 to 255 for a token of the form <0xNN>.
std::optional<uint8_t> find_byte_token(std::string_view token);
// Strips up to `start` characters `content` from the front and up to `stop` from the back.
std::string strip_ends(std::string_view token, std::string_view content, size_t start, size_t stop);
// `text` with every `marker` (one character) as `replacement`.
std::string replace_all(std::string_view text, std::string_view marker, std::string_view replacement);

}  // namespace speculators
