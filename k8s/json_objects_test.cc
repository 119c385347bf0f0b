#include "k8s/json_objects.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPod = R"({"metadata":{"name":"web-1","namespace":"shop","uid":"u-1",
  "annotations":{"sobre.dev/objective":"carbon","Sobre.Dev/mode":"off","other/x":"y"}},
  "spec":{"initContainers":[{"name":"i","resources":{"requests":{"cpu":"3"}}},
                            {"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"250m"}}}],
          "containers":[{"name":"a","resources":{"requests":{"cpu":"1500m","memory":"1Gi","nvidia.com/gpu":"1"}}},
                        {"name":"b","resources":{"requests":{"cpu":1}}},{"name":"c"}],
          "overhead":{"cpu":"10m"}}})";
constexpr const char* kNode = R"({"kind":"Node","metadata":{"name":"n1","labels":{
  "topology.kubernetes.io/region":"fr-par","node.kubernetes.io/instance-type":"PRO2-S"}},
  "spec":{"providerID":"scaleway://instance/fr-par-1/abc"},
  "status":{"allocatable":{"cpu":"7910m","memory":"32886628Ki","nvidia.com/gpu":"2"}}})";

ExtenderArgs Parse(const std::string& json, Status* status) {
  static std::string kept;  // the views point into it
  kept = Padded(json);
  ExtenderArgs args;
  *status = ParseExtenderArgs(kept, args);
  return args;
}

TEST(JsonObjects, NodesAreReadUpToABound) {
  const std::string names = Padded(R"({"Pod":{},"NodeNames":["a","b\n","c"]})");
  const std::string nodes = Padded(
      R"({"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}},{"metadata":{"name":"c"}}]}})");
  for (const std::string& body : {names, nodes}) {
    ExtenderArgs args;
    EXPECT_TRUE(ParseExtenderArgs(body, args, 3).ok());
    const Status status = ParseExtenderArgs(body, args, 2);
    EXPECT_EQ(status.code(), ErrorCode::kTooLarge);
    EXPECT_EQ(status.message(), "over 2 nodes in the request, most of which are not known here");
    EXPECT_EQ(args.names.size(), 2U);
    ReleaseLargeParser();
  }
}

TEST(JsonObjects, AnnotationsAreReadUpToABound) {
  const auto pod_with = [](std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i)
      all += (i == 0 ? "\"" : ",\"") + ("sobre.dev/" + std::to_string(i)) + "\":\"" +
             std::string(1000, 'x') + "\"";
    return Padded(R"({"metadata":{"name":"p","annotations":{)" + all + "}}}");
  };
  const auto pod = ParsePod(pod_with(250));
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->annotations.size(), 250U);
  EXPECT_EQ(ParsePod(pod_with(1100)).status().code(), ErrorCode::kTooLarge);
}

TEST(JsonObjects, ReadsAPodAsTheSchedulerCountsIt) {
  const auto pod = ParsePod(Padded(kPod));
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->namespace_name, "shop");
  EXPECT_EQ(pod->uid, "u-1");
  EXPECT_EQ(pod->requests.millicpu, 3010) << "the init container outweighs 2.75, plus the overhead";
  EXPECT_EQ(pod->requests.memory_bytes, 1LL << 30);
  EXPECT_EQ(pod->requests.gpus, 1);
  ASSERT_EQ(pod->annotations.size(), 2U);
  EXPECT_EQ(pod->annotations[0].key, "objective");
  EXPECT_EQ(pod->annotations[1].key, "Sobre.Dev/mode") << "is told of, and means nothing";
}

