#pragma once

#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "base/text.h"

namespace sobre {

// Metrics as Prometheus' text format has them, written family after family.
class MetricFamilies {
 public:
  void Begin(std::string name, std::string help, prometheus::MetricType type) {
    families_.push_back({std::move(name), std::move(help), type, {}});
  }
  prometheus::ClientMetric& Add(std::vector<prometheus::ClientMetric::Label> labels = {}) {
    // Prometheus refuses a whole page for one label that is not UTF-8.
    constexpr std::size_t kLongest = 300;
    for (prometheus::ClientMetric::Label& label : labels)
      if (label.value.size() > kLongest || !IsPrintable(label.value))
        label.value = Printable(label.value, kLongest);
    prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }
  void Value(double value, std::vector<prometheus::ClientMetric::Label> labels = {}) {
    prometheus::ClientMetric& metric = Add(std::move(labels));
    if (families_.back().type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
  }
  [[nodiscard]] std::string Text() const {
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace sobre
