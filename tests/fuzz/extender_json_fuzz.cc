// A call of kube-scheduler, from its bytes to the bytes of the answer: all verbs, names and whole
// nodes, victims by UID and as whole pods. The same bytes as a file that somebody wrote.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <simdjson.h>

#include "extender/service.h"
#include "k8s/manifests.h"
#include "scoring/test_world.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

namespace dom = simdjson::dom;

// Three nodes and a namespace that enforces limits. Records are kept by nobody.
class Service {
 public:
  Service() {
    TestWorld small;
    small.Node("a", "aws", "eu-west-3").Node("b", "scaleway", "pl-waw").Node("c", "", "");
    small.Price("a", 0.4).Price("b", 0.3).Power("a", 40, 0.5).Grid("scaleway", "pl-waw", 700);
    small.input().trust_node_labels = true;
    auto state = std::make_shared<WorldState>(*MakeState(small.input()));
    state->ready = true;
    state->namespaces["law"] = MakeNamespacePolicy(
        "law", {{"allowed-countries", "FR,DE"}, {"enforced", "allowed-countries"}}, {});
    state->namespaces["off"] = MakeNamespacePolicy("off", {{"mode", "off"}}, {});
    world_.Publish(std::move(state));
  }

  HttpResponse Ask(Verb verb, std::string_view body) {
    HttpResponse response;
    const HttpRequest request{"", body};
    verb == Verb::kFilter    ? service_.Filter(request, response)
    : verb == Verb::kPreempt ? service_.Preempt(request, response)
                             : service_.Prioritize(request, response);
    return response;
  }

 private:
  sobre::World world_;
  Metrics metrics_;
  Recorder recorder_{{}, {[](const DecisionCase&, const v1::Record*) {}, {}}};
  ExtenderService service_{world_, metrics_, recorder_};
};

void CheckPriorities(const dom::element& answer, const std::vector<std::string>& names) {
  dom::array list;
  SOBRE_HOLDS(answer.get(list) == simdjson::SUCCESS && list.size() == names.size());
  std::size_t at = 0;
  for (const dom::element entry : list) {
    std::string_view host;
    std::int64_t score = -1;
    SOBRE_HOLDS(entry["Host"].get(host) == simdjson::SUCCESS && host == names[at++]);
    SOBRE_HOLDS(entry["Score"].get(score) == simdjson::SUCCESS);
    SOBRE_HOLDS(score >= 0 && score <= kMaxScore);
  }
}

// Each name either passes or fails, once.
void CheckFilter(const dom::element& answer, const std::vector<std::string>& names, bool whole) {
  std::string_view error;
  SOBRE_HOLDS(answer["Error"].get(error) == simdjson::SUCCESS);
  if (!error.empty()) return;
  std::multiset<std::string_view> left(names.begin(), names.end());
  const auto take = [&left](std::string_view name) {
    const auto found = left.find(name);
    SOBRE_HOLDS(found != left.end());
    left.erase(found);
  };
  dom::array passed;
  if (whole) {
    SOBRE_HOLDS(answer["NodeNames"].is_null());
    SOBRE_HOLDS(answer["Nodes"]["items"].get(passed) == simdjson::SUCCESS);
  } else {
    SOBRE_HOLDS(answer["Nodes"].is_null());
    SOBRE_HOLDS(answer["NodeNames"].get(passed) == simdjson::SUCCESS);
  }
  for (const dom::element entry : passed) {
    SOBRE_HOLDS(whole ? entry.is_object() : entry.is_string());
    if (!whole) take(entry.get_string());
  }
  for (const char* key : {"FailedNodes", "FailedAndUnresolvableNodes"}) {
    dom::object failed;
    SOBRE_HOLDS(answer[key].get(failed) == simdjson::SUCCESS);
    for (const auto& [name, reason] : failed) {
      SOBRE_HOLDS(reason.is_string());
      take(name);
    }
  }
  SOBRE_HOLDS(left.size() == (whole ? passed.size() : 0));
}

