#include "k8s/manifests.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <simdjson.h>
#include <yaml-cpp/yaml.h>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

// Thrown inside this file alone.
struct Malformed {
  std::string message;
};

// Deeper than any manifest, and far from the end of the stack.
constexpr int kMostDepth = 64;
// What aliases may multiply a text to: so many times its bytes, and a small one to so many.
constexpr std::size_t kMostTimes = 8;
constexpr std::size_t kMostOfSmall = std::size_t{1} << 20;

// YAML as JSON, with the types that the API server reads into it.
class YamlToJson {
 public:
  static std::string Convert(const YAML::Node& node, std::size_t most_bytes) {
    YamlToJson converter(most_bytes);
    JsonWriter json(converter.out_);
    converter.Write(node, json, 0);
    return std::move(converter.out_);
  }

 private:
  explicit YamlToJson(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  static bool IsNull(const std::string& word) {
    return word.empty() || word == "~" || word == "null" || word == "Null" || word == "NULL";
  }
  static std::optional<bool> Flag(const std::string& word) {
    if (word == "true" || word == "True" || word == "TRUE") return true;
    if (word == "false" || word == "False" || word == "FALSE") return false;
    return std::nullopt;
  }
  // As JSON spells numbers too: others stay text, which is what Kubernetes reads quantities from.
  static bool IsNumber(const std::string& word) {
    std::size_t at = word.starts_with('-') ? 1 : 0;
    const auto digits = [&] {
      const std::size_t from = at;
      while (at < word.size() && word[at] >= '0' && word[at] <= '9') ++at;
      return at - from;
    };
    const bool zero_first = at < word.size() && word[at] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero_first && whole > 1)) return false;
    if (at < word.size() && word[at] == '.') {
      ++at;
      if (digits() == 0) return false;
    }
    if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
      ++at;
      if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
      if (digits() == 0) return false;
    }
    return at == word.size();
  }

  [[noreturn]] static void Fail(const YAML::Node& node, const std::string& message) {
    throw Malformed{"line " + std::to_string(node.Mark().line + 1) + ": " + message};
  }

  void WriteScalar(const YAML::Node& node, JsonWriter& json) {
    const std::string& word = node.Scalar();
    // Quoted, or of a stated type: text.
    const bool plain = node.Tag() == "?";
    if (plain && IsNull(word)) {
      json.Null();
    } else if (const auto flag = plain ? Flag(word) : std::nullopt) {
      json.Value(*flag);
    } else if (plain && IsNumber(word)) {
      json.Raw(word);
    } else {
      json.Value(std::string_view(word));
    }
  }

  void WriteFields(const YAML::Node& map, JsonWriter& json, int depth,
                   std::vector<std::string>& keys) {
    if (depth > kMostDepth) Fail(map, "nested too deeply");
    std::vector<YAML::Node> merged;
    for (const auto& field : map) {
      if (!field.first.IsScalar()) Fail(field.first, "a key that is no word");
      const std::string& key = field.first.Scalar();
      if (key == "<<" && field.first.Tag() == "?") {
        merged.push_back(field.second);
        continue;
      }
      if (std::find(keys.begin(), keys.end(), key) != keys.end())
        Fail(field.first, "'" + Printable(key, 60) + "' stands there twice");
      keys.push_back(key);
      json.Key(key);
      Write(field.second, json, depth + 1);
    }
    // What stands in the map itself comes before what is merged into it.
    for (const YAML::Node& each : merged) {
      std::vector<YAML::Node> maps;
      if (each.IsSequence()) {
        for (const YAML::Node& map_of_list : each) maps.push_back(map_of_list);
      } else {
        maps.push_back(each);
      }
      for (const YAML::Node& from : maps) {
        if (!from.IsMap()) Fail(from, "<<: expected a mapping");
        MergeFields(from, json, depth + 1, keys);
      }
    }
  }

  void MergeFields(const YAML::Node& map, JsonWriter& json, int depth,
                   std::vector<std::string>& keys) {
    if (depth > kMostDepth) Fail(map, "nested too deeply");
    for (const auto& field : map) {
      if (!field.first.IsScalar()) Fail(field.first, "a key that is no word");
      const std::string& key = field.first.Scalar();
      if (key == "<<") {
        if (field.second.IsMap()) MergeFields(field.second, json, depth + 1, keys);
        continue;
      }
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      keys.push_back(key);
      json.Key(key);
      Write(field.second, json, depth + 1);
    }
  }

  void Write(const YAML::Node& node, JsonWriter& json, int depth) {
    if (depth > kMostDepth) Fail(node, "nested too deeply");
    if (out_.size() > most_bytes_) Fail(node, "its aliases make too much of it");
    switch (node.Type()) {
      case YAML::NodeType::Map: {
        std::vector<std::string> keys;
        json.BeginObject();
        WriteFields(node, json, depth, keys);
        json.EndObject();
        return;
      }
      case YAML::NodeType::Sequence:
        json.BeginArray();
        for (const YAML::Node& item : node) Write(item, json, depth + 1);
        json.EndArray();
        return;
      case YAML::NodeType::Scalar:
        WriteScalar(node, json);
        return;
      default:
        json.Null();
    }
  }

  const std::size_t most_bytes_;
  std::string out_;
};