// As kube-scheduler's extenders find a resource that they manage: by its name, whatever the amount.
TEST(JsonObjects, TheMarkerIsSeenInAnyContainer) {
  const auto marked = [](const std::string& spec) {
    const auto pod = ParsePod(Padded(R"({"metadata":{"name":"p"},"spec":)" + spec + "}"));
    EXPECT_TRUE(pod.ok()) << spec;
    return pod->has_limits_marker;
  };
  EXPECT_FALSE(marked(R"({"containers":[{"resources":{"requests":{"cpu":"1"}}}]})"));
  EXPECT_FALSE(marked(R"({"containers":[{}],"resources":{"requests":{"sobre.dev/limits":"1"}}})"));
  EXPECT_FALSE(marked(R"({"containers":[{"resources":{"requests":{"sobre.dev/limit":"1"}}}]})"));
  for (const char* const in : {"containers", "initContainers"}) {
    for (const char* const of : {"requests", "limits"}) {
      for (const char* const amount : {"\"1\"", "\"0\"", "1"}) {
        EXPECT_TRUE(marked(std::string(R"({")") + in + R"(":[{},{"resources":{")" + of +
                           R"(":{"sobre.dev/limits":)" + amount + "}}}]}"))
            << in << of << amount;
      }
    }
  }
}

TEST(JsonObjects, WhatIsRequestedForTheWholePodCountsInsteadOfItsContainers) {
  const auto pod = ParsePod(Padded(R"({"metadata":{"name":"p"},"spec":{"overhead":{"cpu":"10m"},
      "resources":{"requests":{"cpu":"4"},"limits":{"cpu":"9"}},
      "containers":[{"resources":{"requests":{"cpu":"1","memory":"1Gi"}}}]}})"));
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->requests.millicpu, 4010);
  EXPECT_EQ(pod->requests.memory_bytes, 1LL << 30);
}

// As the API server defaults them, by container and by resource.
TEST(JsonObjects, ALimitIsTheRequestWhereNoneIsStated) {
  const auto pod = ParsePod(Padded(R"({"metadata":{"name":"p"},"spec":{
      "initContainers":[{"resources":{"limits":{"cpu":"7"}}}],
      "containers":[{"resources":{"limits":{"cpu":"2","memory":"4Gi","nvidia.com/gpu":"1"},
                                  "requests":{"memory":"1Gi"}}},
                    {"resources":{"requests":{"cpu":"500m"},"limits":{"cpu":"4"}}},
                    {"resources":{"limits":{"cpu":"1"},"requests":null}}]}})"));
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->requests.millicpu, 7000) << "the init container outweighs 3.5";
  EXPECT_EQ(pod->requests.memory_bytes, 1LL << 30);
  EXPECT_EQ(pod->requests.gpus, 1);
}

TEST(JsonObjects, ALimitOfTheWholePodIsItsRequestWhereNoContainerRequests) {
  const auto cpu = [](const std::string& containers) {
    const auto pod = ParsePod(Padded(
        R"({"metadata":{"name":"p"},"spec":{"resources":{"limits":{"cpu":"4"}},"containers":)" +
        containers + "}}"));
    return pod.ok() ? pod->requests.millicpu : -1;
  };
  EXPECT_EQ(cpu(R"([{"name":"a"}])"), 4000);
  EXPECT_EQ(cpu(R"([{"name":"a","resources":{"requests":{"cpu":"1"}}}])"), 1000);
}

TEST(JsonObjects, WhatIsNoNodeIsRefusedByName) {
  const auto error = [](const std::string& json) {
    const auto nodes = ParseNodes(Padded(json));
    return nodes.ok() ? "" : nodes.status().message();
  };
  const std::string pod = R"({"kind":"Pod","metadata":{"name":"p"}})";
  EXPECT_THAT(error(pod), HasSubstr("a Pod, not a Node"));
  EXPECT_THAT(error(R"({"kind":"List","items":[)" + pod + "]}"), HasSubstr("a Pod, not a Node"));
  EXPECT_THAT(error(R"({"items":[{"metadata":{"name":"p"}}],"kind":"PodList"})"),
              HasSubstr("a PodList, not a Node"));
  EXPECT_THAT(error(R"({"kind":"PodList","items":[]})"), HasSubstr("a PodList, not a Node"));
  EXPECT_THAT(error(R"([{"kind":"Ingress","metadata":{"name":"p"}}])"),
              HasSubstr("an Ingress, not a Node"));
  EXPECT_THAT(error(R"({"items":[{"metadata":{"name":"p"},"spec":{"containers":[]}}]})"),
              HasSubstr("a Pod, not a Node"));
}

