#include "extender/api_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Timestamp kNow = TestWorld::kTime;

std::shared_ptr<WorldState> StateWith(const Annotations& of_shop) {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3").Grid("aws", "eu-west-3", 50);
  auto state = std::make_shared<WorldState>(*MakeState(world.input()));
  state->namespaces["shop"] = MakeNamespacePolicy("shop", of_shop, state->cluster_policy.policy);
  return state;
}

// What an owner writes is what is told, so that it can be written again.
TEST(PolicyValue, IsAsItWouldBeWritten) {
  const Annotations written = {{"objective", "priced"},
                               {"cost-tolerance", "12.5"},
                               {"carbon-price", "100"},
                               {"requests-per-second", "0.3"},
                               {"allowed-countries", "DE, FR"},
                               {"max-gco2e-per-unit", "0.25"},
                               {"max-exposure", "contested"},
                               {"max-delay", "6h"},
                               {"mode", "shadow"}};
  Policy policy;
  std::vector<std::string> problems;
  ApplyAnnotations(written, Origin::kNamespace, "namespace shop", policy, problems);
  ASSERT_TRUE(problems.empty()) << problems.front();
  std::size_t found = 0;
  for (std::size_t i = 0; i < kPolicyKeyCount; ++i) {
    const auto key = static_cast<PolicyKey>(i);
    for (const Annotation& annotation : written) {
      if (annotation.key != ToString(key)) continue;
      ++found;
      EXPECT_EQ(PolicyValue(policy, key), annotation.value) << annotation.key;
    }
  }
  EXPECT_EQ(found, written.size());
}

TEST(PolicyJson, TellsWhoSaidWhat) {
  const auto state = StateWith({{"objective", "carbon"},
                                {"allowed-countries", "FR"},
                                {"enforced", "allowed-countries"},
                                {"carbon-price", "dear"}});
  const std::string json = PolicyJson(*state, kNow);
  EXPECT_THAT(json, HasSubstr(R"({"key":"objective","value":"balanced","origin":"default")"));
  EXPECT_THAT(json, HasSubstr(R"({"key":"objective","value":"carbon","origin":"namespace",)"
                              R"("enforced":false,"hard":false,"sources":[]})"));
  EXPECT_THAT(json, HasSubstr(R"({"key":"allowed-countries","value":"FR","origin":"namespace",)"
                              R"("enforced":true,"hard":true,"sources":[{"origin":"namespace",)"
                              R"("value":"FR","enforced":true}]})"));
  EXPECT_THAT(json, HasSubstr(R"("problems":["namespace shop: )"));
  EXPECT_THAT(json, HasSubstr(R"("mode":"enforce")"));
}

TEST(PolicyJson, TellsWhatNobodyKnowsAndEachVoiceOfALimit) {
  const auto state = StateWith({{"denied-operators", "Gogle"}});
  Policy cluster;
  std::vector<std::string> problems;
  ApplyAnnotations({{"max-eur-per-unit", "2"}, {"unit", "pod-hour"}, {"allowed-countries", "EU"}},
                   Origin::kCluster, "cluster", cluster, problems);
  state->namespaces["bank"] = MakeNamespacePolicy(
      "bank", {{"max-eur-per-unit", "0.1"}, {"unit", "request"}, {"allowed-countries", "US"}},
      cluster);
  const std::string json = PolicyJson(*state, kNow);
  EXPECT_THAT(json, HasSubstr("nobody knows the operator 'Gogle'; did you mean 'Google'?"));
  EXPECT_THAT(json, HasSubstr(R"("value":"2 per pod-hour, 0.1 per request")"));
  EXPECT_THAT(json, HasSubstr(R"({"key":"allowed-countries","value":"none")"));
  EXPECT_THAT(json, HasSubstr(R"("sources":[{"origin":"cluster","value":"EU","enforced":false},)"
                              R"({"origin":"namespace","value":"US","enforced":false}])"));
}

TEST(PolicyJson, TellsWhatAGateWaitsFor) {
  const auto state = StateWith({});
  auto pod = std::make_shared<GatedPod>();
  pod->namespace_name = "shop";
  pod->name = "train";
  pod->created = kNow - std::chrono::hours(1);
  pod->annotations = {{"defer-below-gco2e-per-kwh", "30"}, {"max-delay", "6h"}};
  state->gated.assign(201, pod);
  const std::string json = PolicyJson(*state, kNow);
  EXPECT_THAT(json, HasSubstr(R"("gatesLeftOff":1,)"));
  EXPECT_THAT(json, HasSubstr(R"("condition":"below 30 gCO2e/kWh")"));
  EXPECT_THAT(json, HasSubstr(R"("until":")" + FormatTime(kNow + std::chrono::hours(5)) + '"'));
  EXPECT_THAT(json, Not(HasSubstr(R"("state":"")")));
}

TEST(PolicyJson, OfOneNamespaceTellsOfNoOther) {
  const auto state = StateWith({});
  for (const char* name : {"shop", "bank"}) {
    auto pod = std::make_shared<GatedPod>();
    pod->namespace_name = name;
    pod->name = std::string(name) + "-train";
    state->gated.push_back(pod);
    state->namespaces[name] = MakeNamespacePolicy(name, {}, {});
  }
  const std::string json = PolicyJson(*state, kNow, "shop");
  EXPECT_THAT(json, HasSubstr("shop-train"));
  EXPECT_THAT(json, HasSubstr(R"("namespaces":[{"namespace":"shop")"));
  EXPECT_THAT(json, Not(HasSubstr("bank")));
  EXPECT_THAT(PolicyJson(*state, kNow), HasSubstr("bank-train"));
}

}  // namespace
}  // namespace sobre
