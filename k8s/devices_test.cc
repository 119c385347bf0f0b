#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/json_objects.h"
#include "k8s/wire_objects.h"
#include "proto/k8s/objects.pb.h"

// What is read of accelerators and other devices, the same from JSON and from protobuf.
namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string JsonOf(const Pairs& pairs) {
  std::string json = "{";
  for (const auto& [key, value] : pairs)
    json += (json.size() > 1 ? ",\"" : "\"") + key + "\":\"" + value + "\"";
  return json + "}";
}

// A pod that asks for this in a container, and for that in one that runs before it.
PodFacts PodWith(const Pairs& requests, const Pairs& at_start = {}, const Pairs& annotations = {}) {
  const auto pod = ParsePod(
      Padded(R"({"metadata":{"name":"p","annotations":)" + JsonOf(annotations) +
             R"(},"spec":{"initContainers":[{"resources":{"requests":)" + JsonOf(at_start) +
             R"(}}],"containers":[{"resources":{"requests":)" + JsonOf(requests) + "}}]}}"));
  EXPECT_TRUE(pod.ok()) << pod.status().message();
  k8s::wire::Pod wire;
  wire.mutable_metadata()->set_name("p");
  for (const auto& [key, value] : annotations)
    (*wire.mutable_metadata()->mutable_annotations())[key] = value;
  const auto fill = [](const Pairs& pairs, k8s::wire::Container& container) {
    auto& amounts = *container.mutable_resources()->mutable_requests();
    for (const auto& [key, value] : pairs) amounts[key].set_string(value);
  };
  fill(at_start, *wire.mutable_spec()->add_init_containers());
  fill(requests, *wire.mutable_spec()->add_containers());
  const auto read = PodOf(wire.SerializeAsString());
  EXPECT_TRUE(read && read->requests == pod->requests);
  return *pod;
}

NodeFacts NodeWith(const Pairs& allocatable, const Pairs& labels = {},
                   const Pairs& annotations = {}) {
  const auto node = ParseNode(Padded(R"({"metadata":{"name":"n","labels":)" + JsonOf(labels) +
                                     R"(,"annotations":)" + JsonOf(annotations) +
                                     R"(},"status":{"allocatable":)" + JsonOf(allocatable) + "}}"));
  EXPECT_TRUE(node.ok()) << node.status().message();
  k8s::wire::Node wire;
  wire.mutable_metadata()->set_name("n");
  for (const auto& [key, value] : labels) (*wire.mutable_metadata()->mutable_labels())[key] = value;
  for (const auto& [key, value] : annotations)
    (*wire.mutable_metadata()->mutable_annotations())[key] = value;
  for (const auto& [key, value] : allocatable)
    (*wire.mutable_status()->mutable_allocatable())[key].set_string(value);
  const auto read = NodeOf(wire.SerializeAsString(), {});
  EXPECT_TRUE(read);
  EXPECT_EQ(read->allocatable, node->allocatable);
  EXPECT_EQ(read->gpu_sharing, node->gpu_sharing);
  EXPECT_EQ(read->gpu_replicas, node->gpu_replicas);
  return *node;
}

TEST(Devices, ExtendedResourcesThatAreNotCountedAreKeptByName) {
  for (const char* name :
       {"habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore", "google.com/tpu",
        "gpu.intel.com/i915", "gpu.intel.com/xe", "huawei.com/Ascend910", "nvidia.com/gpumem",
        "nvidia.com/gpucores", "nvidia.com/mig-1c.3g.20gb", "nvidia.com/mig-1g.5gb.shared",
        "nvidia.com/mig-9g.5gb", "nvidia.com/mig-1g", "nvidia.com/mig-0g.5gb", "amd.com/cpx_nps4",
        "acme.com/never-seen", "mykubernetes.io/thing", "rdma/hca",
        "deviceclass.resource.kubernetes.io/gpu.nvidia.com"}) {
    const Resources requests = PodWith({{"cpu", "1"}, {name, "2"}}).requests;
    EXPECT_THAT(requests.devices, ElementsAre(name));
    EXPECT_FALSE(requests.UsesGpu()) << name;
    EXPECT_THAT(NodeWith({{name, "2"}}).allocatable.devices, ElementsAre(name));
    EXPECT_THAT(NodeWith({{name, "0"}}).allocatable.devices, IsEmpty()) << name;
  }
}

TEST(Devices, WhatIsNoDeviceIsNotKept) {
  for (const char* name :
       {"cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "pods", "attachable-volumes-aws-ebs",
        "kubernetes.io/thing", "storage.kubernetes.io/thing", "sobre.dev/limits"})
    EXPECT_THAT(PodWith({{name, "1"}}).requests.devices, IsEmpty()) << name;
  EXPECT_THAT(PodWith({{"habana.ai/gaudi", "0"}}).requests.devices, IsEmpty());
}

TEST(Devices, SlicesAndCardsThatAreKnownAreCounted) {
  EXPECT_EQ(PodWith({{"nvidia.com/mig-3g.20gb", "2"}}).requests.gpu_slices, 6);
  EXPECT_EQ(PodWith({{"nvidia.com/mig-1g.10gb.me", "1"}}).requests.gpu_slices, 1);
  EXPECT_EQ(PodWith({{"nvidia.com/gpu", "2"}, {"amd.com/gpu", "1"}}).requests.gpus, 3);
  EXPECT_THAT(PodWith({{"nvidia.com/mig-3g.20gb", "2"}, {"nvidia.com/gpu", "1"}}).requests.devices,
              IsEmpty());
}

TEST(Devices, ThoseOfInitContainersAndEachOnce) {
  EXPECT_THAT(PodWith({{"b.io/x", "1"}, {"a.io/x", "1"}}, {{"c.io/x", "1"}, {"a.io/x", "1"}})
                  .requests.devices,
              ElementsAre("a.io/x", "b.io/x", "c.io/x"));
}