TEST(JsonObjects, AnAnnotationThatIsNoTextIsNamed) {
  const auto pod = ParsePod(
      Padded(R"({"metadata":{"name":"p","annotations":{"x":1,"sobre.dev/carbon-price":300}}})"));
  EXPECT_THAT(pod.status().message(), HasSubstr("annotation sobre.dev/carbon-price: not a text"));
}

TEST(JsonObjects, RequestsBeyondAllMachinesStayThere) {
  const auto pod = ParsePod(Padded(R"({"metadata":{"name":"p"},"spec":{"containers":[
      {"resources":{"requests":{"cpu":"9000000000000000","memory":"4Ei"}}},
      {"resources":{"requests":{"cpu":"9000000000000000","memory":"4Ei"}}}]}})"));
  ASSERT_TRUE(pod.ok()) << pod.status().message();
  EXPECT_EQ(pod->requests.millicpu, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(pod->requests.memory_bytes, std::numeric_limits<std::int64_t>::max());
}

TEST(JsonObjects, ReadsNodesInEveryWrapping) {
  for (const std::string& text : {std::string(kNode), "[" + std::string(kNode) + "]",
                                  R"({"kind":"List","items":[)" + std::string(kNode) + "]}"}) {
    const auto nodes = ParseNodes(Padded(text));
    ASSERT_TRUE(nodes.ok()) << nodes.status().message();
    ASSERT_EQ(nodes->size(), 1U);
    const NodeFacts& node = nodes->front();
    EXPECT_EQ(node.name, "n1");
    EXPECT_EQ(node.provider, "scaleway");
    EXPECT_EQ(node.region, "fr-par");
    EXPECT_EQ(node.allocatable.millicpu, 7910);
    EXPECT_EQ(node.allocatable.gpus, 2);
  }
}

TEST(JsonObjects, ALabelNamesTheProviderOverItsId) {
  const auto node = ParseNode(Padded(
      R"({"metadata":{"name":"o","labels":{"sobre.dev/provider":"outscale"}},"spec":{"providerID":"aws:///eu-west-2a/i-1"}})"));
  EXPECT_EQ(node->provider, "outscale");
}

TEST(ExtenderArgs, ReadsNames) {
  Status status;
  const ExtenderArgs args =
      Parse(std::string(R"({"Pod":)") + kPod + R"(,"Nodes":null,"NodeNames":["a","b"]})", &status);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(args.whole_nodes);
  EXPECT_THAT(args.names, ElementsAre("a", "b"));
  EXPECT_EQ(args.pod.name, "web-1");
}

TEST(ExtenderArgs, ReadsNamesWithEscapes) {
  Status status;
  const ExtenderArgs args = Parse(R"({"Pod":{},"NodeNames":[ "a" , "b\u002dc"
        , "" , "d"]})",
                                  &status);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(args.names, ElementsAre("a", "b-c", "", "d"));
  EXPECT_FALSE(args.plain_names);
  for (const char* broken : {R"(["a\x"])", R"(["a)", R"([null])", "[\"a\nb\"]", R"([{"a":1}])"}) {
    Parse(R"({"Pod":{},"NodeNames":)" + std::string(broken) + "}", &status);
    EXPECT_FALSE(status.ok()) << broken;
  }
}

TEST(ExtenderArgs, ReadsWholeNodesAndKeepsTheirText) {
  Status status;
  const ExtenderArgs args =
      Parse(std::string(R"({"pod":)") + kPod + R"(,"nodes":{"metadata":{},"items":[)" + kNode +
                "," + kNode + R"(]},"nodenames":null})",
            &status);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(args.whole_nodes);
  EXPECT_THAT(args.names, ElementsAre("n1", "n1"));
  EXPECT_TRUE(args.plain_names);
  EXPECT_EQ(args.node_texts[0], kNode);
}

// What kube-scheduler sends where it has no node: a slice that is nil, or one that is empty.
TEST(ExtenderArgs, ReadsListsThatAreNil) {
  Status status;
  const ExtenderArgs whole = Parse(
      R"({"Pod":{"spec":{"containers":null}},"Nodes":{"metadata":{},"items":null}})", &status);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(whole.whole_nodes);
  EXPECT_THAT(whole.names, IsEmpty());
  EXPECT_THAT(Parse(R"({"Pod":{},"Nodes":null,"NodeNames":[]})", &status).names, IsEmpty());
  EXPECT_TRUE(status.ok()) << status.message();
}

