#include <set>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "cmake/embedded_file.h"
#include "scoring/policy_keys.h"

namespace sobre {

extern const EmbeddedFile kAdmissionPolicies[];

namespace {

// What stands between single quotes.
std::set<std::string> QuotedIn(std::string_view text) {
  std::set<std::string> found;
  for (std::size_t begin = text.find('\''); begin != std::string_view::npos;
       begin = text.find('\'', begin)) {
    const std::size_t end = text.find('\'', begin + 1);
    if (end == std::string_view::npos) break;
    found.emplace(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  return found;
}

// The policies mark pods that say anything else. A key that they lack would have every pod that
// says it wait for Sobre; one too many would be a limit that nobody judges.
TEST(AdmissionPolicies, KnowTheKeysThatAreNoLimits) {
  std::set<std::string> expected;
  for (const KnownKey& key : KnownKeys()) {
    if (key.kind == KeyKind::kPreference || key.kind == KeyKind::kOwn)
      expected.insert("sobre.dev/" + std::string(key.name));
  }
  int policies = 0;
  for (const YAML::Node& policy : YAML::LoadAll(std::string(kAdmissionPolicies[0].bytes))) {
    for (const YAML::Node& variable : policy["spec"]["variables"]) {
      if (variable["name"].Scalar() != "preferences") continue;
      ++policies;
      EXPECT_EQ(QuotedIn(variable["expression"].Scalar()), expected)
          << policy["metadata"]["name"].Scalar();
    }
  }
  EXPECT_EQ(policies, 2) << "the one that marks pods and the one that refuses them";
}

}  // namespace
}  // namespace sobre
