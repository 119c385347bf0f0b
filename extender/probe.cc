#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <simdjson.h>

#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/diagnosis.h"
#include "net/http_client.h"

namespace sobre {
namespace {

constexpr std::array<Option, 6> kOptions = {{
    {"--extender", "URL", "the extender port, such as https://sobre.sobre.svc:8090", true},
    {"--ca", "FILE",
     "who signed the port's certificate (PEM); the system's authorities if left out"},
    {"--certificate", "FILE", "show this client certificate (PEM)"},
    {"--key", "FILE", "its private key (PEM)"},
    {"--status", "URL", "also look at the status port, such as http://sobre.sobre.svc:8091"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp =
    "usage: sobre probe --extender URL [--ca FILE] [--certificate FILE --key FILE] [--status "
    "URL]\n\n"
    "Asks a running Sobre as kube-scheduler does, about a pod and nodes that do not exist, and "
    "says\n"
    "whether the answers are right. Nothing of it is recorded. Exit status: 0 when all is well, 1\n"
    "when something is not, 2 for wrong usage.\n\n";

constexpr std::array<std::string_view, 2> kNodes = {"sobre-probe-1", "sobre-probe-2"};
constexpr std::string_view kVictim = "sobre-probe-victim";
// A namespace that each cluster has: limits of one that is not known are not judged.
constexpr std::string_view kPod =
    R"({"Pod":{"metadata":{"name":"sobre-probe","namespace":"default","uid":"sobre-probe",)"
    R"("annotations":{"sobre.dev/mode":"off"}},"spec":{"containers":[{"name":"probe","resources":)"
    R"({"requests":{"cpu":"1","memory":"1Gi"}}}]}},)";
constexpr std::string_view kNames =
    R"("Nodes":null,"NodeNames":["sobre-probe-1","sobre-probe-2"]})";
constexpr std::string_view kVictims =
    R"("NodeNameToVictims":null,"NodeNameToMetaVictims":{)"
    R"("sobre-probe-1":{"Pods":[{"UID":"sobre-probe-victim"}],"NumPDBViolations":0},)"
    R"("sobre-probe-2":{"Pods":[{"UID":"sobre-probe-victim"}],"NumPDBViolations":0}}})";
// As in the profile that we ship.
constexpr Duration kSchedulerWaits = std::chrono::seconds(2);

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What to do where there was no answer.
std::string RepairOf(std::string_view problem, bool with_ca, bool with_certificate) {
  if (Has(problem, "wrong version number"))
    return "the port speaks plain HTTP: say http://, or set listen.tls in Sobre's configuration";
  if (Has(problem, "no alternative certificate subject name") || Has(problem, "does not match"))
    return "use a host name that the certificate has, or issue it for this one";
  if (Has(problem, "certificate problem"))
    return with_ca ? "give by --ca the authority that signed the port's certificate"
                   : "give the authority that signed the port's certificate: --ca FILE";
  if (Has(problem, "alert"))
    return with_certificate ? "show a certificate for clients that listen.tls.client_ca_file "
                              "signed, with one of listen.tls.client_names"
                            : "show a client certificate: --certificate FILE --key FILE";
  if (Has(problem, "resolve")) return "check the host name, and DNS";
  if (Has(problem, "certificate") || Has(problem, "key"))
    return "check the files of --ca, --certificate and --key: PEM, the key without a passphrase";
  return "check that Sobre runs and is ready, the port, and network policies between";
}

std::string HintIn(const std::string& body) {
  simdjson::dom::parser parser;
  std::string_view error;
  if (parser.parse(body)["error"].get(error) == simdjson::SUCCESS) return Printable(error, 200);
  return Printable(Trim(body), 200);
}

// What is wrong with the form of an answer; empty: nothing.
std::string JudgePrioritize(const simdjson::dom::element& answer, std::string& seen) {
  simdjson::dom::array hosts;
  if (answer.get(hosts) != simdjson::SUCCESS) return "is no JSON array";
  if (hosts.size() != kNodes.size())
    return "scores " + std::to_string(hosts.size()) + " nodes of 2";
  for (std::size_t i = 0; i < kNodes.size(); ++i) {
    std::string_view host;
    std::int64_t score = -1;
    if (hosts.at(i)["Host"].get(host) != simdjson::SUCCESS || host != kNodes[i])
      return "does not name the nodes that were asked about";
    if (hosts.at(i)["Score"].get(score) != simdjson::SUCCESS || score < 0 || score > 10)
      return "has a score that is no whole number from 0 to 10";
  }
  seen = "2 nodes scored";
  return "";
}

std::string JudgeFilter(const simdjson::dom::element& answer, std::string& seen) {
  std::string_view error;
  if (answer["Error"].get(error) == simdjson::SUCCESS && !error.empty()) {
    // Limits that are enforced hold for a pod that is switched off, too.
    seen = "refused, which is right under limits that are enforced: " + Printable(error, 200);
    return "";
  }
  simdjson::dom::array kept;
  if (answer["NodeNames"].get(kept) != simdjson::SUCCESS) return "has no list NodeNames";
  std::size_t judged = kept.size();
  for (const char* const key : {"FailedNodes", "FailedAndUnresolvableNodes"}) {
    simdjson::dom::object refused;
    if (answer[key].get(refused) == simdjson::SUCCESS) judged += refused.size();
  }
  for (const simdjson::dom::element name : kept) {
    std::string_view text;
    if (name.get(text) != simdjson::SUCCESS || (text != kNodes[0] && text != kNodes[1]))
      return "names a node that was not asked about";
  }
  if (judged != kNodes.size()) return "judges " + std::to_string(judged) + " nodes of 2";
  seen = std::to_string(kept.size()) + " of 2 nodes kept";
  return "";
}

std::string JudgePreempt(const simdjson::dom::element& answer, std::string& seen) {
  simdjson::dom::object kept;
  if (answer["NodeNameToMetaVictims"].get(kept) != simdjson::SUCCESS)
    return "has no object NodeNameToMetaVictims";
  for (const auto& [node, victims] : kept) {
    if (node != kNodes[0] && node != kNodes[1]) return "names a node that was not asked about";
    std::string_view uid;
    if (victims["Pods"].at(0)["UID"].get(uid) != simdjson::SUCCESS || uid != kVictim)
      return "has other victims than those that were asked about";
  }
  seen = std::to_string(kept.size()) + " of 2 nodes kept";
  return "";
}

// What sobre_build_info tells; empty where it is not on the page.
std::string VersionIn(std::string_view metrics) {
  constexpr std::string_view kBefore = "sobre_build_info{version=\"";
  const std::size_t at = metrics.find(kBefore);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = metrics.substr(at + kBefore.size());
  return Printable(rest.substr(0, rest.find('"')), 40);
}

class Probe {
 public:
  Probe(std::string extender, TlsOptions tls)
      : extender_(std::move(extender)),
        with_ca_(!tls.ca_pem.empty()),
        with_certificate_(!tls.certificate_pem.empty()),
        client_(std::move(tls)) {}

  template <class Judge>
  void Ask(const std::string& verb, std::string_view about, const Judge& judge) {
    HttpCall call;
    call.method = "POST";
    call.url = extender_ + "/v1/" + verb;
    call.headers = {"Content-Type: application/json"};
    call.body = std::string(kPod) + std::string(about);
    const auto start = std::chrono::steady_clock::now();
    const Result<HttpReply> reply = client_.Fetch(call);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!reply.ok())
      return Add(Severity::kError, verb, reply.status().message(),
                 RepairOf(reply.status().message(), with_ca_, with_certificate_));
    if (reply->status != 200)
      return Add(Severity::kError, verb,
                 "status " + std::to_string(reply->status) + ": " + HintIn(reply->body),
                 Has(reply->body, "speaks TLS") ? "say https://"
                 : reply->status == 503         ? "wait until Sobre is ready; its log says what for"
                                                : "check that this is Sobre's extender port");
    simdjson::dom::parser parser;
    simdjson::dom::element answer;
    std::string seen;
    const std::string wrong = parser.parse(reply->body).get(answer) != simdjson::SUCCESS
                                  ? "is no JSON"
                                  : judge(answer, seen);
    if (!wrong.empty())
      return Add(Severity::kError, verb, "the answer " + wrong + ": " + Printable(reply->body, 200),
                 "check that this is Sobre's extender port");
    seen += " in " + FormatNumber(std::round(took.count() * 10) / 10) + " ms";
    if (took > kSchedulerWaits)
      return Add(Severity::kError, verb, seen,
                 "kube-scheduler waits for 2 s: look for throttling of Sobre's processor");
    Add(Severity::kOk, verb, seen, "");
  }

  void LookAtStatus(const std::string& status) {
    HttpCall call;
    call.url = status + "/readyz";
    const Result<HttpReply> ready = client_.Fetch(call);
    if (!ready.ok())
      return Add(Severity::kError, "readyz", ready.status().message(),
                 RepairOf(ready.status().message(), with_ca_, with_certificate_));
    if (ready->status != 200)
      return Add(Severity::kError, "readyz",
                 "status " + std::to_string(ready->status) + ": " + HintIn(ready->body),
                 ready->status == 503 ? "wait; where it stays so, Sobre's log says why"
                                      : "check that this is Sobre's status port");
    Add(Severity::kOk, "readyz", "ready", "");
    call.url = status + "/metrics";
    const Result<HttpReply> metrics = client_.Fetch(call);
    const std::string version = metrics.ok() ? VersionIn(metrics->body) : std::string();
    if (version.empty())
      return Add(Severity::kError, "version",
                 metrics.ok() ? "there is none on " + call.url : metrics.status().message(),
                 "check that this is Sobre's status port");
    if (version != SOBRE_VERSION)
      return Add(Severity::kWarning, "version", version + ", and this program is " SOBRE_VERSION,
                 "wait until all replicas are replaced, or use the program of that version");
    Add(Severity::kOk, "version", version, "");
  }

  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }

 private:
  void Add(Severity severity, const std::string& about, std::string text, std::string repair) {
    findings_.push_back({severity, about, std::move(text), std::move(repair)});
  }

  const std::string extender_;
  const bool with_ca_;
  const bool with_certificate_;
  HttpClient client_;
  std::vector<Finding> findings_;
};

Result<std::string> UrlOf(const CommandLine& line, std::string_view option) {
  std::string url = line.Get(option);
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    return Status::Invalid(std::string(option) +
                           ": expected http:// or https://, a host and a port");
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Status ReadInto(const CommandLine& line, std::string_view option, std::string& pem) {
  if (!line.Has(option)) return Status::Ok();
  Result<std::string> text = ReadFile(line.Get(option));
  if (!text.ok()) return text.status().WithContext(option);
  if (!Has(*text, "-----BEGIN "))
    return Status::Invalid(line.Get(option) + ": is no PEM file").WithContext(option);
  pem = *std::move(text);
  return Status::Ok();
}

}  // namespace

int RunProbe(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("probe", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<std::string> extender = UrlOf(*line, "--extender");
  if (!extender.ok()) return UsageError("probe", extender.status());
  std::string status;
  if (line->Has("--status")) {
    Result<std::string> url = UrlOf(*line, "--status");
    if (!url.ok()) return UsageError("probe", url.status());
    status = *std::move(url);
  }
  if (line->Has("--certificate") != line->Has("--key"))
    return UsageError("probe", Status::Invalid("--certificate and --key go together"));
  TlsOptions tls;
  for (const auto& [option, pem] :
       {std::pair("--ca", &tls.ca_pem), std::pair("--certificate", &tls.certificate_pem),
        std::pair("--key", &tls.key_pem)}) {
    if (const Status read = ReadInto(*line, option, *pem); !read.ok())
      return UsageError("probe", read);
  }
  Probe probe(*extender, std::move(tls));
  probe.Ask("prioritize", kNames, JudgePrioritize);
  probe.Ask("filter", kNames, JudgeFilter);
  probe.Ask("preempt", kVictims, JudgePreempt);
  if (!status.empty()) probe.LookAtStatus(status);
  const std::string text = FindingsText(probe.findings());
  std::fwrite(text.data(), 1, text.size(), stdout);
  for (const Finding& finding : probe.findings())
    if (finding.severity == Severity::kError) return 1;
  return 0;
}

}  // namespace sobre
