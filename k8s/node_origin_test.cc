#include "k8s/node_origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/objects.h"

namespace sobre {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr std::string_view kRegion = "topology.kubernetes.io/region";
constexpr std::string_view kZone = "topology.kubernetes.io/zone";
constexpr std::string_view kType = "node.kubernetes.io/instance-type";

NodeFacts Finished(std::string_view provider_id, const Labels& labels,
                   const NodeOrigins& origins = {}) {
  NodeFacts node;
  for (const auto& [key, value] : labels) ApplyNodeLabel(key, value, node);
  FinishNode(provider_id, labels, origins, node);
  return node;
}

std::string ProviderOf(std::string_view provider_id, const Labels& labels) {
  return Finished(provider_id, labels).provider;
}

TEST(NodeOrigin, OutscaleIsToldFromAmazonByTypeLabelOrRegion) {
  EXPECT_EQ(ProviderOf("aws:///eu-west-2b/i-7", {{kRegion, "eu-west-2"}, {kType, "tinav6.c4r8p2"}}),
            "outscale");
  EXPECT_EQ(ProviderOf("aws:///us-east-2a/i-7", {{kType, "tinav5.c2r4p1"}}), "outscale");
  EXPECT_EQ(ProviderOf("aws:///eu-west-2a/i-7",
                       {{kRegion, "eu-west-2"}, {"topology.outscale.com/server", "s9"}}),
            "outscale");
  EXPECT_EQ(ProviderOf("aws:///cloudgouv-eu-west-1a/i-7", {}), "outscale");
  EXPECT_EQ(ProviderOf("osc:///eu-west-2a/i-7", {{kRegion, "eu-west-2"}}), "outscale");
}

TEST(NodeOrigin, AmazonIsKnownByItsTypesItsLabelsAndItsOwnRegions) {
  EXPECT_EQ(ProviderOf("aws:///eu-west-2a/i-1", {{kRegion, "eu-west-2"}, {kType, "r7g.2xlarge"}}),
            "aws");
  EXPECT_EQ(ProviderOf("aws:///eu-west-2a/x/fargate-ip-10-0-0-4",
                       {{"eks.amazonaws.com/compute-type", "fargate"}, {kRegion, "eu-west-2"}}),
            "aws");
  EXPECT_EQ(ProviderOf("aws:///us-east-2a/i-1", {{"topology.k8s.aws/zone-id", "use2-az1"}}), "aws");
  // Nobody else has these regions.
  EXPECT_EQ(ProviderOf("aws:///eu-west-3a/i-1", {{kRegion, "eu-west-3"}}), "aws");
  EXPECT_EQ(ProviderOf("aws:///us-gov-west-1a/i-1", {}), "aws");
  EXPECT_EQ(ProviderOf("aws:///ap-southeast-5a/i-1", {{kType, "m4.large"}}), "aws");
}

TEST(NodeOrigin, ANodeThatMayBeAmazonsOrOutscalesIsNobodys) {
  for (const Labels& labels :
       {Labels{{kRegion, "eu-west-2"}}, Labels{{kRegion, "EU-WEST-2"}, {kType, "general-purpose"}},
        // A type of Amazon's that Outscale gives its machines too.
        Labels{{kRegion, "us-west-1"}, {kType, "m4.2xlarge"}}}) {
    const NodeFacts node = Finished("aws:///somewhere/i-1", labels);
    EXPECT_THAT(node.provider, IsEmpty());
    EXPECT_THAT(node.provider_doubt, HasSubstr("aws and outscale write the same providerID"));
  }
  const NodeFacts clone = Finished("aws:///moon-1a/i-1", {{kRegion, "moon-1"}});
  EXPECT_THAT(clone.provider, IsEmpty());
  EXPECT_THAT(clone.provider_doubt, HasSubstr("aws, which has no region moon-1"));
}

TEST(NodeOrigin, ADefaultServesADoubtfulNodeOnlyIfItMayBeTheirs) {
  const Labels labels = {{kRegion, "eu-west-2"}};
  const NodeFacts ours = Finished("aws:///eu-west-2a/i-1", labels, {{}, "outscale"});
  EXPECT_EQ(ours.provider, "outscale");
  EXPECT_THAT(ours.provider_doubt, IsEmpty());
  EXPECT_THAT(Finished("aws:///eu-west-2a/i-1", labels, {{}, "ovhcloud"}).provider, IsEmpty());
  EXPECT_EQ(Finished("aws:///eu-west-3a/i-1", {}, {{}, "outscale"}).provider, "aws");
}

TEST(NodeOrigin, PartnersOfGoogleAndMicrosoftAreKnownByTheirRegions) {
  EXPECT_EQ(ProviderOf("gce://p/u-france-east1-b/n", {{kType, "n2-standard-4"}}), "s3ns");
  EXPECT_EQ(ProviderOf("gce://p/europe-west9-b/n", {}), "gcp");
  const NodeFacts partner = Finished("gce://p/u-elsewhere-north1-a/n", {});
  EXPECT_THAT(partner.provider, IsEmpty());
  EXPECT_THAT(partner.provider_doubt, HasSubstr("u-elsewhere-north1 is of a partner"));
  EXPECT_EQ(ProviderOf("azure:///subscriptions/s/vm", {{kRegion, "bleufrancecentral"}}), "bleu");
  EXPECT_EQ(ProviderOf("azure:///subscriptions/s/vm", {{kRegion, "francecentral"}}), "azure");
}

TEST(NodeOrigin, LabelsOfManagedClustersTellWhereTheProviderIdDoesNot) {
  EXPECT_EQ(ProviderOf("openstack:///5d", {{kRegion, "SBG5"}, {"node.k8s.ovh/type", "gpu"}}),
            "ovhcloud");
  EXPECT_THAT(ProviderOf("openstack:///5d", {{kRegion, "RegionTwo"}}), IsEmpty());
  EXPECT_EQ(Finished("openstack:///5d", {}, {{}, "infomaniak"}).provider, "infomaniak");
}

TEST(NodeOrigin, TheRegionComesFromAnyLabelOrTheProviderId) {
  struct Case {
    std::string_view id;
    Labels labels;
    std::string_view region;
  };
  const std::vector<Case> cases = {
      {"aws:///eu-north-1c/i-1",
       {{"failure-domain.beta.kubernetes.io/region", "eu-north-1"}},
       "eu-north-1"},
      {"aws:///eu-north-1c/i-1", {}, "eu-north-1"},
      {"aws:///us-west-2-lax-1a/i-1", {}, "us-west-2"},
      {"aws:///us-gov-east-1b/i-1", {}, "us-gov-east-1"},
      {"gce://project/asia-east2-c/node", {}, "asia-east2"},
      {"scaleway://instance/nl-ams-3/5c", {}, "nl-ams"},
      {"azure:///subscriptions/x/vm", {{kZone, "northeurope-2"}}, "northeurope"},
      {"azure:///subscriptions/x/vm", {{kZone, "0"}}, ""},
      {"openstack://RegionOne/5d", {}, "RegionOne"},
      {"openstack:///5d", {}, ""},
      {"oci://ocid1.instance.oc1.eu-frankfurt-1.anthe", {}, "eu-frankfurt-1"},
      {"ocid1.instance.oc1.uk-london-1.anwg", {}, "uk-london-1"},
      {"ap-southeast-1.i-t4n", {}, "ap-southeast-1"},
      // The cluster's, not the machine's.
      {"eks-hybrid:///eu-west-1/cluster/mi-1", {}, ""},
      {"aws:///x/i-1", {}, ""},
      {"aws:///", {}, ""},
      {"gce://", {}, ""},
      {"", {}, ""}};
  for (const Case& one : cases) {
    const NodeFacts node = Finished(one.id, one.labels);
    EXPECT_EQ(node.region, one.region) << one.id;
    EXPECT_EQ(node.region_derived, !one.region.empty()) << one.id;
  }
  const NodeFacts labelled = Finished("aws:///eu-north-1c/i-1", {{kRegion, "eu-south-1"}});
  EXPECT_EQ(labelled.region, "eu-south-1");
  EXPECT_FALSE(labelled.region_derived);
}

TEST(NodeOrigin, RulesOfTheConfigurationTellTheRest) {
  NodeOrigins origins;
  origins.rules.push_back({"aws://*", "", "eu-*", {{"pool", "secure-*"}}, "outscale"});
  origins.rules.push_back({"", "vm.*", "", {}, "mine", MachineKind::kServer});
  origins.rules.push_back({"gce://*", "", "", {}, "s3ns"});
  const NodeFacts secure =
      Finished("aws:///eu-west-2a/i-1", {{kRegion, "EU-WEST-2"}, {"pool", "secure-1"}}, origins);
  EXPECT_EQ(secure.provider, "outscale");
  EXPECT_EQ(secure.provider_rule, 0);
  // All of a rule must fit.
  EXPECT_EQ(Finished("aws:///eu-west-3a/i-1", {{"pool", "open"}}, origins).provider, "aws");
  EXPECT_EQ(Finished("aws:///us-east-1a/i-1", {{"pool", "secure-1"}}, origins).provider, "aws");
  const NodeFacts own = Finished("weird://1", {{kType, "vm.8"}}, origins);
  EXPECT_EQ(own.provider, "mine");
  EXPECT_EQ(own.machine_kind, MachineKind::kServer);
  EXPECT_EQ(own.provider_rule, 1);
  // They come before what the catalogue says, and after the node's own label.
  EXPECT_EQ(Finished("gce://p/europe-west1-b/n", {}, origins).provider, "s3ns");
  EXPECT_EQ(Finished("gce://p/europe-west1-b/n", {{"sobre.dev/provider", "gcp"}}, origins).provider,
            "gcp");
}

TEST(NodeOrigin, AMachineOfACloudIsAShareOfAHost) {
  for (const std::string_view id :
       {"hcloud://77", "digitalocean://5", "exoscale://a", "ionos://b", "linode://4", "civo://c",
        "oci://ocid1.instance.oc1.iad.x", "ibm://acct///c/kube-1", "cn-beijing.i-2ze",
        "qcloud:///100003/ins-9", "openstack:///5d", "vsphere://42", "stackit://9", "vultr://d",
        "aws:///eu-west-2a/i-1", "upcloud:////e", "proxmox://dc/100"})
    EXPECT_EQ(Finished(id, {}).machine_kind, MachineKind::kVirtual) << id;
  for (const std::string_view id :
       {"hrobot://9", "hcloud://bm-9", "scaleway://baremetal/fr-par-2/x", "metal3://a",
        "equinixmetal://b"})
    EXPECT_EQ(Finished(id, {}).machine_kind, MachineKind::kServer) << id;
  EXPECT_EQ(Finished("ocid1.instance.oc1.iad.x", {{kType, "BM.Standard.E5.192"}}).machine_kind,
            MachineKind::kServer);
  EXPECT_EQ(Finished("hrobot://9", {}).provider, "hetzner");
  EXPECT_EQ(Finished("0f3c2a", {{"node.kubernetes.io/baremetal", "false"}}).machine_kind,
            MachineKind::kVirtual);
}

TEST(NodeOrigin, OnesOwnMetalIsAServerAndAStrangersMachineIsUnclear) {
  EXPECT_EQ(Finished("", {}).machine_kind, MachineKind::kNotTold);
  EXPECT_EQ(Finished("k3s://edge-1", {{kType, "k3s"}}).machine_kind, MachineKind::kNotTold);
  EXPECT_EQ(Finished("", {{kType, "r650"}}).machine_kind, MachineKind::kNotTold);
  // Types that only clouds have.
  EXPECT_EQ(Finished("", {{kType, "m7g.medium"}}).machine_kind, MachineKind::kVirtual);
  EXPECT_EQ(Finished("", {{kType, "Standard_D4s_v5"}}).machine_kind, MachineKind::kVirtual);
  for (const std::string_view id :
       {"somecloud://1", "3f1c-uuid", "eks-hybrid:///eu-west-1/c/n", "scaleway://external/u"})
    EXPECT_EQ(Finished(id, {}).machine_kind, MachineKind::kUnclear) << id;
}

TEST(NodeOrigin, AMachineElsewhereIsNotTheDefaultProviders) {
  const NodeFacts node = Finished("scaleway://external/5c", {}, {{}, "scaleway"});
  EXPECT_THAT(node.provider, IsEmpty());
  EXPECT_THAT(node.provider_doubt, HasSubstr("elsewhere"));
}

}  // namespace
}  // namespace sobre
