#include "scoring/catalog.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "base/text.h"

namespace sobre {

extern const EmbeddedFile kCatalogFiles[];

namespace {

// One line of a CSV file by column name. The catalogue's files use no quotes.
class Row {
 public:
  Row(std::span<const std::string_view> header, std::span<const std::string_view> cells)
      : header_(header), cells_(cells) {}

  std::string_view Text(std::string_view column) {
    for (std::size_t i = 0; i < header_.size(); ++i) {
      if (header_[i] == column) {
        if (cells_[i].empty()) Fail("column '" + std::string(column) + "' is empty");
        return cells_[i];
      }
    }
    Fail("there is no column '" + std::string(column) + "'");
    return {};
  }

  double Number(std::string_view column, double lowest, double highest) {
    const std::string_view text = Text(column);
    const std::optional<double> number = ParseNumber(text);
    if (!number || *number < lowest || *number > highest) {
      Fail("column '" + std::string(column) + "': '" + Printable(text) + "' is not a number from " +
           FormatNumber(lowest) + " to " + FormatNumber(highest));
      return lowest;
    }
    return *number;
  }

  // "source, year"
  std::string Source() { return std::string(Text("source")) + ", " + std::string(Text("year")); }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  void Fail(std::string message) {
    if (status_.ok()) status_ = Status::Invalid(std::move(message));
  }
  std::span<const std::string_view> header_;
  std::span<const std::string_view> cells_;
  Status status_;
};

Status ForEachRow(std::string_view name, std::string_view bytes,
                  const std::function<void(Row&)>& take) {
  std::vector<std::string_view> header;
  std::size_t line_number = 0;
  for (const std::string_view raw : Split(bytes, '\n')) {
    ++line_number;
    const std::string_view line = Trim(raw);
    if (line.empty()) continue;
    const std::string where = std::string(name) + ":" + std::to_string(line_number);
    const std::vector<std::string_view> cells = Split(line, ',');
    if (header.empty()) {
      header = cells;
      continue;
    }
    if (cells.size() != header.size()) {
      return Status::Invalid(where + ": " + std::to_string(cells.size()) +
                             " columns where the header has " + std::to_string(header.size()));
    }
    Row row(header, cells);
    take(row);
    if (!row.status().ok()) return row.status().WithContext(where);
  }
  if (header.empty()) return Status::Invalid(std::string(name) + ": the file is empty");
  return Status::Ok();
}

// FNV-1a, 64 bit: names a set of rows; nothing secret hangs on it.
std::uint64_t Fnv1a(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

// "GRA*" stands for every name that begins with GRA, "*" for all.
bool Matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

}  // namespace

const Catalog& Catalog::Embedded() {
  static const Catalog catalog = [] {
    std::size_t count = 0;
    while (kCatalogFiles[count].name != nullptr) ++count;
    Result<Catalog> loaded = Load({kCatalogFiles, count});
    if (!loaded.ok()) {
      std::fprintf(stderr, "embedded catalogue: %s\n", loaded.status().message().c_str());
      std::abort();
    }
    return *std::move(loaded);
  }();
  return catalog;
}

Result<Catalog> Catalog::Load(std::span<const EmbeddedFile> files) {
  Catalog catalog;
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const EmbeddedFile& file : files) {
    if (const Status status = catalog.LoadFile(file.name, file.bytes); !status.ok()) return status;
    hash = Fnv1a(Fnv1a(hash, file.name), file.bytes);
  }
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  catalog.version_ = text.data();
  return catalog;
}

Status Catalog::LoadFile(std::string_view name, std::string_view bytes) {
  if (name == "grid.csv") {
    return ForEachRow(name, bytes, [this](Row& row) {
      GridRow grid{std::string(row.Text("zone")),
                   {GramsPerKwh(row.Number("gco2e_per_kwh", 0, 2000)), row.Source()}};
      row.Text("method");
      row.Text("licence");
      grid_.emplace(grid.zone, grid);
    });
  }
  if (name == "regions.csv") {
    return ForEachRow(name, bytes, [this](Row& row) {
      regions_.push_back({std::string(row.Text("provider")), std::string(row.Text("region")),
                          std::string(row.Text("zone"))});
      row.Source();
    });
  }
  if (name == "pue.csv") {
    return ForEachRow(name, bytes, [this](Row& row) {
      pue_.push_back({std::string(row.Text("provider")),
                      std::string(row.Text("region")),
                      {Pue(row.Number("pue", 1, 3)), row.Source()}});
    });
  }
  if (name == "cpu.csv") {
    return ForEachRow(name, bytes, [this](Row& row) {
      cpu_.push_back({std::string(row.Text("provider")),
                      {CpuPower{WattsPerVcpu(row.Number("min_watts_per_vcpu", 0, 50)),
                                WattsPerVcpu(row.Number("max_watts_per_vcpu", 0, 50))},
                       row.Source()}});
    });
  }
  if (name == "gpu.csv") {
    return ForEachRow(name, bytes, [this](Row& row) {
      gpu_.push_back({std::string(row.Text("model")),
                      {GpuPower{Watts(row.Number("idle_watts", 0, 2000)),
                                Watts(row.Number("max_watts", 1, 5000))},
                       row.Source()}});
    });
  }
  return Status::Invalid("'" + Printable(name) + "' is no file of the catalogue");
}

std::optional<std::string_view> Catalog::ZoneOf(std::string_view provider,
                                                std::string_view region) const {
  for (const RegionRow& row : regions_) {
    if (row.provider == provider && Matches(row.region, region)) return row.zone;
  }
  return std::nullopt;
}

const GridRow* Catalog::Grid(std::string_view zone) const {
  const auto found = grid_.find(std::string(zone));
  return found == grid_.end() ? nullptr : &found->second;
}

// Rows stand from the special to the general, so the first that matches is the best.
Published<Pue> Catalog::PueOf(std::string_view provider, std::string_view region) const {
  for (const PueRow& row : pue_) {
    if (Matches(row.provider, provider) && Matches(row.region, region)) {
      Published<Pue> pue = row.pue;
      pue.exact = row.region == region;
      return pue;
    }
  }
  return {Pue(1), "no row in the catalogue", false};
}

Published<CpuPower> Catalog::CpuOf(std::string_view provider) const {
  for (const CpuRow& row : cpu_) {
    if (Matches(row.provider, provider)) {
      Published<CpuPower> power = row.power;
      power.exact = row.provider == provider;
      return power;
    }
  }
  return {CpuPower{}, "no row in the catalogue", false};
}

std::optional<Published<GpuPower>> Catalog::GpuOf(std::string_view model) const {
  // Whole words only: T4 must not be found in "Tesla-T400", nor A10 in A100.
  for (const GpuRow& row : gpu_) {
    for (const std::string_view part : Split(model, '-')) {
      for (const std::string_view word : Split(part, ' ')) {
        if (EqualsIgnoreCase(word, row.model)) return row.power;
      }
    }
  }
  return std::nullopt;
}

}  // namespace sobre
