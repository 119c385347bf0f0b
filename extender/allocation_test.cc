#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "extender/records.h"
#include "extender/service.h"
#include "k8s/json_objects.h"
#include "scoring/test_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // these have an allocator of their own
#else
constexpr bool kSanitized = false;
#endif

namespace {
thread_local std::size_t allocations = 0;
}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads)
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// Where one of them is inlined and the other is not, g++ takes them for a mismatch.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
// NOLINTEND(misc-new-delete-overloads)

namespace sobre {
namespace {

constexpr const char* kPod =
    R"({"Pod":{"metadata":{"name":"web-5d8f7c9b6-x2x4k","namespace":"shop","uid":"0b9d1c1e-7a51-4c5e-9d5e-0b7e6c3a1f00",
      "labels":{"pod-template-hash":"5d8f7c9b6"},"annotations":{"sobre.dev/objective":"carbon","sobre.dev/requests-per-second":"10"},
      "ownerReferences":[{"kind":"ReplicaSet","name":"web-5d8f7c9b6","controller":true}]},
      "spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"2","memory":"4Gi"}}}]}},)";

std::string Question(std::size_t nodes) {
  std::string body = kPod + std::string(R"("Nodes":null,"NodeNames":[)");
  for (std::size_t i = 0; i < nodes; ++i)
    body += (i > 0 ? ",\"" : "\"") + ("node-" + std::to_string(i)) + '"';
  return Padded(body + "]}");
}

std::string QuestionOfVictims(std::size_t nodes) {
  std::string body = kPod + std::string(R"("NodeNameToMetaVictims":{)");
  for (std::size_t i = 0; i < nodes; ++i) {
    body += (i > 0 ? ",\"node-" : "\"node-") + std::to_string(i) +
            R"(":{"Pods":[{"UID":"0b9d1c1e-7a51-4c5e-9d5e-0b7e6c3a1f00"}],"NumPDBViolations":1})";
  }
  return Padded(body + "}}");
}

class AllocationTest : public ::testing::Test {
 protected:
  AllocationTest() {
    TestWorld large;
    for (int i = 0; i < 5000; ++i) {
      const std::string name = "node-" + std::to_string(i);
      large.Node(name, "aws", i % 2 == 0 ? "eu-west-3" : "eu-central-1").Price(name, 0.1 + i % 7);
    }
    world_.Publish(MakeState(large.input()));
  }

  // Of an answer once buffers have grown; the answer's own buffer is handed on, as the server does.
  std::size_t AllocationsFor(Verb verb, const std::string& question) {
    HttpResponse response;
    std::size_t counted = 0;
    for (int i = 0; i < 50; ++i) {
      std::string kept = std::move(response.body);
      kept.clear();
      response = {};
      response.body = std::move(kept);
      const std::size_t before = allocations;
      verb == Verb::kFilter    ? service_.Filter({"", question}, response)
      : verb == Verb::kPreempt ? service_.Preempt({"", question}, response)
                               : service_.Prioritize({"", question}, response);
      counted = allocations - before;
      EXPECT_EQ(response.status, 200);
      EXPECT_TRUE(records_->recorder().WaitUntilWritten(std::chrono::seconds(30)));
    }
    return counted;
  }

  World world_;
  Metrics metrics_;
  std::unique_ptr<Records> records_ = *Records::Open({});
  ExtenderService service_{world_, metrics_, records_->recorder()};
};

TEST_F(AllocationTest, AnAnswerAllocatesTheSameForAnyNumberOfNodes) {
  if (kSanitized) GTEST_SKIP();
  // For the name of the pod's second annotation, which is too long to be held in place.
  constexpr std::size_t kMost = 1;
  for (const std::size_t nodes : {100, 5000}) {
    EXPECT_LE(AllocationsFor(Verb::kPrioritize, Question(nodes)), kMost) << nodes;
    EXPECT_LE(AllocationsFor(Verb::kFilter, Question(nodes)), kMost) << nodes;
    // kube-scheduler's dry run stops at a tenth of the nodes.
    const std::size_t tenth = nodes / 10;
    EXPECT_LE(AllocationsFor(Verb::kPreempt, QuestionOfVictims(tenth)), kMost) << tenth;
  }
}

}  // namespace
}  // namespace sobre
