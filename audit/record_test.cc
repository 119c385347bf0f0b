#include "audit/record.h"

#include <algorithm>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/test_case.h"
#include "audit/verify.h"
#include "base/told_time.h"
#include "scoring/analysis.h"
#include "scoring/random_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

// A pod with every kind of policy, on a world with every kind of node, as the seed has it.
v1::Record RandomRecord(unsigned seed) {
  RandomWorld random(seed);
  random.policy.bound = seed % 2 == 0 ? Bound::kDemand : Bound::kThroughput;
  if (seed % 3 != 0) random.policy.requests = UnitsPerHour(3.7 * static_cast<double>(seed + 1));
  if (seed % 5 == 0) {
    random.policy.data_region = RegionName{"aws", "eu-west-3"};
    random.policy.egress = GigabytesPerUnit(0.0003);
  }
  if (seed % 7 == 0) random.policy.limits.countries = std::vector<std::string>{"DE", "FR"};
  if (seed % 11 == 0) random.policy.limits.max_grams = {{GramsPerUnit(0.1 * seed)}};
  if (seed % 13 == 0) {
    std::vector<std::string> problems;
    const auto number = std::to_string(seed);
    ApplyAnnotations({{"max-eur-per-unit", "0." + number},
                      {"allowed-countries", seed % 2 == 0 ? "FR,DE" : "QQ"},
                      {"denied-operators", "Hetzner"},
                      {"enforced", "max-eur-per-unit,allowed-countries"}},
                     Origin::kNamespace, "namespace shop", random.policy, problems);
    ApplyAnnotations({{"allowed-countries", "FR"},
                      {"mode", seed % 3 == 0 ? "shadow" : "enforce"},
                      {"unit", "pod-hour"},
                      {"max-gco2e-per-unit", number}},
                     Origin::kPod, "pod", random.policy, problems);
  }
  random.policy.model = seed % 2 == 0 ? "llama" : "";
  random.world.input().rates = {{"USD", 0.9123456789, "2026-11-01"}};
  NodeFacts gpu;
  gpu.name = "gpu";
  gpu.provider = "own";
  gpu.gpu_model = "NVIDIA-H100-80GB-HBM3";
  gpu.allocatable = {64000, 512LL << 30, 4, 0};
  random.world.Node(gpu).Price("gpu", 9.87654321);
  Observation rate;
  rate.signal = Signal::kWorkloadRequests;
  rate.namespace_name = "shop";
  rate.workload = "web";
  rate.model = "llama";
  rate.value = 1.0 / 3;
  rate.time = TestWorld::kTime;
  rate.source = "vllm";
  random.world.input().observations.push_back(rate);
  std::vector<std::string> names = random.names;
  names.insert(names.end(), {"gpu", "stranger"});
  if (seed % 4 == 0) names.erase(names.begin());
  std::shuffle(names.begin(), names.end(), random.random());
  return SelfContained(*CaseFor(random.world.Snapshot(), names, RequestFor(random.policy)));
}

std::shared_ptr<const Catalog> Embedded() { return SnapshotInput::EmbeddedCatalog(); }

TEST(Record, SaysWhoSaidWhatOfEachLimit) {
  const v1::Record record = RandomRecord(26);
  EXPECT_THAT(record.policy_from(),
              ::testing::IsSupersetOf({"allowed-countries: namespace, enforced",
                                       "allowed-countries: pod", "denied-operators: namespace",
                                       "max-eur-per-unit: namespace, enforced",
                                       "max-gco2e-per-unit: pod", "unit: pod"}));
  const auto recalled = Recall(record, record.known(), SnapshotInput::EmbeddedCatalog());
  ASSERT_TRUE(recalled.ok()) << recalled.status().message();
  const Policy& policy = recalled->request.policy;
  EXPECT_EQ(policy.enforced.countries, (std::vector<std::string>{"DE", "FR"}));
  EXPECT_EQ(policy.limits.countries, std::vector<std::string>{"FR"});
  EXPECT_EQ(policy.limits.max_euros.at(0).unit, FunctionalUnit::kRequest);
  EXPECT_TRUE(policy.limits.max_euros.at(0).enforced);
  ASSERT_TRUE(policy.terms_before_pod);
  EXPECT_EQ(policy.terms_before_pod->unit, FunctionalUnit::kRequest);
  EXPECT_EQ(policy.limits.sources.size(), 5U);
}

