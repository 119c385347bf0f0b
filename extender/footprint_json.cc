#include "extender/footprint_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include <simdjson.h>

#include "base/json_writer.h"
#include "base/text.h"

namespace sobre {
namespace {

namespace dom = simdjson::dom;

// Thrown inside this file alone; ParseFootprintRequest() turns it into a Status.
struct Mistake {
  std::string message;
};

[[noreturn]] void Fail(const std::string& path, const std::string& message) {
  throw Mistake{(path.empty() ? "the document" : path) + ": " + message};
}

// One object of the document, which knows its path and has none but the allowed keys.
class Reader {
 public:
  Reader(const dom::element& value, std::string path, std::span<const std::string_view> allowed)
      : path_(std::move(path)) {
    if (value.get(object_) != simdjson::SUCCESS) Fail(path_, "expected an object");
    std::vector<std::string_view> seen;
    for (const auto& [key, member] : object_) {
      if (std::find(seen.begin(), seen.end(), key) != seen.end())
        Fail(Path(Printable(key, 40)), "stands twice");
      if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
        Fail(Path(Printable(key, 40)), "unknown key" + DidYouMean(key, allowed));
      seen.push_back(key);
    }
  }

  [[nodiscard]] bool Has(std::string_view key) const {
    dom::element value;
    return object_.at_key(key).get(value) == simdjson::SUCCESS;
  }

  std::optional<double> Number(std::string_view key, double highest = 1e300) {
    dom::element value;
    if (!Take(key, value)) return std::nullopt;
    return NumberOf(value, Path(key), highest);
  }
  double Needed(std::string_view key, const char* what, double highest = 1e300) {
    const std::optional<double> number = Number(key, highest);
    if (!number) Fail(path_, "needs " + std::string(key) + ", " + what);
    return *number;
  }
  std::optional<std::string_view> Text(std::string_view key) {
    dom::element value;
    if (!Take(key, value)) return std::nullopt;
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) Fail(Path(key), "expected a string");
    return text;
  }
  void ForEach(std::string_view key,
               const std::function<void(const dom::element&, const std::string& path)>& take) {
    dom::element value;
    if (!Take(key, value)) return;
    dom::array array;
    if (value.get(array) != simdjson::SUCCESS) Fail(Path(key), "expected a list");
    std::size_t index = 0;
    for (const dom::element item : array)
      take(item, Path(key) + "[" + std::to_string(index++) + "]");
  }

  static double NumberOf(const dom::element& value, const std::string& path, double highest) {
    double number = 0;
    if (!value.is_number() || value.get(number) != simdjson::SUCCESS)
      Fail(path, "expected a number");
    if (number < 0) Fail(path, FormatNumber(number) + " is negative");
    if (number > highest) Fail(path, FormatNumber(number) + " is above " + FormatNumber(highest));
    return number;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] std::string Path(std::string_view key) const {
    return (path_.empty() ? "" : path_ + ".") + std::string(key);
  }
  bool Take(std::string_view key, dom::element& value) const {
    return object_.at_key(key).get(value) == simdjson::SUCCESS;
  }

