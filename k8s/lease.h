#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "k8s/api_client.h"

namespace sobre {

enum class LeaseHold {
  kOther,  // another's, as far as anybody can say
  // Ours for less than its duration, and nobody saw the holding before ours end: whoever had it may
  // not know yet.
  kFresh,
  kOurs,
};

// Leader election by a coordination.k8s.io Lease: one holder at a time, and another takes over when
// the holder has not renewed for the lease's duration. Not for several threads at once.
class Lease {
 public:
  struct Options {
    std::string namespace_name;
    std::string name;
    std::string identity;
    Duration duration = std::chrono::seconds(15);
  };
  using Clock = std::function<SteadyTime()>;
  // Method, path and body of a call to the API server.
  using Call = std::function<Result<HttpReply>(std::string_view, const std::string&, std::string)>;
  explicit Lease(Options options) : options_(std::move(options)) {}

  // Renews or takes the lease if it is ours or free, and makes it where it is missing. kOurs: we
  // alone hold it for its duration from the call's begin on. An error says why nobody can tell.
  // `now` is what the lease tells people.
  Result<LeaseHold> TryHold(const Call& call, Timestamp now, const Clock& clock);
  // Who holds it, empty for nobody; an error where it could not be taken or made. Changes nothing.
  Result<std::string> Look(const Call& call, Timestamp now) const;

 private:
  struct Found {
    std::string version;  // empty: there is none
    std::string holder;
    Duration duration;  // of the holder's, or ours where that is longer
  };
  Result<Found> Find(const Call& call) const;
  // False: somebody was quicker.
  Result<bool> Write(const Call& call, const std::string& version, Timestamp now,
                     const char* query) const;

  const Options options_;
  // From when on nobody else can believe to hold what is ours, and until when we surely did.
  std::optional<SteadyTime> sure_from_;
  SteadyTime held_until_;
  // When this process first saw the lease as it is: clocks of other machines are not trusted, and
  // our own can be set.
  std::string seen_version_;
  SteadyTime seen_;
};

// `api` must outlive it.
Lease::Call CallsOf(ApiClient& api);

}  // namespace sobre