// A name is a string of Go, which is never nil; nor is there a pod or a node without a name there.
TEST(ExtenderArgs, ANodeHasOneName) {
  Status status;
  for (const char* node :
       {R"({"metadata":{"name":"a"},"metadata":{"name":"b"}})",
        R"({"metadata":{"name":"a","name":"b"}})", R"({"metadata":{"name":null}})",
        R"({"metadata":{"name":""}})", "null", R"("a")"}) {
    Parse(R"({"Pod":{},"Nodes":{"items":[)" + std::string(node) + "]}}", &status);
    EXPECT_FALSE(status.ok()) << node;
  }
  Parse(R"({"Pod":{},"NodeNames":["a",null]})", &status);
  EXPECT_FALSE(status.ok());
}

TEST(ExtenderArgs, SaysWhatIsWrong) {
  const auto error = [](const std::string& json) {
    Status status;
    Parse(json, &status);
    return status.message();
  };
  EXPECT_THAT(error("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"Pod\":{},\"NodeNames\":[\"a\"]} x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("unexpected type"));
  EXPECT_THAT(error(R"({"Pod":[],"NodeNames":[]})"), HasSubstr("unexpected type"));
  EXPECT_THAT(error(R"({"Pod":{},"NodeNames":[1]})"), HasSubstr("unexpected type"));
  EXPECT_THAT(error(R"({"NodeNames":[]})"), HasSubstr("no Pod"));
  EXPECT_THAT(error(R"({"Pod":{}})"), HasSubstr("neither Nodes nor NodeNames"));
  EXPECT_THAT(error(R"({"Pod":{},"Nodes":{"items":[{}]}})"), HasSubstr("without metadata.name"));
  EXPECT_THAT(error(R"({"Pod":{},"Nodes":{"items":[]},"NodeNames":[]})"), HasSubstr("both"));
  EXPECT_THAT(error(R"({"Pod":{},"NodeNames":[]})"), IsEmpty());
  for (const char* const key : {"name", "namespace", "uid"}) {
    EXPECT_THAT(error(R"({"Pod":{"metadata":{")" + std::string(key) + "\":\"" +
                      std::string(254, 'x') + R"("}},"NodeNames":[]})"),
                HasSubstr("over 253 bytes"));
  }
}

ExtenderArgs ParsePreemption(const std::string& json, Status* status) {
  static std::string kept;  // the views point into it
  kept = Padded(json);
  ExtenderArgs args;
  *status = ParsePreemptionArgs(kept, args);
  return args;
}

TEST(PreemptionArgs, ReadsVictimsInBothForms) {
  const std::string pod = R"({"Pod":{"metadata":{"name":"p","uid":"u"}},)";
  for (const std::string& victims :
       {std::string(R"("NodeNameToVictims":null,"NodeNameToMetaVictims":{
            "n\u0031":{"Pods":[{"UID":"a"},{"UID":"b\u0063"}],"NumPDBViolations":3},"n2":{"Pods":null}}})"),
        std::string(R"("nodenametovictims":{
            "n1":{"Pods":[{"kind":"Pod","metadata":{"name":"x","uid":"a","labels":{"uid":"no"}},"spec":{"uid":"no"}},
                          {"metadata":{"uid":"bc"},"status":{}}],"NumPDBViolations":3},
            "n2":{"NumPDBViolations":null}}})")}) {
    Status status;
    const ExtenderArgs args = ParsePreemption(pod + victims, &status);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(args.pod.name, "p");
    EXPECT_THAT(args.names, ElementsAre("n1", "n2"));
    EXPECT_THAT(args.victim_uids, ElementsAre("a", "bc"));
    ASSERT_EQ(args.victims.size(), 2U);
    EXPECT_EQ(args.victims[0].count, 2U);
    EXPECT_EQ(args.victims[0].pdb_violations, 3);
    EXPECT_EQ(args.victims[1].count, 0U);
    EXPECT_FALSE(args.whole_nodes);
  }
}

