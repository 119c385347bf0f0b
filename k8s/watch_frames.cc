#include "k8s/watch_frames.h"

#include "proto/k8s/objects.pb.h"

namespace sobre {

Result<std::string> Unwrap(std::string_view envelope) {
  constexpr std::string_view kMagic("k8s\0", 4);
  if (!envelope.starts_with(kMagic))
    return Status::Invalid("not Kubernetes protobuf: the first bytes are not k8s");
  envelope.remove_prefix(kMagic.size());
  k8s::wire::Unknown unknown;
  if (!unknown.ParseFromArray(envelope.data(), static_cast<int>(envelope.size()))) {
    return Status::Invalid("broken protobuf envelope");
  }
  return std::move(*unknown.mutable_raw());
}

Status WatchFrames::Feed(std::string_view bytes, const OnEvent& on_event) {
  pending_ += bytes;
  std::size_t at = 0;
  while (pending_.size() - at >= 4) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i)
      length = length << 8 | static_cast<unsigned char>(pending_[at + i]);
    if (length > kMaxFrameBytes)
      return Status::TooLarge("a watch frame of " + std::to_string(length) + " bytes");
    if (pending_.size() - at - 4 < length) break;
    k8s::wire::WatchEvent event;
    if (!event.ParseFromArray(pending_.data() + at + 4, static_cast<int>(length))) {
      return Status::Invalid("broken watch event");
    }
    at += 4 + length;
    const Result<std::string> raw = Unwrap(event.object().raw());
    if (!raw.ok()) return raw.status().WithContext("watch event " + event.type());
    if (Status status = on_event(event.type(), *raw); !status.ok()) return status;
  }
  pending_.erase(0, at);
  return Status::Ok();
}

}  // namespace sobre
