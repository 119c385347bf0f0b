#include "k8s/lease.h"

#include <simdjson.h>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

std::string LeaseJson(const Lease::Options& options, std::string_view version, Timestamp now) {
  std::string micro_time = FormatTime(now);
  micro_time = micro_time.substr(0, 19) + ".000000Z";
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("apiVersion").Value("coordination.k8s.io/v1").Key("kind").Value("Lease");
  json.Key("metadata").BeginObject().Key("name").Value(options.name);
  json.Key("namespace").Value(options.namespace_name);
  if (!version.empty()) json.Key("resourceVersion").Value(version);
  json.EndObject().Key("spec").BeginObject();
  json.Key("holderIdentity").Value(options.identity);
  json.Key("leaseDurationSeconds")
      .Value(std::max<std::int64_t>(1, (options.duration.count() + 999) / 1000));
  json.Key("renewTime").Value(micro_time).EndObject().EndObject();
  return out;
}

}  // namespace

Result<bool> Lease::TryHold(ApiClient& api, Timestamp now, SteadyTime steady) {
  const std::string folder = "/apis/coordination.k8s.io/v1/namespaces/" +
                             PercentEncode(options_.namespace_name) + "/leases";
  const std::string path = folder + "/" + PercentEncode(options_.name);
  const Result<HttpReply> found = api.Call("GET", path);
  if (!found.ok()) return found.status();
  std::string version;
  if (found->status == 200) {
    simdjson::dom::parser parser;
    simdjson::dom::element lease;
    std::string_view holder;
    std::string_view current;
    if (parser.parse(found->body).get(lease) != simdjson::SUCCESS ||
        lease["metadata"]["resourceVersion"].get(current) != simdjson::SUCCESS)
      return Status::Invalid("lease " + options_.name + ": not what the API server sends");
    if (lease["spec"]["holderIdentity"].get(holder) != simdjson::SUCCESS) holder = {};
    version = current;
    if (version != seen_version_) {
      seen_version_ = version;
      seen_ = steady;
    }
    const bool free = holder.empty() || steady - seen_ >= options_.duration;
    if (holder != options_.identity && !free) return false;
  } else if (found->status != 404) {
    return Status::Unavailable("lease " + options_.name + ": " + Complaint(*found));
  }
  const Result<HttpReply> taken = version.empty()
                                      ? api.Call("POST", folder, LeaseJson(options_, version, now))
                                      : api.Call("PUT", path, LeaseJson(options_, version, now));
  if (!taken.ok()) return taken.status();
  if (taken->status == 409) return false;  // somebody was quicker
  if (taken->status >= 300)
    return Status::Unavailable("lease " + options_.name + ": " + Complaint(*taken));
  return true;
}

}  // namespace sobre
