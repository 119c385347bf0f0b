#pragma once

#include <string>

#include "base/time.h"
#include "k8s/api_client.h"

namespace sobre {

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
  explicit Lease(Options options) : options_(std::move(options)) {}

  // Renews or takes the lease if it is ours or free. True: we hold it until steady + duration. An
  // error says why nobody can tell. `now` is what the lease tells people.
  Result<bool> TryHold(ApiClient& api, Timestamp now, SteadyTime steady);

 private:
  const Options options_;
  // When this process first saw the lease as it is: clocks of other machines are not trusted, and
  // our own can be set.
  std::string seen_version_;
  SteadyTime seen_;
};

}  // namespace sobre
