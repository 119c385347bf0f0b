#include "extender/api_labels.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/label.h"
#include "audit/usage.h"
#include "base/text.h"
#include "extender/report_order.h"

namespace sobre {
namespace {

constexpr std::string_view kFolder = "/api/v1/labels/";
constexpr std::string_view kEnding = ".svg";

struct Wanted {
  LabelText text;
  bool is_model = false;
  std::chrono::days days{30};
  LabelLanguage language = LabelLanguage::kEnglish;
  LabelTheme theme = LabelTheme::kLight;
};

Status ReadOptions(const HttpRequest& request, Wanted& wanted) {
  constexpr std::int64_t kMostDays = 800;
  if (const auto text = request.Parameter("days")) {
    const auto days = ParseInteger(*text);
    if (!days || *days < 1 || *days > kMostDays)
      return Status::Invalid("days: expected a whole number from 1 to 800");
    wanted.days = std::chrono::days(*days);
  }
  const auto language = ParseLabelLanguage(request.Parameter("lang").value_or("en"));
  if (!language) return Status::Invalid("lang: expected en or fr");
  const auto theme = ParseLabelTheme(request.Parameter("theme").value_or("light"));
  if (!theme) return Status::Invalid("theme: expected light or dark");
  wanted.language = *language;
  wanted.theme = *theme;
  return Status::Ok();
}

Result<Wanted> WantedBy(const HttpRequest& request) {
  Wanted wanted;
  if (Status known = CheckParameters(request, {"days", "lang", "theme", "name"}); !known.ok())
    return known;
  std::string_view name = request.path.substr(kFolder.size());
  if (!name.ends_with(kEnding))
    return Status::NotFound("a label's name ends in .svg: namespace/workload.svg");
  name.remove_suffix(kEnding.size());
  const std::size_t slash = name.find('/');
  if (name == "model") {
    wanted.is_model = true;
    wanted.text.name = request.Parameter("name").value_or("");
    if (wanted.text.name.empty()) return Status::Invalid("name: the model's name is missing");
  } else if (slash == std::string_view::npos || slash == 0 || slash + 1 == name.size()) {
    return Status::NotFound("no such label: write namespace/workload.svg, or model.svg?name=MODEL");
  } else {
    wanted.text.place = name.substr(0, slash);
    wanted.text.name = name.substr(slash + 1);
  }
  const Status read = ReadOptions(request, wanted);
  return read.ok() ? Result<Wanted>(std::move(wanted)) : read;
}

Result<std::string> Draw(const Wanted& wanted, Database& database, const Config& config,
                         Timestamp now) {
  ReportRequest request;
  request.from = BeginOfDays(now, wanted.days.count());
  request.to = now;
  request.by = {wanted.is_model ? ReportKey::kModel : ReportKey::kWorkload};
  UsageStore::Filter filter;
  if (wanted.is_model) {
    filter.model = wanted.text.name;
  } else {
    filter.namespace_name = wanted.text.place;
    filter.workload = wanted.text.name;
  }
  const Result<std::vector<UsageRow>> rows =
      UsageStore(database).ReadWorkloads(request.from, request.to, filter);
  if (!rows.ok()) return rows.status();
  const Report report = MakeReport(*rows, std::nullopt, request, ContextFor(*config.rows, now));
  if (report.groups.empty())
    return Status::NotFound("nothing was accounted for of " + Printable(wanted.text.name) +
                            " in the last " + std::to_string(wanted.days.count()) + " days");
  return LabelSvg(wanted.text, report.groups.front(), report, wanted.language, wanted.theme);
}

}  // namespace

void AddLabels(HttpServer& server, RecordReaders& readers, const Config& config) {
  server.Handle("GET", std::string(kFolder) + "*",
                [&](const HttpRequest& request, HttpResponse& response) {
                  const auto fail = [&](const Status& status) { FailWith(status, response); };
                  const Result<Wanted> wanted = WantedBy(request);
                  if (!wanted.ok()) return fail(wanted.status());
                  const auto reader = readers.OpenUsage();
                  if (!reader.ok()) return fail(reader.status());
                  Result<std::string> svg = Draw(*wanted, **reader, config, Now());
                  if (!svg.ok()) return fail(svg.status());
                  response.content_type = "image/svg+xml; charset=utf-8";
                  // A picture that other pages may show.
                  response.headers = {{"Cross-Origin-Resource-Policy", "cross-origin"},
                                      {"Cache-Control", "private, max-age=300"}};
                  response.body = *std::move(svg);
                });
}

}  // namespace sobre
