#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/status.h"
#include "base/text.h"
#include "base/time.h"

namespace sobre {

// One mapping of a YAML file, read strictly: keys are taken by name, and Done() refuses what nobody
// took. A mistake is thrown, with its line, and becomes a Status in ReadYaml().
class YamlSection {
 public:
  struct Mistake {
    int line;
    std::string message;
  };

  YamlSection(const YAML::Node& node, std::string path);
  YamlSection Sub(const char* key) { return {Take(key), Path(key)}; }

  void Read(const char* key, std::string& out);
  void Read(const char* key, bool& out);
  void Read(const char* key, Duration& out);  // over 0
  void Read(const char* key, std::int64_t lowest, std::int64_t highest, std::int64_t& out);
  // A list of words, or one word.
  void Read(const char* key, std::vector<std::string>& out);
  template <class Each>
  void ForEach(const char* key, const Each& each) {
    const YAML::Node list = Take(key);
    if (!list || list.IsNull()) return;
    if (!list.IsSequence()) Fail(list, Path(key) + ": expected a list");
    std::size_t index = 0;
    for (const YAML::Node& item : list) {
      YamlSection section(item, Path(key) + "[" + std::to_string(index++) + "]");
      each(section);
      section.Done();
    }
  }

  // The value itself, for rules of the caller's; undefined where it is absent or null.
  YAML::Node Take(const char* key);
  YAML::Node Scalar(const char* key);
  [[nodiscard]] std::string Path(std::string_view key) const;
  [[noreturn]] static void Fail(const YAML::Node& node, const std::string& message);
  [[noreturn]] void FailHere(const std::string& message) const;
  void Done() const;

 private:
  YAML::Node node_;
  std::string path_;
  std::vector<std::string> known_;
};

// The root of a text of one document at most, null where it is empty. Throws YamlSection::Mistake
// or YAML::Exception.
YAML::Node LoadDocument(const std::string& text);

// Parses `text` and hands its root to `read`, which may throw Mistake; an error names `file_name`
// and the line.
template <class Read>
Status ReadYaml(std::string_view text, std::string_view file_name, const Read& read) {
  const auto at = [&](int line) { return std::string(file_name) + ":" + std::to_string(line); };
  try {
    read(LoadDocument(std::string(text)));
  } catch (const YamlSection::Mistake& mistake) {
    return Status::Invalid(mistake.message).WithContext(at(mistake.line));
  } catch (const YAML::Exception& error) {
    // It repeats what stands in the file, as it stands there.
    return Status::Invalid(Printable(error.msg)).WithContext(at(error.mark.line + 1));
  }
  return Status::Ok();
}

}  // namespace sobre
