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

// What a list says of one.
struct Summary {
  std::string scenario;
  std::string start;
  std::int64_t hours = 0;
  std::size_t policies = 0;
};

// An error says why it is no result.
Result<Summary> SummaryOf(const dom::element& result) {
  Summary summary;
  std::string_view text;
  dom::array policies;
  if (result["scenario"].get(text) != simdjson::SUCCESS)
    return Status::Damaged("it names no scenario");
  summary.scenario = text;
  if (result["start"].get(text) != simdjson::SUCCESS ||
      result["counted_from"].get(text) != simdjson::SUCCESS ||
      result["hours"].get(summary.hours) != simdjson::SUCCESS)
    return Status::Damaged("it says not which hours were played");
  summary.start = text;
  if (result["policies"].get(policies) != simdjson::SUCCESS || policies.size() == 0)
    return Status::Damaged("it has no policies");
  summary.policies = policies.size();
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
  return summary;
}

struct Loaded {
  std::string text;
  Summary summary;
};

Result<Loaded> Load(const BacktestFile& file) {
  const std::string who = Printable(file.name, 100) + ": ";
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file.path, error);
  if (!error && bytes > kMostBytes) return Status::Damaged(who + "is larger than 32 MiB");
  Result<std::string> text = ReadFile(file.path);
  if (!text.ok()) return text.status();
  dom::parser parser;
  dom::element result;
  if (parser.parse(*text).get(result) != simdjson::SUCCESS)
    return Status::Damaged(who + "is not JSON");
  Result<Summary> summary = SummaryOf(result);
  if (!summary.ok())
    return Status::Damaged(
        who + "is not what `sobre backtest --format json` prints: " + summary.status().message());
  return Loaded{*std::move(text), *std::move(summary)};
}

void WriteSummary(const BacktestFile& file, JsonWriter& json) {
  const Result<Loaded> loaded = Load(file);
  const Summary summary = loaded.ok() ? loaded->summary : Summary();
  json.BeginObject().Key("name").Value(file.name);
  json.Key("scenario").Value(summary.scenario).Key("start").Value(summary.start);
  json.Key("hours").Value(summary.hours).Key("policies").Value(summary.policies);
  json.Key("problem").Value(loaded.ok() ? "" : loaded.status().message()).EndObject();
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
  Result<Loaded> loaded = Load(file);
  if (!loaded.ok()) return loaded.status();
  return std::move(loaded->text);
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