  dom::object object_;
  std::string path_;
};

void ReadCpu(Reader& in, const std::optional<double>& duration, FootprintRequest& request) {
  FootprintRequest::Cpu& cpu = request.cpus.emplace_back();
  const std::string_view model =
      in.Text("model").value_or(in.Has("tdp_watts") ? "teads" : "linear");
  if (model == "teads") {
    cpu.thermal_design_power = Watts(in.Needed("tdp_watts", "the processor's design power"));
  } else if (model == "linear") {
    cpu.model = FootprintRequest::CpuModel::kLinear;
    cpu.idle = Watts(in.Needed("min_watts", "the power without load"));
    cpu.full = Watts(in.Needed("max_watts", "the power at full load"));
    if (cpu.idle > cpu.full) Fail(in.path(), "min_watts is above max_watts");
  } else {
    Fail(in.path() + ".model", "'" + Printable(model, 40) + "' is none of teads, linear");
  }
  cpu.utilization = Fraction(in.Needed("utilization", "from 0 to 1", 1));
  const std::optional<double> allocated = in.Number("vcpus_allocated");
  const std::optional<double> total = in.Number("vcpus_total");
  if (allocated.has_value() != total.has_value())
    Fail(in.path(), "vcpus_allocated and vcpus_total go together");
  if (total && (*total <= 0 || *allocated > *total))
    Fail(in.path(), "vcpus_allocated must be at most vcpus_total");
  if (total) cpu.share = Fraction(*allocated / *total);
  if (const auto hours = in.Number("vcpu_hours")) {
    if (total)
      Fail(in.path(), "vcpu_hours says already what vcpus_allocated and vcpus_total would");
    cpu.vcpu_hours = VcpuHours(*hours);
  } else if (!duration) {
    Fail(in.path(), "needs vcpu_hours, or duration_seconds of the document");
  }
}

void ReadPower(const dom::element& item, const std::string& path,
               const std::optional<double>& duration, FootprintRequest& request) {
  static constexpr std::array<std::string_view, 13> kKeys = {
      "component",   "model",           "tdp_watts",   "min_watts",  "max_watts",
      "utilization", "vcpus_allocated", "vcpus_total", "vcpu_hours", "gb_hours",
      "kind",        "tb_hours",        "gb"};
  Reader in(item, path, kKeys);
  const std::string_view component = in.Text("component").value_or("cpu");
  if (component == "cpu") {
    ReadCpu(in, duration, request);
  } else if (component == "memory") {
    request.memory = request.memory + GigabyteHours(in.Needed("gb_hours", "memory held over time"));
  } else if (component == "storage") {
    const std::string_view kind = in.Text("kind").value_or("ssd");
    const TerabyteHours held(in.Needed("tb_hours", "storage held over time"));
    if (kind == "ssd") {
      request.ssd = request.ssd + held;
    } else if (kind == "hdd") {
      request.hdd = request.hdd + held;
    } else {
      Fail(path + ".kind", "'" + Printable(kind, 40) + "' is none of ssd, hdd");
    }
  } else if (component == "network") {
    request.network = request.network + Gigabytes(in.Needed("gb", "the data that crosses"));
  } else {
    Fail(path + ".component",
         "'" + Printable(component, 40) + "' is none of cpu, memory, storage, network");
  }
}

void ReadEmbodied(const dom::element& item, const std::string& path,
                  const std::optional<double>& duration, FootprintRequest& request) {
  static constexpr std::array<std::string_view, 4> kKeys = {"total_gco2e", "lifetime_hours",
                                                            "used_hours", "share"};
  Reader in(item, path, kKeys);
  FootprintRequest::Embodied& part = request.embodied.emplace_back();
  part.total = Grams(in.Needed("total_gco2e", "the embodied emissions of the whole"));
  part.lifetime = Hours(in.Number("lifetime_hours").value_or(part.lifetime.value()));
  if (part.lifetime <= Hours(0)) Fail(path + ".lifetime_hours", "must be above 0");
  const std::optional<double> used = in.Number("used_hours");
  if (!used && !duration) Fail(path, "needs used_hours, or duration_seconds of the document");
  part.used = Hours(used ? *used : *duration / 3600.0);
  part.share = Fraction(in.Number("share", 1).value_or(1));
}

void ReadPrice(const dom::element& item, const std::string& path,
               const std::optional<double>& duration, FootprintRequest& request) {
  static constexpr std::array<std::string_view, 5> kKeys = {"eur", "eur_per_kwh", "eur_per_hour",
                                                            "hours", "share"};
  Reader in(item, path, kKeys);
  FootprintRequest::Price& price = request.prices.emplace_back();
  price.fixed = Euros(in.Number("eur").value_or(0));
  price.per_kwh = EurosPerKwh(in.Number("eur_per_kwh").value_or(0));
  const std::optional<double> hours = in.Number("hours");
  price.share = Fraction(in.Number("share", 1).value_or(1));
  if (const auto per_hour = in.Number("eur_per_hour")) {
    if (!hours && !duration) Fail(path, "needs hours, or duration_seconds of the document");
    price.per_hour = EurosPerHour(*per_hour);
    price.time = Hours(hours ? *hours : *duration / 3600.0);
  }
}

FootprintRequest Read(const dom::element& root) {
  FootprintRequest request;
  static constexpr std::array<std::string_view, 9> kKeys = {
      "power",       "duration_seconds",   "energy_kwh", "pue",
      "replication", "grid_gco2e_per_kwh", "embodied",   "units",
      "price"};
  Reader in(root, "", kKeys);
  const std::optional<double> duration = in.Number("duration_seconds");
  request.duration = Hours(duration.value_or(0) / 3600.0);
  in.ForEach("power", [&](const dom::element& item, const std::string& path) {
    ReadPower(item, path, duration, request);
  });
  in.ForEach("energy_kwh", [&](const dom::element& item, const std::string& path) {
    request.energy.emplace_back(Reader::NumberOf(item, path, 1e300));
  });
  if (const auto pue = in.Number("pue")) {
    if (*pue < 1) Fail("pue", FormatNumber(*pue) + " is below 1");
    request.pue = Pue(*pue);
  }
  request.replication = Fraction(in.Number("replication").value_or(1));
  if (const auto grid = in.Number("grid_gco2e_per_kwh")) request.grid = GramsPerKwh(*grid);
  in.ForEach("embodied", [&](const dom::element& item, const std::string& path) {
    ReadEmbodied(item, path, duration, request);
  });
  if (const auto units = in.Number("units")) {
    if (*units <= 0) Fail("units", "must be above 0");
    request.units = Units(*units);
  }
  in.ForEach("price", [&](const dom::element& item, const std::string& path) {
    ReadPrice(item, path, duration, request);
  });
  return request;
}

void AppendFigure(std::string& out, const char* name, std::optional<double> value) {
  std::array<char, 40> text;
  out += std::string("  \"") + name + "\": ";
  if (value) {
    constexpr int kDigits = 17;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), *value,
                                   std::chars_format::general, kDigits);
    out.append(text.data(), end.ptr);
  } else {
    out += "null";
  }
  out += ",\n";
}

