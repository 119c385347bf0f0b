// Kubernetes' protobuf. The first byte says what follows: a page of a list, frames of a watch, or
// one object. Lists and frames are the same in pieces as whole; objects are what protobuf's own
// reader makes of them.
#include <string>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "base/told_time.h"
#include "k8s/watch_frames.h"
#include "k8s/wire_objects.h"
#include "proto/k8s/objects.pb.h"
#include "tests/fuzz/fuzz.h"

namespace sobre::fuzz {
namespace {

template <class Message>
bool ParseAs(std::string_view raw, Message& message) {
  return message.ParseFromArray(raw.data(), static_cast<int>(raw.size()));
}

bool IsWritable(Timestamp time) { return time >= kEarliestTime && time <= kLatestTime; }

void CheckMeta(std::string_view raw) {
  const auto meta = MetaOf(raw);
  const auto version = VersionOf(raw);
  k8s::wire::Namespace parsed;
  if (!ParseAs(raw, parsed)) return;
  if (meta) {
    SOBRE_HOLDS(meta->name == parsed.metadata().name());
    SOBRE_HOLDS(meta->namespace_name == parsed.metadata().namespace_());
    SOBRE_HOLDS(meta->uid == parsed.metadata().uid());
    SOBRE_HOLDS(meta->deleting == parsed.metadata().has_deletion_timestamp());
    SOBRE_HOLDS(IsWritable(meta->created));
  }
  if (version) SOBRE_HOLDS(*version == parsed.metadata().resource_version());
}

void CheckNode(std::string_view raw) {
  const auto node = NodeOf(raw, {{}, "own"});
  if (!node) return;
  SOBRE_HOLDS(node->allocatable.millicpu >= 0 && node->allocatable.memory_bytes >= 0);
  SOBRE_HOLDS(node->allocatable.gpus >= 0 && node->allocatable.gpu_slices >= 0);
  SOBRE_HOLDS(node->gpu_replicas >= 1);
  k8s::wire::Node parsed;
  if (!ParseAs(raw, parsed)) return;
  SOBRE_HOLDS(node->name == parsed.metadata().name());
  SOBRE_HOLDS(node->gates.unschedulable == parsed.spec().unschedulable());
  SOBRE_HOLDS(node->gates.labels.size() == parsed.metadata().labels().size());
}

void CheckPod(std::string_view raw) {
  const auto pod = PodOf(raw);
  const auto watched = WatchedPodOf(raw, "team");
  // Reading more of it may fail at more.
  if (watched) SOBRE_HOLDS(pod.has_value());
  if (!watched) return;
  SOBRE_HOLDS(watched->placement.requests == pod->requests);
  SOBRE_HOLDS(pod->requests.millicpu >= 0 && pod->requests.memory_bytes >= 0);
  SOBRE_HOLDS(pod->requests.gpus >= 0 && pod->requests.gpu_slices >= 0);
  SOBRE_HOLDS(IsWritable(watched->created) && IsWritable(watched->placement.started));
  k8s::wire::Pod parsed;
  if (!ParseAs(raw, parsed)) return;
  SOBRE_HOLDS(pod->name == parsed.metadata().name());
  SOBRE_HOLDS(pod->uid == parsed.metadata().uid());
  SOBRE_HOLDS(watched->placement.node == parsed.spec().node_name());
  SOBRE_HOLDS(watched->scheduler == parsed.spec().scheduler_name());
  const auto claims = [](const k8s::wire::Container& container) {
    return container.resources().claims_size() > 0;
  };
  const auto& spec = parsed.spec();
  SOBRE_HOLDS(pod->has_resource_claims ==
              (spec.resource_claims_size() > 0 || spec.resources().claims_size() > 0 ||
               std::any_of(spec.containers().begin(), spec.containers().end(), claims) ||
               std::any_of(spec.init_containers().begin(), spec.init_containers().end(), claims)));
  const std::vector<std::string>& devices = pod->requests.devices;
  SOBRE_HOLDS(std::is_sorted(devices.begin(), devices.end()));
}

void CheckObject(std::string_view raw) {
  CheckMeta(raw);
  CheckNode(raw);
  CheckPod(raw);
}

struct Seen {
  std::vector<std::string> objects;
  bool ok = true;
  std::string next;
  std::string resource_version;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Calls `feed(piece)` for all of it, or piece by piece; false: no more.
template <class Feed>
void Give(std::string_view text, bool in_pieces, const Feed& feed) {
  if (in_pieces) {
    InPieces(text, feed);
  } else {
    feed(text);
  }
}

Seen ReadList(std::string_view text, bool in_pieces) {
  Seen seen;
  ListFrames frames;
  Give(text, in_pieces, [&](std::string_view piece) {
    const Status status =
        frames.Feed(piece, [&seen](std::string_view raw) { seen.objects.emplace_back(raw); });
    return seen.ok = status.ok();
  });
  seen.ok = seen.ok && frames.End().ok();
  // Of a page that is not whole nothing more is said.
  if (!seen.ok) return seen;
  seen.next = frames.next();
  seen.resource_version = frames.resource_version();
  return seen;
}

Seen ReadWatch(std::string_view text, bool in_pieces) {
  Seen seen;
  WatchFrames frames;
  Give(text, in_pieces, [&](std::string_view piece) {
    const Status status = frames.Feed(piece, [&seen](std::string_view type, std::string_view raw) {
      seen.objects.emplace_back(type).append("\n").append(raw);
      return Status::Ok();
    });
    return seen.ok = status.ok();
  });
  return seen;
}

}  // namespace
}  // namespace sobre::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sobre::fuzz;
  // It would tell of every text that is none.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(quiet);
  if (size == 0) return 0;
  const std::string_view text = TextOf(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: {
      const Seen whole = ReadList(text, false);
      SOBRE_HOLDS(ReadList(text, true) == whole);
      for (const std::string& object : whole.objects) CheckObject(object);
      break;
    }
    case 1: {
      const Seen whole = ReadWatch(text, false);
      SOBRE_HOLDS(ReadWatch(text, true) == whole);
      for (const std::string& object : whole.objects)
        CheckObject(std::string_view(object).substr(object.find('\n') + 1));
      break;
    }
    default:
      CheckObject(text);
  }
  return 0;
}
