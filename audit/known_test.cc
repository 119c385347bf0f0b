#include "audit/known.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/digest.h"
#include "scoring/random_world.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;

// Contents by hash, as a store keeps them.
class Contents {
 public:
  // How many bytes of them are new.
  std::size_t Keep(const KnownWriter::Written& written) {
    std::size_t added = 0;
    for (const auto& content : written.contents)
      if (kept_.emplace(content->hash, content->bytes).second) added += content->bytes.size();
    return added;
  }
  Fetch fetch() {
    return [this](const std::string& hash) -> Result<std::string> {
      const auto found = kept_.find(hash);
      if (found == kept_.end()) return Status::NotFound("content " + Hex(hash) + " is not there");
      return found->second;
    };
  }
  std::map<std::string, std::string>& kept() { return kept_; }

 private:
  std::map<std::string, std::string> kept_;
};

// A cluster of thousands: 40 kinds of node with prices of their own, on four live grids.
TestWorld Large(int nodes, double live, Duration later) {
  TestWorld world;
  world.input().time += later;
  const std::array<std::pair<const char*, const char*>, 4> places = {{{"aws", "eu-west-3"},
                                                                      {"aws", "eu-central-1"},
                                                                      {"scaleway", "pl-waw"},
                                                                      {"gcp", "europe-west1"}}};
  for (int i = 0; i < nodes; ++i) {
    NodeFacts facts;
    facts.name = "node-" + Hex(Sha256(std::to_string(i))).substr(0, 10);
    facts.provider = places[static_cast<std::size_t>(i % 4)].first;
    facts.region = places[static_cast<std::size_t>(i % 4)].second;
    facts.instance_type = "type-" + std::to_string(i % 10);
    // Kernels keep a little for themselves, each another bit.
    facts.allocatable = {8000, (32LL << 30) - i % 50 * 4096, 0, 0};
    world.Price(facts.name, 0.2 + 0.01 * (i % 10));
    world.Node(facts);
  }
  for (const auto& [provider, region] : places) world.Grid(provider, region, live);
  return world;
}

TEST(Known, ThatACountrysMeanStandsInComesBack) {
  TestWorld world;
  for (const char* zone : {"AU-TAS", "AU"}) {
    NodeFacts facts;
    facts.name = zone;
    facts.grid_zone = zone;
    facts.allocatable = TestWorld::Standard();
    world.Node(facts);
  }
  const Known known = Describe(world.Snapshot());
  const Result<Snapshot::Parts> parts = ToParts(known.message, known.times_ms);
  ASSERT_TRUE(parts.ok()) << parts.status().message();
  for (const NodeRecord& node : parts->nodes)
    EXPECT_EQ(node.grid_of_country, node.facts->name == "AU-TAS");
}

TEST(Known, ComesBackAsItWas) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    RandomWorld random(seed);
    const Known known = Describe(random.world.Snapshot());
    Contents contents;
    const KnownWriter::Written written = KnownWriter().Write(known);
    contents.Keep(written);
    const auto read = ReadKnown(written.hash, contents.fetch());
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->SerializeAsString(), known.message.SerializeAsString());
    EXPECT_EQ(AlikeOf(*read), known.alike);
    Result<Snapshot::Parts> parts = ToParts(*read, known.times_ms);
    ASSERT_TRUE(parts.ok()) << parts.status().message();
    parts->catalog = SnapshotInput::EmbeddedCatalog();
    const Known again = Describe(Snapshot::Restore(*std::move(parts)));
    EXPECT_EQ(again.message.SerializeAsString(), known.message.SerializeAsString());
    EXPECT_EQ(again.times_ms, known.times_ms);
  }
}

TEST(Known, WhatDidNotChangeIsNotStoredAgain) {
  Contents contents;
  KnownWriter writer;
  const auto keep = [&](const TestWorld& world) {
    return contents.Keep(writer.Write(Describe(world.Snapshot())));
  };
  const std::size_t first = keep(Large(5000, 40, Duration(0)));
  EXPECT_LT(first, 250'000U);
  // A refresh that told the same values again.
  EXPECT_EQ(keep(Large(5000, 40, std::chrono::seconds(30))), 0U);
  // Another intensity everywhere: the places alone.
  EXPECT_LT(keep(Large(5000, 41, std::chrono::seconds(60))), 4000U);
  // A node more: its part and what holds the parts together.
  TestWorld grown = Large(5000, 41, std::chrono::seconds(60));
  NodeFacts facts = *grown.input().nodes.front();
  facts.name += "-2";
  grown.Node(facts);
  EXPECT_LT(keep(grown), first / 8);
}

TEST(Known, AChangedContentIsNamed) {
  Contents contents;
  const KnownWriter::Written written =
      KnownWriter().Write(Describe(Large(600, 40, Duration(0)).Snapshot()));
  contents.Keep(written);
  for (auto& [hash, bytes] : contents.kept()) {
    const std::string before = bytes;
    for (std::size_t at = 0; at < bytes.size(); at += 97) {
      bytes[at] = static_cast<char>(bytes[at] ^ 4);
      EXPECT_THAT(ReadKnown(written.hash, contents.fetch()).status().message(),
                  HasSubstr(Hex(hash).substr(0, 16) + "… was changed"));
      bytes = before;
    }
  }
  contents.kept().erase(written.contents.front()->hash);
  EXPECT_EQ(ReadKnown(written.hash, contents.fetch()).status().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace sobre