// What is kept was asked about, once, and has the victims that it came with.
void CheckPreemption(const dom::element& answer, const ExtenderArgs& args,
                     const std::vector<std::string>& names, const std::vector<std::string>& uids) {
  dom::object kept;
  SOBRE_HOLDS(answer["NodeNameToMetaVictims"].get(kept) == simdjson::SUCCESS);
  std::set<std::string_view> left(names.begin(), names.end());
  for (const auto& [name, told] : kept) {
    SOBRE_HOLDS(left.erase(name) == 1);
    const auto at =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    const NodeVictims& victims = args.victims[at];
    std::int64_t violations = 0;
    SOBRE_HOLDS(told["NumPDBViolations"].get(violations) == simdjson::SUCCESS);
    SOBRE_HOLDS(violations == victims.pdb_violations);
    dom::array pods;
    SOBRE_HOLDS(told["Pods"].get(pods) == simdjson::SUCCESS && pods.size() == victims.count);
    std::size_t next = victims.first;
    for (const dom::element pod : pods) {
      std::string_view uid;
      SOBRE_HOLDS(pod["UID"].get(uid) == simdjson::SUCCESS && uid == uids[next++]);
    }
  }
}

void AskOfPreemption(Service& service, std::string_view body, dom::parser& parser) {
  ExtenderArgs args;
  const Status status = ParsePreemptionArgs(body, args);
  // The service parses on this thread, too.
  const std::vector<std::string> names(args.names.begin(), args.names.end());
  const std::vector<std::string> uids(args.victim_uids.begin(), args.victim_uids.end());
  const HttpResponse response = service.Ask(Verb::kPreempt, body);
  SOBRE_HOLDS(response.status == 200 || response.status == 400);
  if (!status.ok()) SOBRE_HOLDS(response.status == 400);
  const auto answer = parser.parse(response.body);
  SOBRE_HOLDS(answer.error() == simdjson::SUCCESS);
  if (response.status == 200) CheckPreemption(answer.value_unsafe(), args, names, uids);
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre;
  using namespace sobre::fuzz;
  static Service service;
  static simdjson::dom::parser parser;
  // No byte more than is promised.
  std::vector<char> buffer(data, data + size);
  buffer.resize(size + kBodyPadding);
  buffer.shrink_to_fit();
  const std::string_view body(buffer.data(), size);
  const bool is_json = parser.parse(body.data(), size, false).error() == simdjson::SUCCESS;
  ExtenderArgs args;
  const Status status = ParseExtenderArgs(body, args);
  const std::vector<std::string> names(args.names.begin(), args.names.end());
  if (const Result<ManifestPod> read = ReadPodManifest(body); read.ok()) {
    SOBRE_HOLDS(!read->pod.name.empty() && !read->pod.namespace_name.empty());
    SOBRE_HOLDS(read->pod.requests.millicpu >= 0 && read->pod.requests.memory_bytes >= 0);
  }
  static_cast<void>(ReadNodesManifest(body));
  for (const Verb verb : {Verb::kPrioritize, Verb::kFilter}) {
    const HttpResponse response = service.Ask(verb, body);
    SOBRE_HOLDS(response.status == 200 || response.status == 400);
    if (!status.ok()) SOBRE_HOLDS(response.status == 400);
    // What nobody reads of a node goes back as it came.
    if (response.status == 200 && !is_json) continue;
    const auto answer = parser.parse(response.body);
    SOBRE_HOLDS(answer.error() == simdjson::SUCCESS);
    if (response.status != 200) continue;
    if (verb == Verb::kPrioritize) {
      CheckPriorities(answer.value_unsafe(), names);
    } else {
      CheckFilter(answer.value_unsafe(), names, args.whole_nodes);
    }
  }
  AskOfPreemption(service, body, parser);
  return 0;
}