// As Go reads it: the last of equal keys counts.
TEST(PreemptionArgs, AListThatIsSaidAgainReplacesTheFirst) {
  Status status;
  const ExtenderArgs args = ParsePreemption(
      R"({"Pod":{},"NodeNameToMetaVictims":{"n":{"Pods":[{"UID":"a"},{"UID":"b"}],"pods":[{"UID":"c"}]}}})",
      &status);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(args.victim_uids, ElementsAre("c"));
  EXPECT_EQ(args.victims.at(0).count, 1U);
}

TEST(PreemptionArgs, SaysWhatIsWrong) {
  const auto error = [](const std::string& json) {
    Status status;
    ParsePreemption(json, &status);
    return status.message();
  };
  const auto of = [&](const std::string& victims) {
    return error(R"({"Pod":{},"NodeNameToMetaVictims":)" + victims + "}");
  };
  EXPECT_THAT(error("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("unexpected type"));
  EXPECT_THAT(error(R"({"NodeNameToMetaVictims":{}})"), HasSubstr("no Pod"));
  EXPECT_THAT(error(R"({"Pod":{},"NodeNames":["a"]})"), HasSubstr("neither NodeNameToVictims nor"));
  EXPECT_THAT(error(R"({"Pod":{},"NodeNameToVictims":{},"NodeNameToMetaVictims":{}})"),
              HasSubstr("send one of them"));
  EXPECT_THAT(of("[]"), HasSubstr("unexpected type"));
  EXPECT_THAT(of(R"({"n":null})"), HasSubstr("node 'n' has no victims"));
  EXPECT_THAT(of(R"({"n":{"Pods":[{}]}})"), HasSubstr("a victim without a UID"));
  EXPECT_THAT(of(R"({"n":{"Pods":[null]}})"), HasSubstr("a victim without a UID"));
  EXPECT_THAT(of(R"({"n":{"Pods":[{"UID":7}]}})"), HasSubstr("unexpected type"));
  EXPECT_THAT(of(R"({"n":{"NumPDBViolations":1.5}})"), HasSubstr("JSON"));
  EXPECT_THAT(of(R"({"n":{"NumPDBViolations":99999999999999999999}})"), HasSubstr("JSON"));
  EXPECT_THAT(error(R"({"Pod":{},"NodeNameToVictims":{"n":{"Pods":[{"UID":"u"}]}}})"),
              HasSubstr("a victim without a UID"));
  EXPECT_THAT(of("{}"), IsEmpty());
}

TEST(JsonObjects, AnOwnersNameThatNoObjectCanHaveIsNotFollowed) {
  const auto workload = [](const std::string& owner) {
    const auto pod =
        ParsePod(Padded(R"({"metadata":{"name":"web-1","ownerReferences":[{"kind":"Job","name":")" +
                        owner + R"(","controller":true}]}})"));
    return pod.ok() ? pod->workload : pod.status().message();
  };
  EXPECT_EQ(workload("nightly"), "nightly");
  for (const std::string& bad :
       {std::string("a\\u0000b"), std::string("<img src=x>"), std::string("a/b"),
        std::string("\\u001b[2J"), std::string("\\u202e"), std::string(254, 'x')})
    EXPECT_EQ(workload(bad), "web-1") << bad;
}

TEST(Nodes, OfSeveralPoolLabelsTheOrderDoesNotMatter) {
  for (const char* labels : {R"("nodepool":"b","cloud.google.com/gke-nodepool":"a")",
                             R"("cloud.google.com/gke-nodepool":"a","nodepool":"b")"}) {
    const auto node = ParseNode(Padded(
        R"({"metadata":{"name":"n","labels":{)" + std::string(labels) +
        R"(,"karpenter.sh/capacity-type":"spot"}},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"},)"
        R"({"type":"ExternalIP","address":"1.2.3.4"}]}})"));
    ASSERT_TRUE(node.ok()) << node.status().message();
    EXPECT_EQ(node->pool, "a");
    EXPECT_TRUE(node->spot);
    EXPECT_THAT(node->addresses, ::testing::ElementsAre("10.0.0.1"));
  }
}

}  // namespace
}  // namespace sobre
