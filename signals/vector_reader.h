#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace sobre {

// Reads the answer of Prometheus' /api/v1/query as it comes, one series at a time: memory for one
// series, however many there are. Accepts what Thanos, Mimir and VictoriaMetrics add. Not
// thread-safe; one answer each.
class VectorReader {
 public:
  struct Sample {
    // Without __name__, by name. Live until Take returns.
    std::vector<std::pair<std::string_view, std::string_view>> labels;
    double value = 0;           // may be NaN or infinite
    double evaluated_unix = 0;  // by the server's clock, in seconds
    [[nodiscard]] std::string_view Label(std::string_view name) const;
  };
  using Take = std::function<void(const Sample&)>;

  VectorReader(std::size_t max_bytes, Take take);
  ~VectorReader();
  // False once the answer cannot be what is expected: nothing more is needed then.
  bool Feed(std::string_view bytes);
  // What went wrong, after the last byte: the server's own error, too much, cut short, another
  // type.
  Status Finish();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // What the server warned of: partial answers, say.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Parser;
  bool TakeElement();
  Status ReadEnvelope();
  void Fail(Status status);

  const std::size_t max_bytes_;
  const Take take_;
  std::unique_ptr<Parser> parser_;
  Sample sample_;
  // The answer without its series, and the series that is being read.
  std::string envelope_;
  std::string element_;
  std::string key_;  // the last string before a colon
  std::size_t bytes_ = 0;
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool in_result_ = false;  // inside data.result
  bool after_series_ = false;
  Status failure_;
  std::vector<std::string> warnings_;
};

}  // namespace sobre