TEST(Devices, PartsThatAnAnnotationAsksForAreDevices) {
  EXPECT_THAT(PodWith({}, {}, {{"gpu-fraction", "0.5"}, {"gpu-operator", "x"}}).requests.devices,
              ElementsAre("annotation gpu-fraction"));
  EXPECT_THAT(PodWith({}, {}, {{"gpu-memory", "2000"}}).requests.devices,
              ElementsAre("annotation gpu-memory"));
  EXPECT_THAT(PodWith({}, {}, {{"gpu-fraction", ""}}).requests.devices, IsEmpty());
}

TEST(Devices, ClaimsOfThePodOrAContainer) {
  const auto claims = [](const std::string& spec) {
    return ParsePod(Padded(R"({"metadata":{"name":"p"},"spec":)" + spec + "}"))
        ->has_resource_claims;
  };
  EXPECT_TRUE(claims(R"({"resourceClaims":[{"name":"g"}]})"));
  EXPECT_TRUE(claims(R"({"containers":[{"resources":{"claims":[{"name":"g"}]}}]})"));
  EXPECT_TRUE(claims(R"({"initContainers":[{"resources":{"claims":[{"name":"g"}]}}]})"));
  EXPECT_TRUE(claims(R"({"resources":{"claims":[{"name":"g"}]}})"));
  EXPECT_FALSE(claims(R"({"resourceClaims":[],"containers":[{"resources":{"claims":null}}]})"));
  for (int kind = 0; kind < 4; ++kind) {
    k8s::wire::Pod pod;
    pod.mutable_metadata()->set_name("p");
    auto& spec = *pod.mutable_spec();
    if (kind == 0) spec.add_resource_claims()->set_name("g");
    if (kind == 1) spec.add_containers()->mutable_resources()->add_claims()->set_name("g");
    if (kind == 2) spec.add_init_containers()->mutable_resources()->add_claims()->set_name("g");
    if (kind == 3) spec.mutable_resources()->add_claims()->set_name("g");
    EXPECT_TRUE(PodOf(pod.SerializeAsString())->has_resource_claims) << kind;
  }
}

TEST(Devices, WhoseAcceleratorsANodeListsIsRead) {
  const GpuSharing both = NodeWith({{"nvidia.com/gpu", "1"}, {"amd.com/gpu", "1"}}, {}).gpu_sharing;
  EXPECT_TRUE(both.of_nvidia && both.of_amd);
  const GpuSharing one = NodeWith({{"nvidia.com/gpu", "0"}, {"amd.com/gpu", "1"}}, {}).gpu_sharing;
  EXPECT_TRUE(!one.of_nvidia && one.of_amd);
}

TEST(Devices, HowANodesAcceleratorsAreDividedIsRead) {
  EXPECT_EQ(NodeWith({}, {{"nvidia.com/gpu.count", "8"}}).gpu_sharing.count, 8);
  EXPECT_EQ(NodeWith({}, {{"nvidia.com/gpu.count", "99999999999999999"}}).gpu_sharing.count,
            1'000'000);
  EXPECT_EQ(NodeWith({}, {{"nvidia.com/gpu.count", "-1"}}).gpu_sharing.count, 0);
  EXPECT_TRUE(NodeWith({}, {{"nvidia.com/gpu.sharing-strategy", "mps"}}).gpu_sharing.shared);
  EXPECT_FALSE(NodeWith({}, {{"nvidia.com/gpu.sharing-strategy", "none"}}).gpu_sharing.shared);
  const GpuSharing single = NodeWith({}, {{"nvidia.com/mig.strategy", "single"},
                                          {"nvidia.com/mig.config", "all-disabled"}})
                                .gpu_sharing;
  EXPECT_TRUE(single.mig_single && !single.mig_slices) << "the operator's default";
  EXPECT_TRUE(NodeWith({}, {{"nvidia.com/mig.config", "all-1g.10gb"}}).gpu_sharing.mig_slices);
  EXPECT_TRUE(NodeWith({}, {{"nvidia.com/gpu.slices.gi", "1"}}).gpu_sharing.mig_slices);
  for (const auto& [label, value] :
       Pairs{{"cloud.google.com/gke-gpu-partition-size", "1g.5gb"},
             {"cloud.google.com/gke-gpu-sharing-strategy", "mps"},
             {"cloud.google.com/gke-max-shared-clients-per-gpu", "2"},
             {"nvidia.com/vgpu.present", "true"},
             {"nvidia.com/mig-1g.5gb.replicas", "4"},
             {"nvidia.com/mig-1g.5gb.sharing-strategy", "time-slicing"},
             {"amd.com/compute-memory-partition", "cpx_nps4"}})
    EXPECT_EQ(NodeWith({}, {{label, value}}).gpu_sharing.by, label);
  for (const auto& [label, value] : Pairs{{"cloud.google.com/gke-max-shared-clients-per-gpu", "1"},
                                          {"nvidia.com/vgpu.present", "false"},
                                          {"nvidia.com/mig-1g.5gb.replicas", "1"},
                                          {"nvidia.com/mig-1g.5gb.count", "4"},
                                          {"amd.com/compute-memory-partition", "spx_nps1"}})
    EXPECT_EQ(NodeWith({}, {{label, value}}).gpu_sharing.by, "") << label;
  EXPECT_EQ(
      NodeWith({}, {}, {{"hami.io/node-nvidia-register", "[]"}, {"hami.io/node-handshake", ""}})
          .gpu_sharing.by,
      "hami.io/node-handshake")
      << "the first by name, in whatever order they stand";
}

}  // namespace
}  // namespace sobre