// Budgets as records had them before their unit was theirs.
TEST(Record, OfBudgetsWithoutAUnitIsRead) {
  v1::Record record = RandomRecord(2);
  record.mutable_policy()->set_max_eur_per_unit(0.25);
  const auto recalled = Recall(record, record.known(), SnapshotInput::EmbeddedCatalog());
  ASSERT_TRUE(recalled.ok()) << recalled.status().message();
  const auto& budgets = recalled->request.policy.limits.max_euros;
  ASSERT_EQ(budgets.size(), 1U);
  EXPECT_EQ(budgets[0].most, EurosPerUnit(0.25));
  EXPECT_EQ(budgets[0].unit, recalled->request.policy.unit);
}

TEST(Record, IsMadeAgainToTheBitFromItsText) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const v1::Record record = RandomRecord(seed);
    const Result<v1::Record> read = ParseRecord(RecordJson(record));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->SerializeAsString(), record.SerializeAsString());
    const Status status = Verify(*read, read->known(), Embedded());
    EXPECT_TRUE(status.ok()) << seed << ": " << status.message();
  }
}

TEST(Record, ReportAndLimitsComeOutTheSame) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    RandomWorld random(seed);
    const auto snapshot = random.world.Snapshot();
    const DecisionRequest request = RequestFor(random.policy);
    std::sort(random.names.begin(), random.names.end());
    const auto made = CaseFor(snapshot, random.names, request);
    const Decision& decision = made->decision;
    const v1::Record record = SelfContained(*made);
    const Result<Recalled> recalled = Recall(record, record.known(), Embedded());
    ASSERT_TRUE(recalled.ok()) << recalled.status().message();
    const Decision& again = recalled->decision;
    for (std::size_t i = 0; i < decision.candidates.size(); ++i) {
      const auto before = Attribute(request, decision, decision.candidates[i], *snapshot);
      const auto after =
          Attribute(recalled->request, again, again.candidates[i], *recalled->snapshot);
      ASSERT_EQ(before.total.has_value(), after.total.has_value());
      if (before.total) {
        EXPECT_EQ(before.total->low, after.total->low);
        EXPECT_EQ(before.total->high, after.total->high);
      }
      EXPECT_EQ(before.euros, after.euros);
    }
  }
}

// What is not understood decides, and so it is recorded.
TEST(Record, UnknownDevicesAreUnknownAgain) {
  NodeFacts sliced;
  sliced.name = "sliced";
  sliced.provider = "aws";
  sliced.region = "eu-west-3";
  sliced.gpu_model = "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb";
  sliced.allocatable = {64000, 512LL << 30, 14, 0, {"habana.ai/gaudi"}};
  TestWorld world;
  world.Node(sliced).Node("plain", "aws", "eu-west-3").Price("sliced", 9).Price("plain", 0.4);
  const auto snapshot = world.Snapshot();
  const Resources asked[] = {{1000, 1 << 30, 0, 0, {"habana.ai/gaudi"}}, {1000, 1 << 30, 1, 0, {}}};
  for (const Resources& requests : asked) {
    DecisionRequest request = RequestFor(Policy());
    request.pod.requests = requests;
    request.policy.limits.max_grams = {{GramsPerUnit(1e9), FunctionalUnit::kPodHour}};
    const v1::Record record = SelfContained(*CaseFor(snapshot, {"plain", "sliced"}, request));
    EXPECT_EQ(record.refused(), 2);
    EXPECT_TRUE(Verify(record, record.known(), Embedded()).ok());
    const Result<Recalled> recalled = Recall(record, record.known(), Embedded());
    ASSERT_TRUE(recalled.ok());
    EXPECT_EQ(recalled->request.pod.requests, requests);
    for (const Candidate& candidate : recalled->decision.candidates)
      EXPECT_FALSE(candidate.placement.power_known || candidate.placement.euros_known);
    const NodeRecord& node =
        recalled->snapshot->nodes()[static_cast<std::size_t>(recalled->snapshot->Find("sliced"))];
    EXPECT_THAT(node.gpus_unknown, HasSubstr("MIG slices"));
    EXPECT_EQ(node.uncounted, "habana.ai/gaudi");
  }
}

