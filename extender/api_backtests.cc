#include "extender/api_backtests.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <simdjson.h>
#include <system_error>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kFolder = "/api/v1/backtests/";
constexpr std::string_view kSuffix = ".json";
constexpr std::uintmax_t kMostBytes = 32U << 20;

Status Check(const dom::element& result) {
  std::string_view text;
  dom::array policies;
  std::int64_t hours = 0;
  if (result["scenario"].get(text) != simdjson::SUCCESS)
    return Status::Damaged("it names no scenario");
  if (result["start"].get(text) != simdjson::SUCCESS ||
      result["counted_from"].get(text) != simdjson::SUCCESS ||
      result["hours"].get(hours) != simdjson::SUCCESS)
    return Status::Damaged("it says not which hours were played");
  if (result["policies"].get(policies) != simdjson::SUCCESS || policies.size() == 0)
    return Status::Damaged("it has no policies");
  for (const dom::element policy : policies) {
    dom::object total;
    if (policy["policy"].get(text) != simdjson::SUCCESS ||
        policy["total"].get(total) != simdjson::SUCCESS)
      return Status::Damaged("a policy has no name or no total");
    for (const char* list : {"places", "hours"}) {
      dom::array entries;
      if (policy[list].get(entries) != simdjson::SUCCESS)
        return Status::Damaged(std::string("a policy has no ") + list);
    }
  }
  for (const char* list : {"warnings", "notes"}) {
    dom::array entries;
    if (result[list].get(entries) != simdjson::SUCCESS)
      return Status::Damaged(std::string("it has no ") + list);
  }
  return Status::Ok();
}

// What a list says of one.
void WriteSummary(const BacktestFile& file, JsonWriter& json) {
  json.BeginObject().Key("name").Value(file.name);
  const Result<std::string> text = ReadBacktest(file);
  dom::parser parser;
  dom::element result;
  std::int64_t hours = 0;
  dom::array policies;
  const bool whole = text.ok() && parser.parse(*text).get(result) == simdjson::SUCCESS &&
                     result["hours"].get(hours) == simdjson::SUCCESS &&
                     result["policies"].get(policies) == simdjson::SUCCESS;
  const auto said = [&](const char* key) {
    std::string_view value;
    return whole && result[key].get(value) == simdjson::SUCCESS ? value : std::string_view();
  };
  json.Key("scenario").Value(said("scenario")).Key("start").Value(said("counted_from"));
  json.Key("hours").Value(hours).Key("policies").Value(whole ? policies.size() : 0);
  json.Key("problem").Value(text.ok() ? "" : text.status().message()).EndObject();
}

Result<std::string> ListJson(const Config& config) {
  if (config.backtests.directory.empty()) return std::string(R"({"backtests":[]})");
  const Result<std::vector<BacktestFile>> files = ListBacktests(config);
  if (!files.ok()) return files.status();
  std::string text;
  JsonWriter json(text);
  json.BeginObject().Key("backtests").BeginArray();
  for (const BacktestFile& file : *files) WriteSummary(file, json);
  json.EndArray().EndObject();
  return text;
}

}  // namespace

Result<std::vector<BacktestFile>> ListBacktests(const Config& config) {
  const std::string& folder = config.backtests.directory;
  if (folder.empty())
    return Status::NotFound(
        "no results of backtests are kept here: set backtests.directory in the configuration "
        "(docs/backtest.md)");
  std::vector<BacktestFile> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    std::error_code gone;
    if (!name.ends_with(kSuffix) || name.starts_with('.') || !at->is_regular_file(gone)) continue;
    files.push_back({name.substr(0, name.size() - kSuffix.size()), at->path().string()});
  }
  if (error) return Status::NotFound(folder + ": cannot be read: " + error.message());
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  if (files.size() > kMostBacktests) files.resize(kMostBacktests);
  return files;
}

Result<std::string> ReadBacktest(const BacktestFile& file) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file.path, error);
  if (!error && bytes > kMostBytes)
    return Status::Damaged(Printable(file.name, 100) + ": is larger than 32 MiB");
  Result<std::string> text = ReadFile(file.path);
  if (!text.ok()) return text;
  dom::parser parser;
  dom::element result;
  if (parser.parse(*text).get(result) != simdjson::SUCCESS)
    return Status::Damaged(Printable(file.name, 100) + ": is not JSON");
  if (const Status status = Check(result); !status.ok())
    return Status::Damaged(
        Printable(file.name, 100) +
        ": is not what `sobre backtest --format json` prints: " + status.message());
  return text;
}

void AddBacktestsApi(HttpServer& server, const Config& config) {
  HandleJson(server, "/api/v1/backtests", {},
             [&config](const HttpRequest&) { return ListJson(config); });
  // Names are looked up among what is there: none is ever part of a path.
  HandleJson(server, std::string(kFolder) + "*", {},
             [&config](const HttpRequest& request) -> Result<std::string> {
               const Result<std::vector<BacktestFile>> files = ListBacktests(config);
               if (!files.ok()) return files.status();
               const std::string_view name = NameBelow(request, kFolder);
               const auto found = std::find_if(files->begin(), files->end(),
                                               [&](const auto& file) { return file.name == name; });
               if (found == files->end())
                 return Status::NotFound("no backtest '" + Printable(name, 100) + "' is kept here");
               return ReadBacktest(*found);
             });
}

}  // namespace sobre
