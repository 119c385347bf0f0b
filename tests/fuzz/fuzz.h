#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// What the fuzz targets have in common. Each defines LLVMFuzzerTestOneInput() over one kind of
// input from outside: the function that the programs read it with, and what must hold of its
// result whatever the bytes are. No clock, no network, no file; memory that is bounded by the
// input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sobre::fuzz {

inline std::string_view TextOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

[[noreturn]] inline void Broken(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
  std::abort();
}

// Hands `text` on in pieces, small and large, which depend on the text alone; ends as soon as
// `feed` returns false.
template <class Feed>
void InPieces(std::string_view text, const Feed& feed) {
  std::uint64_t dice = 14695981039346656037ULL ^ text.size();
  for (const char c : text.substr(0, 64))
    dice = (dice ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  while (!text.empty()) {
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t most = (dice >> 60) < 12 ? 7 : 300;
    const std::size_t size = 1 + (dice >> 33) % most;
    if (!feed(text.substr(0, size))) return;
    text.remove_prefix(size < text.size() ? size : text.size());
  }
}

}  // namespace sobre::fuzz

// Ends the process where `condition` does not hold, so that the fuzzer keeps the input.
#define SOBRE_HOLDS(condition) \
  ((condition) ? static_cast<void>(0) : sobre::fuzz::Broken(#condition, __FILE__, __LINE__))
