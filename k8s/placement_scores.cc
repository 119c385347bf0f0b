#include "k8s/placement_scores.h"

#include <string_view>

#include <simdjson.h>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

constexpr std::string_view kApi = "/apis/cluster.open-cluster-management.io/v1alpha1";
constexpr std::string_view kVersion = "cluster.open-cluster-management.io/v1alpha1";
constexpr std::string_view kLabel = "app.kubernetes.io/managed-by";
constexpr std::string_view kOurs = "sobre";

std::string FolderOf(const std::string& cluster) {
  return std::string(kApi) + "/namespaces/" + PercentEncode(cluster) + "/addonplacementscores";
}

std::string PathOf(const std::string& cluster, const std::string& name) {
  return FolderOf(cluster) + "/" + PercentEncode(name);
}

std::string ObjectJson(const std::string& cluster, const std::string& name) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("apiVersion").Value(kVersion).Key("kind").Value("AddOnPlacementScore");
  json.Key("metadata").BeginObject().Key("name").Value(name).Key("namespace").Value(cluster);
  json.Key("labels").BeginObject().Key(kLabel).Value(kOurs).EndObject().EndObject().EndObject();
  return out;
}

std::string StatusJson(const PlacementScoreList& scores, Timestamp valid_until) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject().Key("status").BeginObject();
  // metav1.Time has whole seconds.
  json.Key("validUntil").Value(FormatTime(valid_until).substr(0, 19) + "Z");
  json.Key("scores").BeginArray();
  for (const auto& [name, value] : scores)
    json.BeginObject().Key("name").Value(name).Key("value").Value(value).EndObject();
  json.EndArray().EndObject().EndObject();
  return out;
}

Status Done(const Result<HttpReply>& reply) {
  if (!reply.ok()) return reply.status();
  return reply->status < 300 ? Status::Ok() : Status::Unavailable(Complaint(*reply));
}

}  // namespace

Result<std::vector<PlacementScores::Object>> PlacementScores::Ours() {
  const Result<HttpReply> reply =
      api_.Call("GET", std::string(kApi) + "/addonplacementscores?labelSelector=" +
                           PercentEncode(std::string(kLabel) + "=" + std::string(kOurs)));
  if (const Status status = Done(reply); !status.ok()) return status;
  simdjson::dom::parser parser;
  simdjson::dom::array items;
  if (parser.parse(reply->body)["items"].get(items) != simdjson::SUCCESS)
    return Status::Invalid("addonplacementscores: not what the API server sends");
  const auto text = [](const simdjson::dom::element& item, const char* key) {
    std::string_view value;
    return item["metadata"][key].get(value) == simdjson::SUCCESS ? std::string(value) : "";
  };
  std::vector<Object> objects;
  for (const simdjson::dom::element item : items)
    objects.push_back({text(item, "namespace"), text(item, "name"), text(item, "uid")});
  return objects;
}

Status PlacementScores::Write(const std::string& cluster, bool exists,
                              const PlacementScoreList& scores, Timestamp valid_until) {
  if (!exists) {
    const Result<HttpReply> made =
        api_.Call("POST", FolderOf(cluster), ObjectJson(cluster, object_));
    if (made.ok() && made->status == 409) {
      return Status::Invalid("AddOnPlacementScore " + cluster + "/" + object_ +
                             " is there without the label " + std::string(kLabel) + "=" +
                             std::string(kOurs) + ": somebody else's");
    }
    if (Status status = Done(made); !status.ok()) return status;
  }
  return Done(api_.Call("PATCH", PathOf(cluster, object_) + "/status",
                        StatusJson(scores, valid_until), "application/merge-patch+json"));
}

Status PlacementScores::Remove(const Object& object) {
  std::string body;
  JsonWriter json(body);
  // One of the same name that came after it is another's.
  json.BeginObject().Key("preconditions").BeginObject();
  json.Key("uid").Value(object.uid).EndObject().EndObject();
  const Result<HttpReply> reply =
      api_.Call("DELETE", PathOf(object.cluster, object.name), std::move(body));
  return reply.ok() && reply->status == 404 ? Status::Ok() : Done(reply);
}

}  // namespace sobre
