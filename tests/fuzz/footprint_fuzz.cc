// The input of `sobre footprint`: the answer is JSON with finite figures that are not negative.
#include <cmath>

#include <simdjson.h>

#include "extender/footprint_json.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  static simdjson::dom::parser parser;
  const Result<std::string> answer = AnswerFootprint(TextOf(data, size));
  if (!answer.ok()) {
    SOBRE_HOLDS(!answer.status().message().empty());
    return 0;
  }
  simdjson::dom::object object;
  SOBRE_HOLDS(parser.parse(*answer).get(object) == simdjson::SUCCESS);
  for (const auto& [name, value] : object) {
    if (name == "method") {
      SOBRE_HOLDS(value.is_string());
      continue;
    }
    double figure = 0;
    SOBRE_HOLDS(value.is_null() || value.get(figure) == simdjson::SUCCESS);
    SOBRE_HOLDS(std::isfinite(figure) && figure >= 0);
  }
  return 0;
}