std::string_view WithoutMark(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

// Each document as JSON; empty ones are left out.
Result<std::vector<std::string>> DocumentsOf(std::string_view raw) {
  const std::string_view text = WithoutMark(raw);
  const std::string_view trimmed = Trim(text);
  if (trimmed.empty()) return Status::Invalid("nothing is in it");
  if (trimmed.starts_with('{') || trimmed.starts_with('['))
    return std::vector<std::string>{std::string(text)};
  try {
    std::vector<std::string> documents;
    for (const YAML::Node& document : YAML::LoadAll(std::string(text))) {
      if (document.IsNull()) continue;
      if (document.IsScalar())
        return Status::Invalid("line " + std::to_string(document.Mark().line + 1) +
                               ": expected an object of Kubernetes, in JSON or YAML");
      documents.push_back(YamlToJson::Convert(document, kMostOfSmall + text.size() * kMostTimes));
    }
    if (documents.empty()) return Status::Invalid("nothing is in it");
    return documents;
  } catch (const Malformed& error) {
    return Status::Invalid(error.message);
  } catch (const YAML::Exception& error) {
    return Status::Invalid("line " + std::to_string(error.mark.line + 1) + ": " +
                           Printable(error.msg));
  }
}

std::string_view TextAt(dom::element object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS) return {};
  return text;
}

