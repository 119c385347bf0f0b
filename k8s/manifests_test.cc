#include "k8s/manifests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sobre {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ManifestPod Read(const std::string& text, std::string_view which = {}) {
  Result<ManifestPod> read = ReadPodManifest(text, which);
  EXPECT_TRUE(read.ok()) << read.status().message();
  return read.ok() ? *std::move(read) : ManifestPod();
}

std::string ErrorOf(const std::string& text, std::string_view which = {}) {
  const Result<ManifestPod> read = ReadPodManifest(text, which);
  return read.ok() ? "" : read.status().message();
}

// A template of a pod with one container, at this indentation.
std::string Template(const std::string& indent, const std::string& cpu) {
  return indent + "metadata: {annotations: {sobre.dev/objective: carbon}}\n" + indent + "spec:\n" +
         indent + "  containers:\n" + indent +
         "  - {name: c, image: i, resources: {requests: {cpu: " + cpu + "}}}\n";
}

std::string Object(const std::string& kind, const std::string& path, const std::string& cpu = "3") {
  std::string text =
      "apiVersion: example.org/v1\nkind: " + kind + "\nmetadata: {name: thing, namespace: lab}\n";
  std::string indent;
  std::size_t from = 0;
  while (from <= path.size()) {
    const std::size_t end = std::min(path.find('.', from), path.size());
    std::string key = path.substr(from, end - from);
    const bool is_list = key.ends_with("[]");
    if (is_list) key.resize(key.size() - 2);
    text += indent + key + ":\n";
    indent += "  ";
    if (is_list) {
      text += indent + "- name: part\n";
      indent += "  ";
    }
    from = end + 1;
  }
  return text + Template(indent, cpu);
}

TEST(PodManifest, IsTheTemplateOfWhateverMakesPods) {
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"Deployment", "spec.template"},
      {"StatefulSet", "spec.template"},
      {"DaemonSet", "spec.template"},
      {"ReplicaSet", "spec.template"},
      {"ReplicationController", "spec.template"},
      {"Rollout", "spec.template"},
      {"Service", "spec.template"},
      {"PodTemplate", "template"},
      {"PyTorchJob", "spec.pytorchReplicaSpecs.Worker.template"},
      {"MPIJob", "spec.mpiReplicaSpecs.Launcher.template"},
      {"XGBoostJob", "spec.xgbReplicaSpecs.Master.template"},
      {"RayCluster", "spec.workerGroupSpecs[].template"},
      {"RayJob", "spec.rayClusterSpec.headGroupSpec.template"},
      {"LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate"},
  };
  for (const auto& [kind, path] : kinds) {
    const ManifestPod read = Read(Object(kind, path));
    EXPECT_EQ(read.pod.requests.millicpu, 3000) << kind;
    EXPECT_EQ(read.pod.namespace_name, "lab") << kind;
    EXPECT_EQ(read.pod.name, "thing") << kind;
    EXPECT_EQ(read.pod.workload, "thing") << kind;
    EXPECT_FALSE(read.pod.is_batch_job) << kind;
    ASSERT_EQ(read.pod.annotations.size(), 1U) << kind;
    EXPECT_EQ(read.pod.annotations[0].key, "objective") << kind;
    EXPECT_THAT(read.others, IsEmpty()) << kind;
  }
}

TEST(PodManifest, WhatAJobMakesIsABatchJob) {
  for (const auto& [kind, path] : std::vector<std::pair<std::string, std::string>>{
           {"Job", "spec.template"},
           {"CronJob", "spec.jobTemplate.spec.template"},
           {"JobSet", "spec.replicatedJobs[].template.spec.template"},
           {"TrainingRuntime", "spec.template.spec.replicatedJobs[].template.spec.template"}}) {
    const ManifestPod read = Read(Object(kind, path));
    EXPECT_TRUE(read.pod.is_batch_job) << kind;
    EXPECT_EQ(read.pod.requests.millicpu, 3000) << kind;
  }
}

TEST(PodManifest, ABarePodSpecIsFoundByItsContainers) {
  const ManifestPod read = Read(R"(
kind: InferenceService
metadata: {name: llm, annotations: {sobre.dev/objective: cost}}
spec:
  predictor:
    containers: [{name: k, image: i, resources: {limits: {cpu: 2, nvidia.com/gpu: "1"}}}]
)");
  EXPECT_EQ(read.pod.requests.millicpu, 2000);
  EXPECT_EQ(read.pod.requests.gpus, 1);
  ASSERT_EQ(read.pod.annotations.size(), 1U) << "its controller hands them on";
  EXPECT_THAT(read.hints, IsEmpty());
}

