#include "signals/yaml_section.h"

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

#include <yaml-cpp/eventhandler.h>

#include "base/text.h"

namespace sobre {
namespace {

// Ends where a second document begins. YAML::LoadAll() makes documents without end of a text of
// which the parser takes nothing more, such as one that begins with a comma.
class OneDocument final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (begin_) {
      throw YamlSection::Mistake{mark.line + 1, mark.pos == begin_->pos
                                                    ? "what stands here is no YAML"
                                                    : "a second document: one is expected"};
    }
    begin_ = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}

 private:
  std::optional<YAML::Mark> begin_;
};

}  // namespace

YAML::Node LoadDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  OneDocument one;
  while (parser.HandleNextDocument(one)) {
  }
  return YAML::Load(text);
}

YamlSection::YamlSection(const YAML::Node& node, std::string path)
    : node_(node), path_(std::move(path)) {
  if (!node_ || node_.IsNull()) return;
  if (!node_.IsMap()) Fail(node_, path_ + ": expected a mapping");
  std::set<std::string> keys;
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && !keys.insert(entry.first.Scalar()).second)
      Fail(entry.first, "'" + Printable(Path(entry.first.Scalar()), 80) + "' stands there twice");
  }
}

void YamlSection::Read(const char* key, std::string& out) {
  if (const YAML::Node value = Scalar(key)) out = value.Scalar();
}

void YamlSection::Read(const char* key, bool& out) {
  const YAML::Node value = Scalar(key);
  if (!value) return;
  if (value.Scalar() != "true" && value.Scalar() != "false")
    Fail(value, Path(key) + ": '" + Printable(value.Scalar(), 40) + "' is neither true nor false");
  out = value.Scalar() == "true";
}

void YamlSection::Read(const char* key, Duration& out) {
  const YAML::Node value = Scalar(key);
  if (!value) return;
  const std::optional<Duration> duration = ParseDuration(value.Scalar());
  if (!duration || *duration <= Duration(0))
    Fail(value,
         Path(key) + ": '" + Printable(value.Scalar(), 40) + "' is no duration, such as 30s or 5m");
  out = *duration;
}

void YamlSection::Read(const char* key, std::int64_t lowest, std::int64_t highest,
                       std::int64_t& out) {
  const YAML::Node value = Scalar(key);
  if (!value) return;
  const std::optional<std::int64_t> number = ParseInteger(value.Scalar());
  if (!number || *number < lowest || *number > highest) {
    Fail(value, Path(key) + ": '" + Printable(value.Scalar(), 40) + "' is no whole number from " +
                    std::to_string(lowest) + " to " + std::to_string(highest));
  }
  out = *number;
}

void YamlSection::Read(const char* key, std::vector<std::string>& out) {
  const YAML::Node value = Take(key);
  if (!value || value.IsNull()) return;
  out.clear();
  if (value.IsScalar()) {
    out.push_back(value.Scalar());
    return;
  }
  if (!value.IsSequence()) Fail(value, Path(key) + ": expected a word or a list of words");
  for (const YAML::Node& item : value) {
    if (!item.IsScalar()) Fail(item, Path(key) + ": expected words");
    out.push_back(item.Scalar());
  }
}

YAML::Node YamlSection::Take(const char* key) {
  known_.emplace_back(key);
  return node_ && node_.IsMap() ? node_[key] : YAML::Node(YAML::NodeType::Undefined);
}

YAML::Node YamlSection::Scalar(const char* key) {
  YAML::Node value = Take(key);
  if (value && value.IsNull()) return YAML::Node(YAML::NodeType::Undefined);
  if (value && !value.IsScalar()) Fail(value, Path(key) + ": expected a single value");
  return value;
}

std::string YamlSection::Path(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void YamlSection::Fail(const YAML::Node& node, const std::string& message) {
  throw Mistake{node ? node.Mark().line + 1 : 0, message};
}

void YamlSection::FailHere(const std::string& message) const {
  Fail(node_, path_.empty() ? message : path_ + ": " + message);
}

void YamlSection::Done() const {
  if (!node_ || !node_.IsMap()) return;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::vector<std::string_view> names(known_.begin(), known_.end());
    Fail(entry.first, "unknown key '" + Printable(Path(key), 80) + "'" + DidYouMean(key, names));
  }
}

}  // namespace sobre