std::optional<dom::element> At(dom::element object, std::string_view key) {
  dom::element value;
  if (object[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

// By shape: `containers` that are containers.
bool IsPodSpec(dom::element value) {
  dom::array containers;
  if (value["containers"].get(containers) != simdjson::SUCCESS) return false;
  return std::any_of(containers.begin(), containers.end(), [](dom::element container) {
    return At(container, "image") || At(container, "name") || At(container, "resources");
  });
}

struct Found {
  std::string kind;  // of the object that it stands in
  std::string name;
  std::string path;  // empty: the object is the pod
  bool of_job = false;
  dom::element root;
  std::optional<dom::element> metadata;
  dom::element spec;
};

// All pods of one object, in their order.
class Search {
 public:
  Search(dom::element root, std::string kind, std::vector<Found>& found)
      : root_(root), kind_(std::move(kind)), name_(NameIn(root)), found_(found) {}

  void Run() { In(root_, "", kind_ == "Job", At(root_, "metadata"), 0); }

  // A manifest may leave the end of the name to the API server.
  static std::string NameIn(dom::element object) {
    const auto metadata = At(object, "metadata");
    if (!metadata) return {};
    std::string_view name = TextAt(*metadata, "name");
    if (name.empty()) {
      name = TextAt(*metadata, "generateName");
      if (name.ends_with('-')) name.remove_suffix(1);
    }
    return std::string(name);
  }

 private:
  void In(dom::element value, const std::string& path, bool of_job,
          std::optional<dom::element> metadata, int depth) {
    if (depth > kMostDepth) return;
    dom::array items;
    if (value.get(items) == simdjson::SUCCESS) {
      std::size_t index = 0;
      for (const dom::element item : items) {
        In(item, path + "[" + NameOfItem(item, index) + "]", of_job, metadata, depth + 1);
        ++index;
      }
      return;
    }
    dom::object fields;
    if (value.get(fields) != simdjson::SUCCESS) return;
    const auto spec = At(value, "spec");
    if (spec && IsPodSpec(*spec)) {
      Add(path, of_job, At(value, "metadata"), *spec);
      return;
    }
    if (!path.empty() && IsPodSpec(value)) {
      Add(path, of_job, metadata, value);
      return;
    }
    for (const dom::key_value_pair field : fields) {
      if (field.key == "status" || field.key == "metadata") continue;
      // A template of Jobs has the template of their pods.
      const auto inner = At(field.value, "spec");
      const bool makes_jobs = field.key.ends_with("emplate") && inner && At(*inner, "template");
      In(field.value, (path.empty() ? "" : path + ".") + std::string(field.key),
         of_job || makes_jobs, metadata, depth + 1);
    }
  }

  static std::string NameOfItem(dom::element item, std::size_t index) {
    for (const std::string_view key : {"name", "groupName"}) {
      if (const std::string_view name = TextAt(item, key); !name.empty()) return std::string(name);
    }
    return std::to_string(index);
  }

  void Add(const std::string& path, bool of_job, std::optional<dom::element> metadata,
           dom::element spec) {
    found_.push_back({kind_, name_, path, of_job, root_, metadata, spec});
  }

  dom::element root_;
  std::string kind_;
  std::string name_;
  std::vector<Found>& found_;
};

std::string ObjectOf(const Found& found) {
  return (found.kind.empty() ? "Pod" : found.kind) + "/" + (found.name.empty() ? "?" : found.name);
}

// The object, and its part where it has several.
std::string Describe(const Found& found, const std::vector<Found>& all) {
  const bool alone = std::count_if(all.begin(), all.end(), [&](const Found& other) {
                       return ObjectOf(other) == ObjectOf(found);
                     }) == 1;
  return Printable(ObjectOf(found) + (alone ? "" : ", " + found.path), 300);
}

bool Names(std::string_view which, const Found& found, const std::vector<Found>& all) {
  const auto is = [which](std::string_view text) { return EqualsIgnoreCase(which, text); };
  if (is(Describe(found, all)) || is(ObjectOf(found)) || is(found.name) || is(found.kind) ||
      is(found.path))
    return true;
  std::size_t from = 0;
  while (from < found.path.size()) {
    const std::size_t end = std::min(found.path.find_first_of(".[]", from), found.path.size());
    if (end > from && is(std::string_view(found.path).substr(from, end - from))) return true;
    from = end + 1;
  }
  return false;
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    text += (i == 0 ? "" : "; ") + names[i];
  if (names.size() > kMost) text += "; and " + std::to_string(names.size() - kMost) + " more";
  return text;
}

// Kinds whose pods are made from one place, where an author may have left it empty.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTemplates = {{
    {"Pod", "spec.containers"},
    {"PodTemplate", "template.spec.containers"},
    {"Deployment", "spec.template.spec.containers"},
    {"StatefulSet", "spec.template.spec.containers"},
    {"DaemonSet", "spec.template.spec.containers"},
    {"ReplicaSet", "spec.template.spec.containers"},
    {"ReplicationController", "spec.template.spec.containers"},
    {"Job", "spec.template.spec.containers"},
    {"CronJob", "spec.jobTemplate.spec.template.spec.containers"},
    {"Rollout", "spec.template.spec.containers"},
}};

std::string WhyNoPod(const std::vector<std::string>& kinds) {
  constexpr std::string_view kWanted =
      ": expected a Pod, or an object with a pod template (a Deployment, a Job, …)";
  std::vector<std::string> texts;
  for (const std::string& kind : kinds) {
    const auto known = std::find_if(kTemplates.begin(), kTemplates.end(),
                                    [&](const auto& entry) { return entry.first == kind; });
    if (kind.empty()) {
      texts.emplace_back("an object without kind and spec.containers");
    } else if (known != kTemplates.end()) {
      texts.push_back(WithArticle(kind) + " without " + std::string(known->second));
    } else {
      texts.push_back(WithArticle(kind) + ", not a Pod, without a template that has containers");
    }
  }
  if (texts.size() == 1 && kinds[0] == "Node") return "a Node, not a Pod" + std::string(kWanted);
  return Listed(texts) + std::string(kWanted);
}

// The pod as JSON, as its controller would have the API server make it.
std::string JsonOf(const Found& found, std::string_view namespace_name) {
  const auto meta_of = [&](std::string_view key) -> std::optional<dom::element> {
    return found.metadata ? At(*found.metadata, key) : std::nullopt;
  };
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("metadata").BeginObject();
  const std::string_view own_name =
      found.path.empty() && found.metadata ? TextAt(*found.metadata, "name") : std::string_view();
  json.Key("name").Value(own_name.empty() ? std::string_view(found.name) : own_name);
  std::string_view in = found.metadata ? TextAt(*found.metadata, "namespace") : std::string_view();
  if (const auto metadata = At(found.root, "metadata"); in.empty() && metadata)
    in = TextAt(*metadata, "namespace");
  json.Key("namespace").Value(in.empty() ? namespace_name : in);
  for (const std::string_view key : {"annotations", "labels"}) {
    if (const auto value = meta_of(key)) json.Key(key).Raw(simdjson::minify(*value));
  }
  if (found.path.empty()) {
    for (const std::string_view key : {"uid", "ownerReferences"}) {
      if (const auto value = meta_of(key)) json.Key(key).Raw(simdjson::minify(*value));
    }
  } else {
    json.Key("ownerReferences").BeginArray().BeginObject();
    json.Key("kind").Value(found.of_job ? std::string_view("Job") : std::string_view(found.kind));
    json.Key("name").Value(std::string_view(found.name)).Key("controller").Value(true);
    json.EndObject().EndArray();
  }
  json.EndObject().Key("spec").Raw(simdjson::minify(found.spec)).EndObject();
  return text;
}

// Annotations of an object do not reach the pods of its template.
void AddHints(const Found& found, std::vector<std::string>& hints) {
  const auto metadata = At(found.root, "metadata");
  const auto annotations = metadata ? At(*metadata, "annotations") : std::nullopt;
  dom::object fields;
  if (found.path.empty() || !annotations || annotations->get(fields) != simdjson::SUCCESS) return;
  const bool is_bare = found.metadata && TextAt(*found.metadata, "name") == found.name;
  if (is_bare) return;
  std::string keys;
  for (const dom::key_value_pair field : fields) {
    if (field.key.starts_with(kAnnotationPrefix))
      keys += (keys.empty() ? "" : ", ") + Printable(field.key, 100);
  }
  if (keys.empty()) return;
  hints.push_back(keys + ": on the " + Printable(found.kind, 63) +
                  " itself, which its pods do not inherit; a pod's annotations stand in " +
                  Printable(found.path, 200) + ".metadata.annotations");
}

// The objects of a document: itself, or the items of a List.
void AddObjects(dom::element document, std::vector<std::pair<dom::element, std::string>>& objects) {
  dom::array items;
  if (document.get(items) == simdjson::SUCCESS) {
    for (const dom::element item : items) objects.emplace_back(item, TextAt(item, "kind"));
    return;
  }
  const std::string_view kind = TextAt(document, "kind");
  if (!kind.ends_with("List") || document["items"].get(items) != simdjson::SUCCESS) {
    objects.emplace_back(document, kind);
    return;
  }
  std::string_view of_item = kind;
  of_item.remove_suffix(std::string_view("List").size());
  for (const dom::element item : items) {
    const std::string_view own = TextAt(item, "kind");
    objects.emplace_back(item, own.empty() ? of_item : own);
  }
}

std::size_t Choose(const std::vector<Found>& found, std::string_view which) {
  std::vector<std::string> names;
  std::vector<std::size_t> matching;
  for (std::size_t i = 0; i < found.size(); ++i) {
    names.push_back(Describe(found[i], found));
    if (!which.empty() && Names(which, found[i], found)) matching.push_back(i);
  }
  if (which.empty()) {
    const auto pods = std::count_if(found.begin(), found.end(),
                                    [](const Found& each) { return each.path.empty(); });
    // Pods that were printed are many of one thing: the first is none that anybody meant.
    if (pods > 1 && found.front().path.empty())
      throw Malformed{"a list of " + std::to_string(pods) +
                      " Pods: --template NAME takes one of them: " + Listed(names)};
    return 0;
  }
  if (matching.size() == 1) return matching.front();
  throw Malformed{(matching.empty() ? "no pod is called '" : "more than one pod is called '") +
                  Printable(which, 100) + "': there are " + Listed(names)};
}

ManifestPod ReadPod(const std::vector<std::string>& documents, std::string_view which,
                    std::string_view namespace_name) {
  std::vector<dom::parser> parsers(documents.size());
  std::vector<std::pair<dom::element, std::string>> objects;
  bool is_pod_list = false;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    dom::element document;
    if (const auto error = parsers[i].parse(documents[i]).get(document); error != simdjson::SUCCESS)
      throw Malformed{std::string("not valid JSON: ") + simdjson::error_message(error)};
    is_pod_list |= document.is_object() && TextAt(document, "kind") == "PodList";
    AddObjects(document, objects);
  }
  std::vector<Found> found;
  std::vector<std::string> kinds;
  for (const auto& [object, kind] : objects) {
    if (!object.is_object()) throw Malformed{"expected an object of Kubernetes, in JSON or YAML"};
    Search(object, kind, found).Run();
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  if (found.empty() && objects.empty()) throw Malformed{"a List without an item"};
  if (found.empty()) throw Malformed{WhyNoPod(kinds)};
  if (is_pod_list && which.empty()) {
    std::vector<std::string> names;
    names.reserve(found.size());
    for (const Found& each : found) names.push_back(Describe(each, found));
    throw Malformed{"a PodList, not a Pod: --template NAME takes one of it: " + Listed(names)};
  }
  const std::size_t chosen = Choose(found, which);
  const Found& taken = found[chosen];
  Result<PodFacts> pod = ParsePod(Padded(JsonOf(taken, namespace_name)));
  if (!pod.ok()) throw Malformed{Describe(taken, found) + ": " + pod.status().message()};
  ManifestPod read;
  read.pod = *std::move(pod);
  read.taken = Describe(taken, found);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (i != chosen) read.others.push_back(Describe(found[i], found));
  AddHints(taken, read.hints);
  return read;
}

}  // namespace