TEST(PodManifest, APodIsReadAsItStands) {
  const std::string json = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","uid":"u",
    "ownerReferences":[{"kind":"Job","name":"night","controller":true}]},
    "spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"250m"}}}],
            "initContainers":[{"name":"i","resources":{"limits":{"cpu":"1"}}}],
            "overhead":{"cpu":"10m"}}})";
  const ManifestPod read = Read(json);
  EXPECT_EQ(read.pod.uid, "u");
  EXPECT_EQ(read.pod.namespace_name, "default");
  EXPECT_EQ(read.pod.workload, "night");
  EXPECT_TRUE(read.pod.is_batch_job);
  EXPECT_EQ(read.pod.requests.millicpu, 1010);
  const Result<ManifestPod> elsewhere = ReadPodManifest(json, {}, "shop");
  EXPECT_EQ(elsewhere->pod.namespace_name, "shop") << "where the manifest names none";
}

TEST(PodManifest, OfSeveralTheFirstIsTakenOrTheOneThatIsNamed) {
  const std::string text = "kind: ConfigMap\nmetadata: {name: c}\n---\n" +
                           Object("Deployment", "spec.template", "1") + "---\n---\n" +
                           Object("CronJob", "spec.jobTemplate.spec.template", "2");
  const ManifestPod first = Read(text);
  EXPECT_EQ(first.taken, "Deployment/thing");
  EXPECT_THAT(first.others, ElementsAre("CronJob/thing"));
  EXPECT_EQ(Read(text, "cronjob").pod.requests.millicpu, 2000);
  EXPECT_EQ(Read(text, "Deployment/thing").pod.requests.millicpu, 1000);
  EXPECT_THAT(ErrorOf(text, "thing"), HasSubstr("more than one pod is called 'thing'"));
  EXPECT_THAT(
      ErrorOf(text, "StatefulSet"),
      HasSubstr("no pod is called 'StatefulSet': there are Deployment/thing; CronJob/thing"));
}

TEST(PodManifest, PartsOfOneObjectAreToldApartByWhereTheyStand) {
  const std::string text = R"(
kind: PyTorchJob
metadata: {name: train}
spec:
  pytorchReplicaSpecs:
    Master: {template: {spec: {containers: [{name: p, resources: {requests: {cpu: 1}}}]}}}
    Worker: {template: {spec: {containers: [{name: p, resources: {requests: {cpu: 8}}}]}}}
)";
  const ManifestPod master = Read(text);
  EXPECT_EQ(master.taken, "PyTorchJob/train, spec.pytorchReplicaSpecs.Master.template");
  EXPECT_EQ(Read(text, "worker").pod.requests.millicpu, 8000);
  EXPECT_EQ(Read(text, master.others[0]).pod.requests.millicpu, 8000) << "as it was told";
}

TEST(PodManifest, WhatIsNoPodIsRefusedByName) {
  EXPECT_THAT(ErrorOf(R"({"kind":"Node","metadata":{"name":"n"}})"),
              HasSubstr("a Node, not a Pod"));
  EXPECT_THAT(ErrorOf("kind: Deployment\nmetadata: {name: d}\nspec: {replicas: 1}\n"),
              HasSubstr("a Deployment without spec.template.spec.containers"));
  EXPECT_THAT(ErrorOf("kind: Deployment\nspec: {template: {spec: {containers: []}}}\n"),
              HasSubstr("a Deployment without spec.template.spec.containers"));
  EXPECT_THAT(ErrorOf("kind: CronJob\n"),
              HasSubstr("a CronJob without spec.jobTemplate.spec.template.spec.containers"));
  EXPECT_THAT(ErrorOf(R"({"kind":"Pod","metadata":{"name":"n"},"spec":{}})"),
              HasSubstr("a Pod without spec.containers"));
  EXPECT_THAT(ErrorOf("kind: InferenceService\nspec: {predictor: {model: {}}}\n"),
              HasSubstr("an InferenceService, not a Pod"));
  EXPECT_THAT(ErrorOf(R"({"kind":"PodList","items":[]})"), HasSubstr("a List without an item"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("an object without kind"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("nothing is in it"));
  EXPECT_THAT(ErrorOf("---\n# nothing\n---\n"), HasSubstr("nothing is in it"));
  EXPECT_THAT(ErrorOf("just words"), HasSubstr("expected an object of Kubernetes"));
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("expected an object of Kubernetes"));
  EXPECT_THAT(ErrorOf("a: [1"), HasSubstr("line "));
  EXPECT_THAT(ErrorOf("{\"kind\": \"Pod\""), HasSubstr("not valid JSON"));
}

TEST(PodManifest, AListOfPodsIsAskedWhichOne) {
  const std::string pod = R"({"metadata":{"name":"NAME"},"spec":{"containers":[{"name":"c",
      "resources":{"requests":{"cpu":"CPU"}}}]}})";
  const auto named = [&](const std::string& name, const std::string& cpu) {
    std::string text = pod;
    text.replace(text.find("NAME"), 4, name);
    return text.replace(text.find("CPU"), 3, cpu);
  };
  const std::string items = "[" + named("a", "1") + "," + named("b", "2") + "]";
  const std::string list = R"({"kind":"PodList","items":)" + items + "}";
  EXPECT_THAT(ErrorOf(list), HasSubstr("a PodList, not a Pod: --template NAME takes one of it"));
  EXPECT_THAT(ErrorOf(R"({"kind":"PodList","items":[)" + named("a", "1") + "]}"),
              HasSubstr("a PodList, not a Pod"));
  EXPECT_THAT(ErrorOf(R"({"kind":"List","items":)" + items + "}"), HasSubstr("a list of 2 Pods"));
  EXPECT_EQ(Read(list, "b").pod.requests.millicpu, 2000);
}