TEST(Record, TheMeanIsThatOfTheCandidatesThatAreNotRefused) {
  TestWorld world;
  world.Node("fr", "aws", "eu-west-3")
      .Node("de", "aws", "eu-central-1")
      .Price("fr", 0.4)
      .Price("de", 0.6);
  world.input().trust_node_labels = true;
  Policy policy;
  const auto snapshot = world.Snapshot();
  const auto figures = [&](const std::string& name) {
    return SelfContained(*CaseFor(snapshot, {name}, RequestFor(policy))).best().report();
  };
  const v1::RecordedFigures fr = figures("fr");
  const v1::RecordedFigures de = figures("de");
  ASSERT_GT(de.gco2e(), fr.gco2e());
  v1::Record record = SelfContained(*CaseFor(snapshot, {"de", "fr"}, RequestFor(policy)));
  EXPECT_DOUBLE_EQ(record.mean().gco2e(), (fr.gco2e() + de.gco2e()) / 2);
  EXPECT_DOUBLE_EQ(record.mean().eur(), (fr.eur() + de.eur()) / 2);
  policy.limits.countries = std::vector<std::string>{"FR"};
  record = SelfContained(*CaseFor(snapshot, {"de", "fr"}, RequestFor(policy)));
  EXPECT_DOUBLE_EQ(record.mean().gco2e(), fr.gco2e());
  EXPECT_EQ(record.refused(), 1);
  EXPECT_FALSE(record.has_runner_up());
}

TEST(Verify, NamesWhatDiffers) {
  const auto complaint = [](const v1::Record& record) {
    return Verify(record, record.known(), Embedded()).message();
  };
  v1::Record record = RandomRecord(1);
  record.mutable_scores()->front() = static_cast<char>(record.scores().front() + 1);
  EXPECT_THAT(complaint(record), HasSubstr(": score: "));
  record = RandomRecord(1);
  record.mutable_best()->set_node("another");
  EXPECT_THAT(complaint(record), HasSubstr("best node: another was recorded, "));
  record = RandomRecord(1);
  record.mutable_best()->set_eur_per_hour(record.best().eur_per_hour() * 1.0000001);
  EXPECT_THAT(complaint(record), HasSubstr(": EUR per hour: "));
  record = RandomRecord(1);
  record.mutable_mean()->set_gco2e(0.5);
  EXPECT_THAT(complaint(record), HasSubstr("mean of the candidates: "));
  record = RandomRecord(1);
  record.mutable_results_sha256()->front() ^= 1;
  EXPECT_THAT(complaint(record), HasSubstr("digest"));
  record = RandomRecord(1);
  for (v1::RecordedPrice& price : *record.mutable_known()->mutable_prices())
    if (price.has_price()) price.mutable_price()->set_value(price.price().value() * 1.0000001);
  EXPECT_THAT(complaint(record), HasSubstr("is what the rules give"));
  record = RandomRecord(2);
  record.mutable_policy()->set_objective("cheapest");
  EXPECT_THAT(complaint(record), HasSubstr("policy.objective: 'cheapest'"));
}

TEST(Verify, AnotherCatalogueOrOtherRulesAreNoLie) {
  v1::Record record = RandomRecord(1);
  record.set_catalog_version("0000");
  EXPECT_EQ(Verify(record, record.known(), Embedded()).code(), ErrorCode::kNotFound);
  record = RandomRecord(1);
  record.set_algorithm_version(kAlgorithmVersion + 1);
  EXPECT_EQ(Verify(record, record.known(), Embedded()).code(), ErrorCode::kNotFound);
}

// FormatTime(), ages and expiries are sums of them.
TEST(Verify, TimesThatNoClockShowsDoNotOverflow) {
  for (const std::int64_t ms :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    v1::Record record = RandomRecord(1);
    record.mutable_policy()->add_certifications("HDS");
    record.set_time_ms(ms);
    for (std::int64_t& time : *record.mutable_times_ms()) time = ms;
    const Result<Recalled> recalled = Recall(record, record.known(), Embedded());
    ASSERT_TRUE(recalled.ok()) << recalled.status().message();
    EXPECT_EQ(recalled->snapshot->time(), ms < 0 ? kEarliestTime : kLatestTime);
  }
}

TEST(Verify, ARecordThatIsNoneNeverCrashes) {
  const std::string good = RandomRecord(3).SerializeAsString();
  std::mt19937 random(9);  // NOLINT(bugprone-random-generator-seed): the same bytes every time
  int changed = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    bytes[random() % bytes.size()] = static_cast<char>(random() & 127);
    v1::Record record;
    if (!record.ParseFromString(bytes)) continue;
    if (!Verify(record, record.known(), Embedded()).ok()) ++changed;
  }
  EXPECT_GT(changed, 100);
  EXPECT_THAT(ParseRecord("{").status().message(), HasSubstr("not a record"));
}

}  // namespace
}  // namespace sobre
