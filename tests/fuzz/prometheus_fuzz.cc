// The answer of a Prometheus as it comes: in pieces it is what it is as a whole.
#include <cmath>
#include <string>
#include <vector>

#include "base/text.h"
#include "signals/vector_reader.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

// More than an input has: that much is refused as soon as it has come, whatever came before.
constexpr std::size_t kMostBytes = 1U << 20;

struct Reading {
  std::vector<std::string> samples;
  std::vector<std::string> warnings;
  std::string message;
  friend bool operator==(const Reading&, const Reading&) = default;
};

Reading Read(std::string_view text, bool in_pieces) {
  Reading reading;
  VectorReader reader(kMostBytes, [&reading](const VectorReader::Sample& sample) {
    std::string& line = reading.samples.emplace_back();
    for (std::size_t i = 0; i < sample.labels.size(); ++i) {
      const auto& [name, value] = sample.labels[i];
      SOBRE_HOLDS(name != "__name__");
      SOBRE_HOLDS(i == 0 || sample.labels[i - 1].first <= name);
      line.append(name).append("=").append(value).append("\n");
    }
    SOBRE_HOLDS(std::isfinite(sample.evaluated_unix));
    line += FormatNumber(sample.value) + "@" + FormatNumber(sample.evaluated_unix);
  });
  if (in_pieces) {
    InPieces(text, [&reader](std::string_view piece) { return reader.Feed(piece); });
  } else {
    reader.Feed(text);
  }
  reading.message = reader.Finish().message();
  reading.warnings = reader.warnings();
  return reading;
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre::fuzz;
  const std::string_view text = TextOf(data, size);
  const Reading whole = Read(text, false);
  SOBRE_HOLDS(Read(text, true) == whole);
  return 0;
}