TEST(PodManifest, AnnotationsOfTheObjectItselfDoNotReachItsPods) {
  const ManifestPod read = Read(R"(
kind: Deployment
metadata: {name: web, annotations: {sobre.dev/allowed-countries: FR, other: x}}
spec: {template: {spec: {containers: [{name: c}]}}}
)");
  EXPECT_THAT(read.pod.annotations, IsEmpty());
  EXPECT_THAT(read.hints, ElementsAre(HasSubstr("sobre.dev/allowed-countries: on the Deployment "
                                                "itself, which its pods do not inherit")));
}

// As the API server reads it: quoted words are texts, plain ones are what they look like.
TEST(PodManifest, YamlHasTheTypesOfJson) {
  const ManifestPod read = Read(R"(
x-defaults: &defaults {name: c, resources: {requests: {cpu: 1.5, memory: 1Gi}}}
kind: Pod
metadata: {name: "007", namespace: ~, annotations: {sobre.dev/carbon-price: "300"}}
spec:
  containers:
  - <<: *defaults
    image: i
)");
  EXPECT_EQ(read.pod.name, "007");
  EXPECT_EQ(read.pod.namespace_name, "default");
  EXPECT_EQ(read.pod.requests.millicpu, 1500);
  EXPECT_EQ(read.pod.requests.memory_bytes, 1LL << 30);
  EXPECT_THAT(ErrorOf("kind: Pod\nmetadata: {name: p, annotations: {sobre.dev/carbon-price: 300}}\n"
                      "spec: {containers: [{name: c}]}\n"),
              HasSubstr("its value needs quotes"));
  EXPECT_THAT(ErrorOf("kind: Pod\nkind: Node\n"), HasSubstr("line 2: 'kind' stands there twice"));
}

TEST(PodManifest, AliasesThatMultiplyEndInAnError) {
  std::string text = "a0: &a0 [xxxxxxxxxxxxxxxx]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j == 0 ? "" : ", ") + last;
    text += "]\n";
  }
  EXPECT_THAT(ErrorOf(text), HasSubstr("aliases"));
  std::string deep = "a: ";
  for (int i = 0; i < 100; ++i) deep += "[";
  for (int i = 0; i < 100; ++i) deep += "]";
  EXPECT_THAT(ErrorOf(deep), HasSubstr("nested too deeply"));
}

TEST(NodesManifest, ComesAsYamlToo) {
  const auto nodes = ReadNodesManifest(R"(
kind: Node
metadata: {name: a, labels: {topology.kubernetes.io/region: fr-par}}
status: {allocatable: {cpu: 4, memory: 16Gi}}
---
apiVersion: v1
kind: List
items:
- kind: Node
  metadata: {name: b}
)");
  ASSERT_TRUE(nodes.ok()) << nodes.status().message();
  ASSERT_EQ(nodes->size(), 2U);
  EXPECT_EQ((*nodes)[0].region, "fr-par");
  EXPECT_EQ((*nodes)[0].allocatable.millicpu, 4000);
  EXPECT_EQ((*nodes)[1].name, "b");
  EXPECT_THAT(ReadNodesManifest("kind: Pod\nmetadata: {name: p}\n").status().message(),
              HasSubstr("a Pod, not a Node"));
}

TEST(NamespaceManifest, ComesAsYamlToo) {
  const auto facts = ReadNamespaceManifest(
      "kind: Namespace\nmetadata: {name: shop, annotations: {sobre.dev/allowed-countries: FR}}\n");
  ASSERT_TRUE(facts.ok()) << facts.status().message();
  EXPECT_EQ(facts->name, "shop");
  ASSERT_EQ(facts->annotations.size(), 1U);
}

}  // namespace
}  // namespace sobre
