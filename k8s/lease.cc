#include "k8s/lease.h"

#include <algorithm>

#include <simdjson.h>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

// Nobody states more who means it.
constexpr std::int64_t kMostSeconds = 3600;

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

std::string Folder(const Lease::Options& options) {
  return "/apis/coordination.k8s.io/v1/namespaces/" + PercentEncode(options.namespace_name) +
         "/leases";
}

}  // namespace

Result<Lease::Found> Lease::Find(const Call& call) const {
  const Result<HttpReply> reply =
      call("GET", Folder(options_) + "/" + PercentEncode(options_.name), "");
  if (!reply.ok()) return reply.status();
  if (reply->status == 404) return Found{"", "", options_.duration};
  if (reply->status != 200)
    return Status::Unavailable("lease " + options_.name + ": " + Complaint(*reply));
  simdjson::dom::parser parser;
  simdjson::dom::element lease;
  std::string_view version;
  std::string_view holder;
  if (parser.parse(reply->body).get(lease) != simdjson::SUCCESS ||
      lease["metadata"]["resourceVersion"].get(version) != simdjson::SUCCESS || version.empty())
    return Status::Invalid("lease " + options_.name + ": not what the API server sends");
  if (lease["spec"]["holderIdentity"].get(holder) != simdjson::SUCCESS) holder = {};
  std::int64_t seconds = 0;
  if (lease["spec"]["leaseDurationSeconds"].get(seconds) != simdjson::SUCCESS) seconds = 0;
  // Whoever holds it may believe so for as long as it says.
  const Duration stated = std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kMostSeconds));
  return Found{std::string(version), std::string(holder), std::max(options_.duration, stated)};
}

Result<bool> Lease::Write(const Call& call, const std::string& version, Timestamp now,
                          const char* query) const {
  const std::string json = LeaseJson(options_, version, now);
  const Result<HttpReply> reply =
      version.empty()
          ? call("POST", Folder(options_) + query, json)
          : call("PUT", Folder(options_) + "/" + PercentEncode(options_.name) + query, json);
  if (!reply.ok()) return reply.status();
  if (reply->status == 409) return false;
  if (reply->status >= 300)
    return Status::Unavailable("lease " + options_.name + ": " + Complaint(*reply));
  return true;
}

Result<LeaseHold> Lease::TryHold(const Call& call, Timestamp now, const Clock& clock) {
  const SteadyTime begun = clock();
  const Result<Found> found = Find(call);
  if (!found.ok()) return found.status();
  const bool ours = !found->version.empty() && found->holder == options_.identity;
  bool ran_out = false;
  if (!found->version.empty()) {
    if (found->version != seen_version_) {
      seen_version_ = found->version;
      seen_ = clock();
    }
    ran_out = !found->holder.empty() && begun - seen_ >= found->duration;
    if (!ours && !found->holder.empty() && !ran_out) {
      sure_from_.reset();
      return LeaseHold::kOther;
    }
  }
  const Result<bool> written = Write(call, found->version, now, "");
  if (!written.ok()) return written.status();
  if (!*written) {
    sure_from_.reset();
    return LeaseHold::kOther;
  }
  // One that was deleted while we held it is ours still: who made another is not sure of it before
  // our time is over.
  const bool kept = sure_from_ && (ours || begun < held_until_);
  if (!kept) sure_from_ = ran_out && !ours ? begun : clock() + found->duration;
  held_until_ = begun + options_.duration;
  return begun >= *sure_from_ ? LeaseHold::kOurs : LeaseHold::kFresh;
}

Result<std::string> Lease::Look(const Call& call, Timestamp now) const {
  const Result<Found> found = Find(call);
  if (!found.ok()) return found.status();
  const Result<bool> written = Write(call, found->version, now, "?dryRun=All");
  if (!written.ok()) return written.status();
  return found->holder;
}

Lease::Call CallsOf(ApiClient& api) {
  return [&api](std::string_view method, const std::string& path, std::string body) {
    return api.Call(method, path, std::move(body));
  };
}

}  // namespace sobre