template <class T>
std::optional<double> ValueOf(const std::optional<T>& unit) {
  return unit ? std::optional(unit->value()) : std::nullopt;
}

}  // namespace

Result<FootprintRequest> ParseFootprintRequest(std::string_view json) {
  dom::parser parser;
  dom::element root;
  if (const simdjson::error_code error = parser.parse(json.data(), json.size()).get(root);
      error != simdjson::SUCCESS)
    return Status::Invalid(std::string("not valid JSON: ") + simdjson::error_message(error));
  try {
    return Read(root);
  } catch (const Mistake& mistake) {
    return Status::Invalid(mistake.message);
  }
}

Result<std::string> AnswerFootprint(std::string_view json) {
  const Result<FootprintRequest> request = ParseFootprintRequest(json);
  if (!request.ok()) return request.status();
  const Footprint footprint = ComputeFootprint(*request, Catalog::Embedded().coefficients().value);
  for (const std::optional<double> figure :
       {std::optional(footprint.energy.value()), ValueOf(footprint.operational),
        std::optional(footprint.embodied.value()), ValueOf(footprint.total),
        footprint.grams_per_unit, ValueOf(footprint.euros), footprint.euros_per_unit}) {
    if (!std::isfinite(figure.value_or(0)))
      return Status::Invalid("the figures are too large to compute with");
  }
  return FootprintJson(footprint);
}

std::string FootprintJson(const Footprint& footprint) {
  std::string out = "{\n";
  AppendFigure(out, "energy_kwh", footprint.energy.value());
  AppendFigure(out, "operational_gco2e", ValueOf(footprint.operational));
  AppendFigure(out, "embodied_gco2e", footprint.embodied.value());
  AppendFigure(out, "total_gco2e", ValueOf(footprint.total));
  AppendFigure(out, "per_unit_gco2e", footprint.grams_per_unit);
  AppendFigure(out, "euros", ValueOf(footprint.euros));
  AppendFigure(out, "per_unit_euros", footprint.euros_per_unit);
  out += "  \"method\": ";
  AppendJsonString(out, footprint.method);
  return out + "\n}\n";
}

}  // namespace sobre
