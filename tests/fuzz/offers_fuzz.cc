// The offers of `sobre compare`, through to the comparison as JSON and as text.
#include <string>

#include <simdjson.h>

#include "extender/comparison.h"
#include "extender/offer_file.h"
#include "scoring/test_world.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  static simdjson::dom::parser parser;
  static const DecisionRequest request = [] {
    Policy policy;
    policy.requests = UnitsPerHour(3600);
    return RequestFor(policy);
  }();
  Result<std::vector<Offer>> offers =
      ParseOffers(TextOf(data, size), "offers.yaml", TestWorld::kTime);
  if (!offers.ok()) {
    const std::string message = offers.status().message();
    SOBRE_HOLDS(message.starts_with("offers.yaml:") && message.find('\n') == std::string::npos);
    return 0;
  }
  SOBRE_HOLDS(offers->size() >= 2);
  // What many offers give is what a few give.
  constexpr std::size_t kMost = 4;
  if (offers->size() > kMost) offers->resize(kMost);
  const Comparison comparison = Compare(request, TestWorld().input(), *std::move(offers));
  for (const ComparedOffer& offer : comparison.offers) {
    SOBRE_HOLDS(offer.utilization.value() > 0 && offer.utilization.value() <= 1);
    if (const auto& grams = offer.total.grams)
      SOBRE_HOLDS(grams->low <= grams->mid && grams->mid <= grams->high);
  }
  const std::string json = ComparisonJson(request, comparison);
  SOBRE_HOLDS(parser.parse(json).error() == simdjson::SUCCESS);
  SOBRE_HOLDS(!ComparisonText(request, comparison).empty());
  return 0;
}
