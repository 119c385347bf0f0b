#include "grpc/growth_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/k8s/objects.pb.h"
#include "scoring/test_world.h"

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string NodeBytes(const std::string& region) {
  k8s::wire::Node node;
  node.mutable_metadata()->set_name("template");
  (*node.mutable_metadata()->mutable_labels())["topology.kubernetes.io/region"] = region;
  auto& allocatable = *node.mutable_status()->mutable_allocatable();
  allocatable["cpu"].set_string("8");
  allocatable["memory"].set_string("32Gi");
  return node.SerializeAsString();
}

std::string PodBytes(const std::string& name, const std::string& objective) {
  k8s::wire::Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_("shop");
  auto* owner = pod.mutable_metadata()->add_owner_references();
  owner->set_kind("StatefulSet");
  owner->set_name("web");
  owner->set_controller(true);
  (*pod.mutable_metadata()->mutable_annotations())["sobre.dev/objective"] = objective;
  auto* container = pod.mutable_spec()->add_containers();
  (*container->mutable_resources()->mutable_requests())["cpu"].set_string("2");
  return pod.SerializeAsString();
}

std::shared_ptr<const WorldState> World() { return MakeState(TestWorld().input()); }

void AddOption(const std::string& group, std::vector<std::string> pods,
               grpcplugin::BestOptionsRequest& request) {
  grpcplugin::Option* option = request.add_options();
  option->set_nodegroupid(group);
  option->set_nodecount(1);
  for (std::string& pod : pods) option->add_podbytes(std::move(pod));
}

TEST(GrowthRequest, PodsThatAreAlikeAreGathered) {
  grpcplugin::BestOptionsRequest request;
  AddOption("a", {PodBytes("web-0", "carbon"), PodBytes("web-1", "carbon"), PodBytes("x", "cost")},
            request);
  AddOption("b", {PodBytes("web-0", "carbon")}, request);
  (*request.mutable_nodebytesmap())["a"] = NodeBytes("fr-par");
  (*request.mutable_nodebytesmap())["b"] = NodeBytes("pl-waw");
  const GrowthRequest read = ReadGrowthRequest(request, *World(), {{}, "scaleway"});
  EXPECT_EQ(read.kinds.size(), 2U);
  ASSERT_EQ(read.options.size(), 2U);
  ASSERT_EQ(read.options[0].pods.size(), 2U);
  EXPECT_EQ(read.options[0].pods[0].count, 2);
  EXPECT_EQ(read.options[1].pods[0].count, 1);
  EXPECT_TRUE(read.problems.empty());
  EXPECT_THAT(
      JudgeGrowth(std::vector{read.kinds[0]}, std::span(read.options).subspan(1), *read.snapshot)
          .best,
      ElementsAre(0));
}

TEST(GrowthRequest, AnyReleasesFieldsAreRead) {
  for (const bool typed : {true, false}) {
    grpcplugin::BestOptionsRequest request;
    grpcplugin::Option* option = request.add_options();
    option->set_nodegroupid("a");
    (typed ? option->add_pod() : option->add_podbytes())->assign(PodBytes("web-0", "carbon"));
    (*(typed ? request.mutable_nodemap() : request.mutable_nodebytesmap()))["a"] =
        NodeBytes("fr-par");
    const GrowthRequest read = ReadGrowthRequest(request, *World(), {{}, "scaleway"});
    EXPECT_EQ(read.kinds.size(), 1U);
    EXPECT_NE(read.options[0].node, Snapshot::kUnknownNode);
    EXPECT_EQ(read.options[0].machines, 1);
  }
}

TEST(GrowthRequest, WhatCannotBeReadIsToldAndUnknown) {
  grpcplugin::BestOptionsRequest request;
  AddOption("a", {"\xff\xff\xff", PodBytes("web-0", "carbon")}, request);
  AddOption("b", {}, request);
  (*request.mutable_nodebytesmap())["a"] = "\xff\xff";
  const GrowthRequest read = ReadGrowthRequest(request, *World(), {{}, "scaleway"});
  EXPECT_EQ(read.options[0].node, Snapshot::kUnknownNode);
  EXPECT_EQ(read.options[1].node, Snapshot::kUnknownNode);
  EXPECT_THAT(read.problems,
              ElementsAre(HasSubstr("no v1.Node"), HasSubstr("no v1.Pod"), HasSubstr("b: no")));
  EXPECT_THAT(JudgeGrowth(read.kinds, read.options, *read.snapshot).best, ElementsAre(0, 1));
}

}  // namespace
}  // namespace sobre
