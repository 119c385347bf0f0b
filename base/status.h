#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sobre {

// What kind of failure it was, for callers that act differently on each.
enum class ErrorCode {
  kOk,
  kInvalid,
  kNotFound,
  kUnavailable,
  kTimeout,
  kDenied,
  kGone,
  kTooLarge,
  kDamaged
};

// The result of something that can fail: success, or one sentence for a person. An error gains
// context on its way up (`status.WithContext("config.yaml")`), so that what is printed says what
// was wrong, where, and what to do. Immutable; safe to copy between threads.
class [[nodiscard]] Status {
 public:
  Status() = default;
  static Status Ok() { return {}; }
  static Status Invalid(std::string message) { return {ErrorCode::kInvalid, std::move(message)}; }
  static Status NotFound(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
  static Status Unavailable(std::string message) {
    return {ErrorCode::kUnavailable, std::move(message)};
  }
  static Status Timeout(std::string message) { return {ErrorCode::kTimeout, std::move(message)}; }
  static Status Denied(std::string message) { return {ErrorCode::kDenied, std::move(message)}; }
  static Status Gone(std::string message) { return {ErrorCode::kGone, std::move(message)}; }
  static Status TooLarge(std::string message) { return {ErrorCode::kTooLarge, std::move(message)}; }
  // What was stored is not what was written.
  static Status Damaged(std::string message) { return {ErrorCode::kDamaged, std::move(message)}; }

  [[nodiscard]] bool ok() const { return code_ == ErrorCode::kOk; }
  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  // The same failure, told from one layer further out: "context: message". Success stays success.
  [[nodiscard]] Status WithContext(std::string_view context) const;

 private:
  Status(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  ErrorCode code_ = ErrorCode::kOk;
  std::string message_;
};

// A value, or the Status that says why there is none. `value()` on a failure is a programming
// error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!std::get<Status>(state_).ok());
  }
  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  [[nodiscard]] Status status() const { return ok() ? Status() : std::get<Status>(state_); }
  [[nodiscard]] const T& value() const& { return std::get<T>(state_); }
  [[nodiscard]] T& value() & { return std::get<T>(state_); }
  [[nodiscard]] T&& value() && { return std::get<T>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace sobre