Result<ManifestPod> ReadPodManifest(std::string_view text, std::string_view which,
                                    std::string_view namespace_name) {
  const Result<std::vector<std::string>> documents = DocumentsOf(text);
  if (!documents.ok()) return documents.status();
  try {
    return ReadPod(*documents, which, namespace_name);
  } catch (const Malformed& error) {
    return Status::Invalid(error.message);
  }
}

Result<std::vector<NodeFacts>> ReadNodesManifest(std::string_view text,
                                                 const NodeOrigins& origins) {
  const Result<std::vector<std::string>> documents = DocumentsOf(text);
  if (!documents.ok()) return documents.status();
  std::vector<NodeFacts> all;
  for (const std::string& document : *documents) {
    Result<std::vector<NodeFacts>> nodes = ParseNodes(Padded(document), origins);
    if (!nodes.ok()) return nodes.status();
    std::move(nodes->begin(), nodes->end(), std::back_inserter(all));
  }
  return all;
}

Result<NamespaceFacts> ReadNamespaceManifest(std::string_view text) {
  const Result<std::vector<std::string>> documents = DocumentsOf(text);
  if (!documents.ok()) return documents.status();
  if (documents->size() > 1) return Status::Invalid("several documents: expected one Namespace");
  return ParseNamespace(Padded(documents->front()));
}

}  // namespace sobre
