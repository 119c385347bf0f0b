#include "backtest/workload.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "backtest/random.h"
#include "base/text.h"
#include "k8s/quantity.h"

namespace sobre::backtest {
namespace {

constexpr double kMsPerHour = 3'600'000;
constexpr double kMostHours = 1e6;

Duration InMs(double hours) { return Duration(std::llround(hours * kMsPerHour)); }

// The lines of a CSV without quotes, with their numbers; an error stops it.
Status ForEachLine(std::string_view csv, std::string_view file_name,
                   const std::function<Status(const std::vector<std::string_view>&)>& each) {
  std::size_t number = 0;
  for (std::string_view line : Split(csv, '\n')) {
    ++number;
    line = Trim(line);
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string_view> cells = Split(line, ',');
    for (std::string_view& cell : cells) cell = Trim(cell);
    const Status status = each(cells);
    if (!status.ok())
      return status.WithContext(std::string(file_name) + ":" + std::to_string(number));
  }
  return Status::Ok();
}

constexpr std::array<std::string_view, 10> kColumns = {
    "name", "kind",   "arrives_hours", "runs_hours",          "replicas",
    "cpu",  "memory", "gpus",          "requests_per_second", "annotations"};

class Cells {
 public:
  explicit Cells(const std::vector<std::string_view>& cells) : cells_(cells) {}
  std::string_view Text(std::size_t column) const { return cells_[column]; }
  double Number(std::size_t column, double lowest, double highest) {
    const std::optional<double> number = ParseNumber(cells_[column]);
    if (number && *number >= lowest && *number <= highest) return *number;
    Fail(column, "is no number from " + FormatNumber(lowest) + " to " + FormatNumber(highest));
    return lowest;
  }
  std::int64_t Whole(std::size_t column, std::int64_t lowest, std::int64_t highest) {
    const std::optional<std::int64_t> number = ParseInteger(cells_[column]);
    if (number && *number >= lowest && *number <= highest) return *number;
    Fail(column,
         "is no whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
    return lowest;
  }
  void Fail(std::size_t column, const std::string& what) {
    if (!status_.ok()) return;
    status_ = Status::Invalid(std::string(kColumns[column]) + ": '" +
                              Printable(cells_[column], 40) + "' " + what);
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const std::vector<std::string_view>& cells_;
  Status status_;
};

Result<Work> ParseLine(const std::vector<std::string_view>& line) {
  if (line.size() != kColumns.size()) {
    return Status::Invalid("expected " + std::to_string(kColumns.size()) + " columns, not " +
                           std::to_string(line.size()));
  }
  Cells cells(line);
  Work work;
  work.name = Printable(cells.Text(0), 253);
  if (work.name.empty()) cells.Fail(0, "is empty");
  if (cells.Text(1) == "job") {
    work.kind = WorkKind::kJob;
  } else if (cells.Text(1) != "service") {
    cells.Fail(1, "is neither service nor job");
  }
  work.arrives = InMs(cells.Number(2, 0, kMostHours));
  work.runs = InMs(cells.Number(3, 0, kMostHours));
  work.replicas = cells.Whole(4, 1, 100'000);
  const auto millicpu = ParseMilliQuantity(cells.Text(5));
  const auto memory = ParseQuantity(cells.Text(6));
  if (!millicpu) cells.Fail(5, "is no quantity, such as 500m");
  if (!memory) cells.Fail(6, "is no quantity, such as 2Gi");
  work.requests = {millicpu.value_or(0), memory.value_or(0), cells.Whole(7, 0, 1024), 0};
  work.requests_per_second = cells.Number(8, 0, 1e9);
  if (!cells.Text(9).empty()) {
    for (const std::string_view pair : Split(cells.Text(9), ';')) {
      const std::size_t sign = pair.find('=');
      if (sign == std::string_view::npos) {
        cells.Fail(9, "is not key=value;key=value");
        break;
      }
      work.annotations.push_back(
          {std::string(Trim(pair.substr(0, sign))), std::string(Trim(pair.substr(sign + 1)))});
    }
    // A list in an annotation has commas, which end a cell: it is written with spaces.
    for (Annotation& annotation : work.annotations)
      std::replace(annotation.value.begin(), annotation.value.end(), ' ', ',');
    Policy policy;
    std::vector<std::string> problems;
    ApplyAnnotations(work.annotations, Origin::kPod, "annotations", policy, problems);
    if (!problems.empty()) return Status::Invalid(problems.front());
  }
  if (!cells.status().ok()) return cells.status();
  return work;
}

void SortByArrival(std::vector<Work>& work) {
  std::stable_sort(work.begin(), work.end(),
                   [](const Work& a, const Work& b) { return a.arrives < b.arrives; });
}

// One kind of work that is made up.
struct Class {
  const char* name;
  WorkKind kind;
  double share;
  double median_hours;
  double hours_sigma;  // of the logarithm
  double most_hours;
  double size_shape;  // Pareto, from the smallest up
  double most_vcpus;
  double most_replicas;
  double requests_per_vcpu_second;
};

double DrawVcpus(const Class& each, const Mix& mix, Random& random) {
  const double most = std::min(each.most_vcpus, mix.largest_vcpus);
  return mix.smallest_vcpus * random.Pareto(each.size_shape, most / mix.smallest_vcpus);
}

double DrawHours(const Class& each, Random& random) {
  return std::min(each.most_hours, each.median_hours * random.LogNormal(each.hours_sigma));
}

double MeanOf(const std::function<double()>& draw) {
  constexpr int kDraws = 20'000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) sum += draw();
  return sum / kDraws;
}

}  // namespace

std::string_view ToString(WorkKind kind) { return kind == WorkKind::kJob ? "job" : "service"; }

Result<std::vector<Work>> ParseWork(std::string_view csv, std::string_view file_name) {
  std::vector<Work> all;
  bool head = true;
  const Status status = ForEachLine(csv, file_name, [&](const auto& cells) {
    if (head) {
      head = false;
      if (std::equal(cells.begin(), cells.end(), kColumns.begin(), kColumns.end()))
        return Status::Ok();
      std::string expected;
      for (const std::string_view column : kColumns)
        expected += (expected.empty() ? "" : ",") + std::string(column);
      return Status::Invalid("expected the head line " + expected);
    }
    Result<Work> work = ParseLine(cells);
    if (!work.ok()) return work.status();
    all.push_back(*std::move(work));
    return Status::Ok();
  });
  if (!status.ok()) return status;
  SortByArrival(all);
  return all;
}

Result<std::map<std::string, Hourly>> ParseHourly(std::string_view csv, std::string_view file_name,
                                                  Timestamp start, std::int64_t hours) {
  std::vector<std::string> names;
  std::vector<Hourly> columns;
  std::vector<bool> seen(static_cast<std::size_t>(hours));
  const Status status = ForEachLine(csv, file_name, [&](const auto& cells) {
    if (names.empty()) {
      for (std::size_t i = 1; i < cells.size(); ++i) names.push_back(Printable(cells[i], 253));
      columns.assign(names.size(), Hourly(static_cast<std::size_t>(hours)));
      if (names.empty()) return Status::Invalid("expected a head line: hour,NAME,NAME,…");
      return Status::Ok();
    }
    if (cells.size() != names.size() + 1)
      return Status::Invalid("expected " + std::to_string(names.size() + 1) + " columns, not " +
                             std::to_string(cells.size()));
    std::optional<std::int64_t> hour = ParseInteger(cells[0]);
    if (!hour) {
      const std::optional<Timestamp> time = ParseTime(cells[0]);
      if (!time)
        return Status::Invalid("'" + Printable(cells[0], 40) +
                               "' is neither an hour nor a time such as 2019-01-01T00:00:00Z");
      // Hours before the scenario round away from it.
      hour = std::chrono::floor<std::chrono::hours>(*time - start).count();
    }
    if (*hour < 0 || *hour >= hours) return Status::Ok();
    const auto row = static_cast<std::size_t>(*hour);
    if (seen[row]) return Status::Invalid("hour " + std::to_string(*hour) + " stands there twice");
    seen[row] = true;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::optional<double> value = ParseNumber(cells[i + 1]);
      if (!value)
        return Status::Invalid(names[i] + ": '" + Printable(cells[i + 1], 40) + "' is no number");
      columns[i][row] = *value;
    }
    return Status::Ok();
  });
  if (!status.ok()) return status;
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    return Status::Invalid("hour " + std::to_string(missing - seen.begin()) + ", " +
                           FormatTime(start + std::chrono::hours(missing - seen.begin())) +
                           ", is missing")
        .WithContext(file_name);
  }
  std::map<std::string, Hourly> series;
  for (std::size_t i = 0; i < names.size(); ++i) series[names[i]] = std::move(columns[i]);
  return series;
}

std::vector<Work> Generate(const Mix& mix, const std::vector<Pool>& pools, Timestamp start,
                           std::int64_t hours, std::uint64_t seed) {
  double vcpus = 0;
  // Nobody asks for more than the largest node.
  std::int64_t most_millicpu = 0;
  std::int64_t most_memory = 0;
  for (const Pool& pool : pools) {
    most_millicpu = std::max(most_millicpu, pool.facts.allocatable.millicpu);
    most_memory = std::max(most_memory, pool.facts.allocatable.memory_bytes);
    vcpus += static_cast<double>(pool.nodes * pool.facts.allocatable.millicpu) / 1000;
  }
  const std::array<Class, 3> classes = {
      {{"service", WorkKind::kService, mix.services, 24, 1.0, 24.0 * 14, 1.4, 8, 6, 0},
       {"inference", WorkKind::kService, mix.inference, 12, 0.8, 24.0 * 7, 1.2, 8, 12, 5},
       {"job", WorkKind::kJob, mix.jobs, mix.job_median_hours, 1.2, 24, 1.1, 16, 1, 0}}};
  Random random(seed);
  std::vector<Work> all;
  for (const Class& each : classes) {
    if (each.share <= 0) continue;
    Random sample(seed + 1);
    const double mean_vcpus = MeanOf([&] { return DrawVcpus(each, mix, sample); });
    const double mean_hours = MeanOf([&] { return DrawHours(each, sample); });
    const double mean_replicas = (1 + each.most_replicas) / 2;
    const double per_hour =
        mix.fill * each.share * vcpus / (mean_vcpus * mean_hours * mean_replicas);
    const auto add = [&](double arrives, double left) {
      Work work;
      work.name = std::string(each.name) + "-" + std::to_string(all.size());
      work.kind = each.kind;
      work.arrives = InMs(arrives);
      const double runs = DrawHours(each, random);
      work.runs = std::max(InMs(runs * left), Duration(60'000));
      work.replicas = 1 + static_cast<std::int64_t>(
                              random.Below(static_cast<std::uint64_t>(each.most_replicas)));
      const double size = DrawVcpus(each, mix, random);
      work.requests.millicpu = std::min<std::int64_t>(std::llround(size * 20) * 50, most_millicpu);
      // 1 to 8 GiB for each vCPU, around 3.
      const double gib = size * std::clamp(3 * random.LogNormal(0.5), 1.0, 8.0);
      work.requests.memory_bytes =
          std::min<std::int64_t>(std::llround(gib * 16) << 26, most_memory);
      work.requests_per_second = size * each.requests_per_vcpu_second;
      if (each.kind == WorkKind::kJob && mix.wait_below > 0 &&
          random.Uniform() < mix.waiting_share) {
        work.annotations.push_back({"defer-below-gco2e-per-kwh", FormatNumber(mix.wait_below)});
        work.annotations.push_back({"max-delay", std::to_string(mix.max_delay_hours) + "h"});
      }
      if (each.kind == WorkKind::kService && mix.bound_share > 0 &&
          random.Uniform() < mix.bound_share)
        work.annotations.push_back({"allowed-countries", mix.countries});
      all.push_back(std::move(work));
    };
    // Those that run already, each somewhere in its time.
    const double standing = per_hour * mean_hours;
    for (double i = random.Exponential(); i < standing; i += random.Exponential())
      add(0, random.Uniform());
    // Thinned from the highest rate.
    const double most = per_hour * (1 + mix.day_rhythm);
    for (double at = random.Exponential() / most; at < static_cast<double>(hours);
         at += random.Exponential() / most) {
      const Timestamp time = start + InMs(at);
      const auto day = std::chrono::floor<std::chrono::days>(time);
      const double hour = InHours(std::chrono::duration_cast<Duration>(time - day));
      const unsigned weekday = std::chrono::weekday(day).c_encoding();
      constexpr double kRadiansPerHour = 6.283185307179586 / 24;
      constexpr double kBusiest = 15;
      double rate = 1 + mix.day_rhythm * std::cos((hour - kBusiest) * kRadiansPerHour);
      if (weekday == 0 || weekday == 6) rate *= mix.weekend;
      if (random.Uniform() * (1 + mix.day_rhythm) < rate) add(at, 1);
    }
  }
  SortByArrival(all);
  return all;
}

}  // namespace sobre::backtest
