#pragma once

#include <cstddef>
#include <cstdint>
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
  // Whether the bytes so far end with a frame.
  [[nodiscard]] bool complete() const { return pending_.empty(); }

 private:
  std::string pending_;
};

// Takes a page of a list apart as its bytes come: "k8s\0", the envelope, and in it the list. Holds
// at most one object. Not thread-safe.
class ListFrames {
 public:
  using OnItem = std::function<void(std::string_view raw)>;

  // Hands on every object that `bytes` completes. After an error the page cannot be trusted.
  Status Feed(std::string_view bytes, const OnItem& on_item);
  // An error where the page is not complete.
  [[nodiscard]] Status End() const;

  // The token of the next page, empty after the last one; known once the page is complete.
  [[nodiscard]] const std::string& next() const { return next_; }
  [[nodiscard]] const std::string& resource_version() const { return resource_version_; }

 private:
  Status Read(std::string_view& in, const OnItem& on_item);
  bool ReadMeta(std::string_view raw);

  std::string pending_;
  bool began_ = false;
  bool inside_ = false;     // the list, not the envelope around it
  std::uint64_t left_ = 0;  // bytes of the list
  bool ended_ = false;      // the list was read
  std::string next_;
  std::string resource_version_;
};

// What stands behind "k8s\0" and runtime.Unknown, the envelope of every protobuf answer: a view of
// its bytes.
Result<std::string_view> Unwrap(std::string_view envelope);

}  // namespace sobre
