#include "k8s/json_objects.h"

#include <algorithm>
#include <utility>

#include <simdjson.h>

#include "base/text.h"
#include "k8s/objects.h"
#include "net/http_server.h"

namespace sobre {
namespace {

namespace od = simdjson::ondemand;
static_assert(kBodyPadding >= simdjson::SIMDJSON_PADDING);

// Thrown inside this file alone, by the helpers below and by simdjson; the entry points turn it
// into a Status.
struct Malformed {
  std::string message;
  bool too_large = false;
};

od::parser& ThreadParser() {
  thread_local od::parser parser;
  return parser;
}

bool IsNull(od::value& value) { return value.is_null(); }

template <class Take>
void ForEachField(od::object object, const Take& take) {
  for (od::field field : object) {
    const std::string_view key = field.unescaped_key();
    take(key, field.value());
  }
}

template <class Take>
void ForEachField(od::value value, const Take& take) {
  if (!IsNull(value)) ForEachField(od::object(value.get_object()), take);
}

template <class Take>
void ForEachElement(od::value value, const Take& take) {
  if (IsNull(value)) return;
  for (od::value element : value.get_array()) take(element);
}

std::string_view TextOf(od::value value) {
  if (IsNull(value)) return {};
  return value.get_string();
}

// What one asks about, which is read as long as it is not more than `most`.
struct Asked {
  ExtenderArgs& args;
  std::size_t most;
};

[[noreturn, gnu::cold, gnu::noinline]] void RefuseMore(std::size_t most) {
  throw Malformed{
      "over " + std::to_string(most) + " nodes in the request, most of which are not known here",
      true};
}

inline void CheckRoom(const Asked& asked) {
  if (asked.args.names.size() >= asked.most) RefuseMore(asked.most);
}

// Adds a name. A plain one is known to have no escape and is not copied.
void AddName(od::value value, bool plain, const Asked& asked) {
  ExtenderArgs& args = asked.args;
  CheckRoom(asked);
  std::string_view quoted = value.raw_json_token();
  if (quoted.front() != '"') throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
  if (!plain) {
    args.plain_names = false;
    args.names.push_back(value.get_string());
    return;
  }
  while (quoted.back() != '"') quoted.remove_suffix(1);  // white space
  // Consumes it.
  value.get_raw_json_string().value();
  args.names.push_back(quoted.substr(1, quoted.size() - 2));
}

bool HasEscape(std::string_view text) { return text.find('\\') != std::string_view::npos; }

// Whether they are plain is looked for once, in all that follows.
void ReadNames(od::value list, std::string_view body, const Asked& asked) {
  std::optional<bool> plain;
  ForEachElement(list, [&](od::value name) {
    if (!plain) {
      const std::string_view first = name.raw_json_token();
      plain = !HasEscape(body.substr(static_cast<std::size_t>(first.data() - body.data())));
    }
    AddName(name, *plain, asked);
  });
}

// A quantity is a string, or a number where somebody wrote one.
std::string QuantityOf(od::value value) {
  if (value.type() == od::json_type::string)
    return std::string(std::string_view(value.get_string()));
  const std::string_view raw = value.raw_json_token();
  return std::string(Trim(raw));
}

template <class Take>
void ForEachQuantity(od::value value, const Take& take) {
  ForEachField(value, [&](std::string_view name, od::value quantity) {
    const std::string key(name);
    take(key, QuantityOf(quantity));
  });
}

void ReadResources(od::value value, Resources& resources) {
  ForEachQuantity(value, [&](std::string_view name, std::string_view quantity) {
    ApplyResource(name, quantity, resources);
  });
}

struct Requirements {
  Resources requests;
  bool has_limits_marker = false;
  bool has_claims = false;
};

// `resources` of a container: what is requested in it. As the API server sees to it when a pod is
// created, a limit is the request where none is stated for the resource. kube-scheduler finds the
// marker by its name among both.
Requirements ReadRequirements(od::value value) {
  // Reused: most pods of a cluster have both.
  thread_local std::vector<std::string_view> requested;
  thread_local std::vector<std::pair<std::string_view, std::string>> limits;
  requested.clear();
  limits.clear();
  Requirements found;
  ForEachField(value, [&](std::string_view kind, od::value amounts) {
    if (kind == "claims") {
      ForEachElement(amounts, [&](od::value) { found.has_claims = true; });
      return;
    }
    const bool of_requests = kind == "requests";
    if (!of_requests && kind != "limits") return;
    ForEachField(amounts, [&](std::string_view name, od::value quantity) {
      found.has_limits_marker |= name == kLimitsMarker;
      if (of_requests) {
        requested.push_back(name);
        ApplyResource(name, QuantityOf(quantity), found.requests);
      } else {
        limits.emplace_back(name, QuantityOf(quantity));
      }
    });
  });
  for (const auto& [name, quantity] : limits) {
    if (std::find(requested.begin(), requested.end(), name) == requested.end())
      ApplyResource(name, quantity, found.requests);
  }
  return found;
}

// `resources` of a pod as a whole.
void ReadWholePod(od::value value, PodRequests& requests, bool& has_claims) {
  Resources stated;
  Resources limits;
  ForEachField(value, [&](std::string_view kind, od::value amounts) {
    if (kind == "claims") ForEachElement(amounts, [&](od::value) { has_claims = true; });
    if (kind == "requests") ReadResources(amounts, stated);
    if (kind == "limits") ReadResources(amounts, limits);
  });
  requests.SetWholePod(stated, limits);
}

struct Container {
  Resources requests;
  bool has_limits_marker = false;
  bool sidecar = false;
  bool has_claims = false;
};

Container ReadContainer(od::value value) {
  Container container;
  ForEachField(value, [&](std::string_view key, od::value field) {
    if (key == "resources") {
      const Requirements found = ReadRequirements(field);
      container.requests = found.requests;
      container.has_limits_marker = found.has_limits_marker;
      container.has_claims = found.has_claims;
    } else if (key == "restartPolicy") {
      container.sidecar = TextOf(field) == "Always";
    }
  });
  return container;
}

void ReadPodSpec(od::value spec, PodFacts& pod) {
  PodRequests requests;
  ForEachField(spec, [&](std::string_view key, od::value field) {
    if (key == "containers") {
      ForEachElement(field, [&](od::value c) {
        const Container container = ReadContainer(c);
        pod.has_limits_marker |= container.has_limits_marker;
        pod.has_resource_claims |= container.has_claims;
        requests.AddContainer(container.requests);
      });
    } else if (key == "initContainers") {
      ForEachElement(field, [&](od::value c) {
        const Container init = ReadContainer(c);
        pod.has_limits_marker |= init.has_limits_marker;
        pod.has_resource_claims |= init.has_claims;
        requests.AddInitContainer(init.requests, init.sidecar);
      });
    } else if (key == "resourceClaims") {
      ForEachElement(field, [&](od::value) { pod.has_resource_claims = true; });
    } else if (key == "overhead") {
      Resources overhead;
      ReadResources(field, overhead);
      requests.SetOverhead(overhead);
    } else if (key == "resources") {
      ReadWholePod(field, requests, pod.has_resource_claims);
    }
  });
  pod.requests = requests.Total();
}

// Its texts live until the next document is parsed.
struct Owner {
  std::string_view kind;
  std::string_view name;
};

Owner ReadController(od::value references) {
  Owner controller;
  ForEachElement(references, [&](od::value reference) {
    Owner owner;
    bool is_controller = false;
    ForEachField(reference, [&](std::string_view key, od::value field) {
      if (key == "kind") {
        owner.kind = TextOf(field);
      } else if (key == "name") {
        owner.name = TextOf(field);
      } else if (key == "controller") {
        is_controller = !IsNull(field) && bool(field.get_bool());
      }
    });
    if (is_controller) controller = owner;
  });
  return controller;
}

// The API server takes 256 KiB of annotations in all.
constexpr std::size_t kMostAnnotationBytes = 1U << 20;

// Those under our prefix; where it is wanted, also those that may ask for a part of an accelerator.
void ReadAnnotations(od::value all, Annotations& annotations,
                     std::vector<std::pair<std::string_view, std::string_view>>* shares = nullptr) {
  std::size_t bytes = 0;
  ForEachField(all, [&](std::string_view key, od::value text) {
    if (shares != nullptr && key.starts_with("gpu-")) {
      // A file may hold anything; the API server lets texts through alone.
      const bool is_text = !IsNull(text) && text.type() == od::json_type::string;
      shares->emplace_back(key, is_text ? TextOf(text) : "?");
    }
    if (!IsOurAnnotation(key)) return;
    if (!IsNull(text) && text.type() != od::json_type::string)
      throw Malformed{"annotation " + Printable(key, 100) +
                      ": not a text: its value needs quotes, or the API server refuses it"};
    const std::string_view value = TextOf(text);
    bytes += key.size() + value.size();
    if (bytes > kMostAnnotationBytes)
      throw Malformed{"over 1 MiB of annotations, of which the API server takes 256 KiB", true};
    ApplyAnnotation(key, value, annotations);
  });
}

// A new pod in the buffers of the one that was there.
void Renew(PodFacts& pod) {
  PodFacts fresh;
  for (std::string PodFacts::*text :
       {&PodFacts::namespace_name, &PodFacts::name, &PodFacts::uid, &PodFacts::workload}) {
    (fresh.*text).swap(pod.*text);
    (fresh.*text).clear();
  }
  fresh.annotations.swap(pod.annotations);
  fresh.annotations.clear();
  pod = std::move(fresh);
}

void ReadPod(od::object object, PodFacts& pod) {
  Renew(pod);
  Owner owner;
  // Their texts live as long.
  std::vector<std::pair<std::string_view, std::string_view>> shares;
  std::string_view template_hash;
  ForEachField(object, [&](std::string_view key, od::value field) {
    if (key == "metadata") {
      ForEachField(field, [&](std::string_view name, od::value meta) {
        if (name == "name") {
          pod.name = TextOf(meta);
        } else if (name == "namespace") {
          pod.namespace_name = TextOf(meta);
        } else if (name == "uid") {
          pod.uid = TextOf(meta);
        } else if (name == "ownerReferences") {
          owner = ReadController(meta);
        } else if (name == "labels") {
          ForEachField(meta, [&](std::string_view label, od::value text) {
            if (label == kTemplateHashLabel) template_hash = TextOf(text);
          });
        } else if (name == "annotations") {
          ReadAnnotations(meta, pod.annotations, &shares);
        }
      });
    } else if (key == "spec") {
      ReadPodSpec(field, pod);
    }
  });
  for (const auto& [annotation, text] : shares)
    ApplyShareAnnotation(annotation, text, pod.requests);
  pod.is_batch_job = owner.kind == "Job";
  pod.workload = WorkloadOf(pod.name, owner.kind, owner.name, template_hash);
}

// A List of something else has items that may not say what they are.
void CheckIsNode(std::string_view kind, bool of_list) {
  if (kind.empty() || kind == "Node" || (of_list && (kind == "NodeList" || kind == "List"))) return;
  throw Malformed{WithArticle(kind) +
                  ", not a Node: expected what `kubectl get nodes -o json` prints"};
}

NodeFacts ReadNode(od::object object, const NodeOrigins& origins) {
  NodeFacts node;
  std::string provider_id;
  // Their texts live until the next document is parsed.
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  ForEachField(object, [&](std::string_view key, od::value field) {
    if (key == "kind") {
      CheckIsNode(TextOf(field), false);
    } else if (key == "metadata") {
      ForEachField(field, [&](std::string_view name, od::value meta) {
        if (name == "name") {
          node.name = TextOf(meta);
        } else if (name == "labels") {
          ForEachField(meta, [&](std::string_view label, od::value text) {
            labels.emplace_back(label, TextOf(text));
          });
        } else if (name == "annotations") {
          ForEachField(meta, [&](std::string_view annotation, od::value) {
            ApplyNodeAnnotation(annotation, node);
          });
        }
      });
    } else if (key == "spec") {
      ForEachField(field, [&](std::string_view name, od::value spec) {
        if (name == "providerID") provider_id = TextOf(spec);
        if (name == "containers") CheckIsNode("Pod", false);
      });
    } else if (key == "status") {
      ForEachField(field, [&](std::string_view name, od::value status) {
        if (name == "allocatable") {
          ForEachQuantity(status, [&](std::string_view resource, std::string_view quantity) {
            ApplyAllocatable(resource, quantity, node);
          });
        }
        if (name == "addresses") {
          ForEachElement(status, [&](od::value entry) {
            std::string type;
            std::string address;
            ForEachField(entry, [&](std::string_view part, od::value text) {
              if (part == "type") type = TextOf(text);
              if (part == "address") address = TextOf(text);
            });
            ApplyNodeAddress(type, address, node);
          });
        }
      });
    }
  });
  for (const auto& [label, text] : labels) ApplyNodeLabel(label, text, node);
  FinishNode(provider_id, labels, origins, node);
  if (node.name.empty()) throw Malformed{"a node without metadata.name"};
  return node;
}

// Runs `read` on the parsed document; what it throws becomes a Status.
template <class Read>
Status WithDocument(std::string_view json, const Read& read) {
  try {
    od::document document = ThreadParser().iterate(
        simdjson::padded_string_view(json.data(), json.size(), json.size() + kBodyPadding));
    read(document);
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
      return Status::Invalid("not valid JSON: more text after the end");
    return Status::Ok();
  } catch (const simdjson::simdjson_error& error) {
    const bool type = error.error() == simdjson::INCORRECT_TYPE;
    return Status::Invalid(std::string(type ? "JSON of an unexpected type: " : "not valid JSON: ") +
                           error.what());
  } catch (const Malformed& error) {
    return error.too_large ? Status::TooLarge(error.message) : Status::Invalid(error.message);
  }
}

void ReadWholeNodes(od::value list, const Asked& asked) {
  ExtenderArgs& args = asked.args;
  ForEachField(list, [&](std::string_view key, od::value items) {
    if (!EqualsIgnoreCase(key, "items")) return;
    ForEachElement(items, [&](od::value node) {
      od::object object = node.get_object();
      const std::string_view text = object.raw_json();
      object.reset();
      args.node_texts.push_back(text);
      // To the end: with a second `metadata` it would not be one name by which a node is known.
      for (od::field field : object) {
        if (std::string_view(field.unescaped_key()) != "metadata") continue;
        ForEachField(field.value(), [&](std::string_view inner, od::value meta) {
          if (inner == "name" && !IsNull(meta))
            AddName(meta, args.plain_names && !HasEscape(meta.raw_json_token()), asked);
        });
      }
      if (args.names.size() != args.node_texts.size() || args.names.back().empty())
        throw Malformed{"Nodes: a node without metadata.name, or with two"};
    });
  });
}

// Of a whole pod by Kubernetes' keys, of a reference by Go's.
std::string_view UidOf(od::value pod, bool whole) {
  std::string_view uid;
  ForEachField(pod, [&](std::string_view key, od::value field) {
    if (!whole) {
      if (EqualsIgnoreCase(key, "UID")) uid = TextOf(field);
    } else if (key == "metadata") {
      ForEachField(field, [&](std::string_view name, od::value meta) {
        if (name == "uid") uid = TextOf(meta);
      });
    }
  });
  if (uid.empty()) throw Malformed{"a victim without a UID"};
  return uid;
}

void ReadVictims(od::value by_node, bool whole, const Asked& asked) {
  ExtenderArgs& args = asked.args;
  ForEachField(by_node, [&](std::string_view node, od::value told) {
    if (IsNull(told)) throw Malformed{"node '" + Printable(node, 63) + "' has no victims"};
    CheckRoom(asked);
    NodeVictims victims;
    victims.first = args.victim_uids.size();
    ForEachField(told, [&](std::string_view key, od::value field) {
      if (EqualsIgnoreCase(key, "Pods")) {
        args.victim_uids.resize(victims.first);
        ForEachElement(field,
                       [&](od::value pod) { args.victim_uids.push_back(UidOf(pod, whole)); });
      } else if (EqualsIgnoreCase(key, "NumPDBViolations") && !IsNull(field)) {
        victims.pdb_violations = field.get_int64();
      }
    });
    victims.count = args.victim_uids.size() - victims.first;
    args.names.push_back(node);
    args.victims.push_back(victims);
  });
}

void Clear(ExtenderArgs& args) {
  args.whole_nodes = false;
  args.names.clear();
  args.plain_names = true;
  args.node_texts.clear();
  args.victims.clear();
  args.victim_uids.clear();
}

Status CheckPod(bool is_there, const PodFacts& pod) {
  // As the API server bounds them: they are kept for as long as the decision is.
  constexpr std::size_t kLongest = 253;
  for (const std::string* name : {&pod.namespace_name, &pod.name, &pod.uid})
    if (name->size() > kLongest) return Status::Invalid("Pod: a name of over 253 bytes");
  return is_there ? Status::Ok() : Status::Invalid("no Pod in the request");
}

}  // namespace

std::string WithArticle(std::string_view kind) {
  const bool vowel =
      !kind.empty() && std::string_view("AEIOaeio").find(kind.front()) != std::string_view::npos;
  return (vowel ? "an " : "a ") + Printable(kind, 63);
}

std::string Padded(std::string_view text) {
  std::string padded(text);
  padded.reserve(text.size() + kBodyPadding);
  return padded;
}

void ReleaseLargeParser() {
  od::parser& parser = ThreadParser();
  if (parser.capacity() > kKeptBodyBytes) parser = od::parser();
}

Status ParseExtenderArgs(std::string_view body, ExtenderArgs& args, std::size_t most_names) {
  const Asked asked{args, most_names};
  Clear(args);
  bool has_pod = false;
  bool has_names = false;
  Status status = WithDocument(body, [&](od::document& root) {
    ForEachField(od::object(root.get_object()), [&](std::string_view key, od::value field) {
      if (IsNull(field)) return;
      if (EqualsIgnoreCase(key, "Pod")) {
        ReadPod(field.get_object(), args.pod);
        has_pod = true;
      } else if (EqualsIgnoreCase(key, "NodeNames")) {
        has_names = true;
        ReadNames(field, body, asked);
      } else if (EqualsIgnoreCase(key, "Nodes")) {
        args.whole_nodes = true;
        ReadWholeNodes(field, asked);
      }
    });
  });
  if (status.ok()) status = CheckPod(has_pod, args.pod);
  if (!status.ok()) return status;
  if (has_names && args.whole_nodes)
    return Status::Invalid("both Nodes and NodeNames; send one of them");
  if (!has_names && !args.whole_nodes)
    return Status::Invalid("neither Nodes nor NodeNames in the request");
  return Status::Ok();
}

Status ParsePreemptionArgs(std::string_view body, ExtenderArgs& args, std::size_t most_names) {
  const Asked asked{args, most_names};
  Clear(args);
  args.plain_names = false;
  bool has_pod = false;
  bool has_victims = false;
  Status status = WithDocument(body, [&](od::document& root) {
    ForEachField(od::object(root.get_object()), [&](std::string_view key, od::value field) {
      if (IsNull(field)) return;
      const bool whole = EqualsIgnoreCase(key, "NodeNameToVictims");
      if (EqualsIgnoreCase(key, "Pod")) {
        ReadPod(field.get_object(), args.pod);
        has_pod = true;
      } else if (whole || EqualsIgnoreCase(key, "NodeNameToMetaVictims")) {
        if (std::exchange(has_victims, true))
          throw Malformed{
              "both NodeNameToVictims and NodeNameToMetaVictims; send one of them, once"};
        ReadVictims(field, whole, asked);
      }
    });
  });
  if (status.ok()) status = CheckPod(has_pod, args.pod);
  if (status.ok() && !has_victims)
    return Status::Invalid("neither NodeNameToVictims nor NodeNameToMetaVictims in the request");
  return status;
}

Result<PodFacts> ParsePod(std::string_view json) {
  PodFacts pod;
  if (const Status status =
          WithDocument(json, [&](od::document& root) { ReadPod(root.get_object(), pod); });
      !status.ok())
    return status;
  if (pod.name.empty()) return Status::Invalid("a pod without metadata.name");
  if (pod.namespace_name.empty()) pod.namespace_name = "default";
  return pod;
}

Result<NamespaceFacts> ParseNamespace(std::string_view json) {
  NamespaceFacts facts;
  std::string kind;
  const Status status = WithDocument(json, [&](od::document& root) {
    ForEachField(od::object(root.get_object()), [&](std::string_view key, od::value field) {
      if (key == "kind") kind = TextOf(field);
      if (key != "metadata") return;
      ForEachField(field, [&](std::string_view name, od::value meta) {
        if (name == "name") facts.name = TextOf(meta);
        if (name == "annotations") ReadAnnotations(meta, facts.annotations);
      });
    });
  });
  if (!status.ok()) return status;
  if (kind != "Namespace" || facts.name.empty())
    return Status::Invalid("expected what `kubectl get namespace NAME -o json` prints");
  return facts;
}

Result<NodeFacts> ParseNode(std::string_view json, const NodeOrigins& origins) {
  NodeFacts node;
  if (const Status status = WithDocument(
          json, [&](od::document& root) { node = ReadNode(root.get_object(), origins); });
      !status.ok())
    return status;
  return node;
}

Result<std::vector<NodeFacts>> ParseNodes(std::string_view json, const NodeOrigins& origins) {
  std::vector<NodeFacts> nodes;
  bool is_list = false;
  std::string kind;
  const auto read_items = [&](od::array items) {
    is_list = true;
    for (od::value node : items) nodes.push_back(ReadNode(node.get_object(), origins));
  };
  Status status = WithDocument(json, [&](od::document& root) {
    if (root.type() == od::json_type::array) {
      read_items(root.get_array());
      return;
    }
    ForEachField(od::object(root.get_object()), [&](std::string_view key, od::value field) {
      if (key == "kind") kind = TextOf(field);
      if (key == "items") read_items(field.get_array());
    });
    CheckIsNode(kind, true);
  });
  if (!status.ok()) return status;
  if (is_list) return nodes;
  Result<NodeFacts> node = ParseNode(json, origins);
  if (!node.ok()) return node.status();
  nodes.push_back(*std::move(node));
  return nodes;
}

}  // namespace sobre
