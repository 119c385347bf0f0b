#include "signals/vector_reader.h"

#include <algorithm>
#include <limits>

#include <simdjson.h>

#include "base/text.h"

namespace sobre {

namespace od = simdjson::ondemand;

namespace {

// An answer's frame and one series are small; what is larger is no answer of a Prometheus.
constexpr std::size_t kMostOfOne = 1U << 20;
// { "data": { "result": [ : the depth inside the list of series.
constexpr int kResultDepth = 3;

// NaN and infinities are words there; what is no number at all is taken for NaN.
double SampleValue(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "+Inf" || text == "Inf") return kInfinity;
  if (text == "-Inf") return -kInfinity;
  return ParseNumber(text).value_or(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

struct VectorReader::Parser {
  od::parser parser;
};

std::string_view VectorReader::Sample::Label(std::string_view name) const {
  for (const auto& [key, text] : labels) {
    if (key == name) return text;
  }
  return {};
}

VectorReader::VectorReader(std::size_t max_bytes, Take take)
    : max_bytes_(max_bytes), take_(std::move(take)), parser_(std::make_unique<Parser>()) {}

VectorReader::~VectorReader() = default;

void VectorReader::Fail(Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

bool VectorReader::Feed(std::string_view bytes) {
  if (!failure_.ok()) return false;
  bytes_ += bytes.size();
  if (bytes_ > max_bytes_) {
    Fail(Status::TooLarge("the answer is larger than " + std::to_string(max_bytes_) + " bytes"));
    return false;
  }
  for (const char c : bytes) {
    const bool of_series = in_result_ && depth_ > kResultDepth;
    std::string& out = of_series || (in_result_ && c == '{' && !in_string_) ? element_ : envelope_;
    if (out.size() >= kMostOfOne) {
      Fail(Status::Invalid("the answer is not what Prometheus sends (one part of it is too long)"));
      return false;
    }
    if (in_string_) {
      out += c;
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      if (!of_series && in_string_) key_ += c;
      continue;
    }
    switch (c) {
      case '"':
        in_string_ = true;
        if (!of_series) key_.clear();
        break;
      case '{':
      case '[':
        ++depth_;
        if (c == '[' && depth_ == kResultDepth && key_ == "result") in_result_ = true;
        break;
      case '}':
      case ']':
        --depth_;
        if (depth_ < kResultDepth) in_result_ = after_series_ = false;
        break;
      case ',':
        // Between two series: the frame keeps an empty list.
        if (after_series_ && !of_series) continue;
        break;
      default:
        break;
    }
    out += c;
    if (of_series && depth_ == kResultDepth && !TakeElement()) return false;
  }
  return true;
}

// Parses the series that just ended.
bool VectorReader::TakeElement() {
  element_.reserve(element_.size() + simdjson::SIMDJSON_PADDING);
  sample_.labels.clear();
  sample_.value = std::numeric_limits<double>::quiet_NaN();
  sample_.evaluated_unix = 0;
  bool valued = false;
  try {
    od::document document = parser_->parser.iterate(
        simdjson::padded_string_view(element_.data(), element_.size(), element_.capacity()));
    for (od::field part : document.get_object()) {
      const std::string_view what = part.unescaped_key();
      if (what == "metric") {
        for (od::field label : od::object(part.value())) {
          const std::string_view name = label.unescaped_key();
          const std::string_view text = label.value();
          if (name != "__name__") sample_.labels.emplace_back(name, text);
        }
      } else if (what == "value") {
        std::size_t index = 0;
        for (od::value item : od::array(part.value())) {
          if (index == 0) sample_.evaluated_unix = item.get_double();
          if (index == 1) {
            sample_.value = SampleValue(item.get_string());
            valued = true;
          }
          ++index;
        }
      }
    }
  } catch (const simdjson::simdjson_error& broken) {
    Fail(Status::Invalid(std::string("the answer is not what Prometheus sends (") + broken.what() +
                         ")"));
    return false;
  }
  element_.clear();
  after_series_ = true;
  // A range vector's series has `values`: the envelope tells its type in the end.
  if (!valued) return true;
  std::sort(sample_.labels.begin(), sample_.labels.end());
  take_(sample_);
  return true;
}

Status VectorReader::ReadEnvelope() {
  std::string status;
  std::string error;
  std::string type;
  envelope_.reserve(envelope_.size() + simdjson::SIMDJSON_PADDING);
  try {
    od::document document = parser_->parser.iterate(
        simdjson::padded_string_view(envelope_.data(), envelope_.size(), envelope_.capacity()));
    for (od::field field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key == "status") {
        status = std::string_view(field.value());
      } else if (key == "error") {
        error = std::string_view(field.value());
      } else if (key == "warnings") {
        for (od::value warning : od::array(field.value()))
          warnings_.push_back(Printable(std::string_view(warning), 200));
      } else if (key == "isPartial") {
        if (field.value().get_bool()) warnings_.emplace_back("the answer is partial");
      } else if (key == "data") {
        for (od::field data : od::object(field.value())) {
          if (std::string_view(data.unescaped_key()) == "resultType")
            type = std::string_view(data.value());
        }
      }
    }
  } catch (const simdjson::simdjson_error& broken) {
    return Status::Invalid(std::string("the answer is not what Prometheus sends (") +
                           broken.what() + ")");
  }
  if (status == "error") return Status::Unavailable(Printable(error, 300));
  if (status != "success")
    return Status::Invalid("the answer is not what Prometheus sends (its status is '" +
                           Printable(status, 20) + "')");
  if (type != "vector")
    return Status::Invalid("the query gives a " + Printable(type, 20) +
                           "; an instant vector is needed");
  return Status::Ok();
}

Status VectorReader::Finish() {
  if (!failure_.ok()) return failure_;
  if (depth_ != 0 || in_string_ || envelope_.empty()) {
    return Status::Invalid("the answer is not what Prometheus sends (cut short after " +
                           std::to_string(bytes_) + " bytes)");
  }
  return ReadEnvelope();
}

}  // namespace sobre
