#include "k8s/watch_frames.h"

#include "k8s/wire_fields.h"

namespace sobre {
namespace {

constexpr std::string_view kMagic("k8s\0", 4);
constexpr std::uint32_t kRaw = BytesTag(2);  // of an envelope

}  // namespace

Result<std::string_view> Unwrap(std::string_view envelope) {
  if (!envelope.starts_with(kMagic))
    return Status::Invalid("not Kubernetes protobuf: the first bytes are not k8s");
  envelope.remove_prefix(kMagic.size());
  std::string_view raw;
  const bool read = EachField(envelope, [&raw](const WireField& field) {
    if (field.tag == kRaw) raw = field.bytes;
    return true;
  });
  if (!read) return Status::Invalid("broken protobuf envelope");
  return raw;
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
    std::string_view type;
    std::string_view object;
    // Its type is 1, its object 2, of which the bytes are 1.
    const bool read = EachField(
        std::string_view(pending_).substr(at + 4, length), [&](const WireField& of_event) {
          if (of_event.tag == BytesTag(1)) type = of_event.bytes;
          return of_event.tag != BytesTag(2) ||
                 EachField(of_event.bytes, [&object](const WireField& field) {
                   if (field.tag == BytesTag(1)) object = field.bytes;
                   return true;
                 });
        });
    if (!read) return Status::Invalid("broken watch event");
    at += 4 + length;
    const Result<std::string_view> raw = Unwrap(object);
    if (!raw.ok()) return raw.status().WithContext("watch event " + std::string(type));
    if (Status status = on_event(type, *raw); !status.ok()) return status;
  }
  pending_.erase(0, at);
  return Status::Ok();
}

Status ListFrames::Feed(std::string_view bytes, const OnItem& on_item) {
  // Nearly all is read where it lies; what is cut off waits for the rest.
  if (pending_.empty()) {
    std::string_view rest = bytes;
    Status status = Read(rest, on_item);
    pending_ = rest;
    return status;
  }
  pending_ += bytes;
  std::string_view rest = pending_;
  Status status = Read(rest, on_item);
  pending_.erase(0, pending_.size() - rest.size());
  return status;
}

Status ListFrames::Read(std::string_view& in, const OnItem& on_item) {
  if (!began_) {
    if (in.size() < kMagic.size()) return Status::Ok();
    if (!in.starts_with(kMagic))
      return Status::Invalid("not Kubernetes protobuf: the first bytes are not k8s");
    in.remove_prefix(kMagic.size());
    began_ = true;
  }
  while (!in.empty()) {
    // A field's head; it may be cut off.
    std::string_view rest = in;
    std::uint64_t tag = 0;
    std::uint64_t length = 0;
    if (!TakeVarint(rest, tag) || !TakeVarint(rest, length)) {
      constexpr std::size_t kLongestHead = 20;
      return in.size() < kLongestHead ? Status::Ok() : Status::Invalid("broken list");
    }
    // Kubernetes' envelopes and lists have no other fields.
    if ((tag & 7) != 2) return Status::Invalid("broken list");
    const std::size_t head = in.size() - rest.size();
    if (!inside_) {
      if (tag == kRaw) {
        left_ = length;
        inside_ = length > 0;
        ended_ |= length == 0;
        in = rest;
        continue;
      }
    } else if (head > left_ || length > left_ - head) {
      return Status::Invalid("broken list");
    }
    if (length > WatchFrames::kMaxFrameBytes)
      return Status::TooLarge("an object of " + std::to_string(length) + " bytes in a list");
    if (rest.size() < length) return Status::Ok();
    const std::string_view field = rest.substr(0, length);
    in = rest.substr(length);
    if (!inside_) continue;
    left_ -= head + length;
    if (left_ == 0) {
      inside_ = false;
      ended_ = true;
    }
    if (tag == BytesTag(2)) {
      on_item(field);
    } else if (tag == BytesTag(1) && !ReadMeta(field)) {
      return Status::Invalid("broken list");
    }
  }
  return Status::Ok();
}

bool ListFrames::ReadMeta(std::string_view raw) {
  return EachField(raw, [this](const WireField& field) {
    if (field.tag == BytesTag(2)) resource_version_ = field.bytes;
    if (field.tag == BytesTag(3)) next_ = field.bytes;
    return true;
  });
}

Status ListFrames::End() const {
  return ended_ && pending_.empty() ? Status::Ok() : Status::Invalid("broken list: it is cut off");
}

}  // namespace sobre
