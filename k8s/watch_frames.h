#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace sobre {

// Takes the bytes of a protobuf watch apart: each frame is a 4-byte big-endian length and a
// WatchEvent. Holds at most one frame. Not thread-safe.
class WatchFrames {
 public:
  static constexpr std::size_t kMaxFrameBytes = 16U << 20;

  // `type`: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `raw`: the object's protobuf, envelope
  // off.
  using OnEvent = std::function<Status(std::string_view type, std::string_view raw)>;

  // Hands on every frame that `bytes` completes. After an error the stream cannot be trusted.
  Status Feed(std::string_view bytes, const OnEvent& on_event);

 private:
  std::string pending_;
};

// What stands behind "k8s\0" and runtime.Unknown, the envelope of every protobuf answer.
Result<std::string> Unwrap(std::string_view envelope);

}  // namespace sobre
