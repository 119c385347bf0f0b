#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "cmake/embedded_file.h"
#include "scoring/units.h"

namespace sobre {

// A published figure and where it stands: "codecarbon 3.3.2 (Our World in Data), 2023".
template <class T>
struct Published {
  T value;
  std::string source;
  // True where the row is about exactly what was asked, false where a default had to serve.
  bool exact = true;
};

struct GridRow {
  std::string zone;  // ISO 3166-1 alpha-2, or a bidding zone
  Published<GramsPerKwh> intensity;
};

struct CpuPower {
  WattsPerVcpu idle;
  WattsPerVcpu full;
};

struct GpuPower {
  Watts idle;
  Watts full;
};

// What is known of the world without asking anybody: grid intensity by country, where each
// provider's regions are, the efficiency of data centres, power by provider and accelerator. Made
// of the rows in scoring/catalog/*.csv. Immutable after loading; safe to share between threads.
class Catalog {
 public:
  // The rows that are compiled in. They are tested to load, so this cannot fail.
  static const Catalog& Embedded();
  // Reads grid.csv, regions.csv, pue.csv, cpu.csv and gpu.csv from the given files. A bad row is an
  // error that names file and line.
  static Result<Catalog> Load(std::span<const EmbeddedFile> files);

  // The grid zone behind a provider's region; regions are keyed by both, as one name means two
  // places at two providers.
  [[nodiscard]] std::optional<std::string_view> ZoneOf(std::string_view provider,
                                                       std::string_view region) const;
  [[nodiscard]] const GridRow* Grid(std::string_view zone) const;
  // Exact by region, else the provider's average, else the world's: never nothing.
  [[nodiscard]] Published<Pue> PueOf(std::string_view provider, std::string_view region) const;
  [[nodiscard]] Published<CpuPower> CpuOf(std::string_view provider) const;
  // By the model's name as device plugins print it ("NVIDIA-A100-SXM4-80GB").
  [[nodiscard]] std::optional<Published<GpuPower>> GpuOf(std::string_view model) const;
  // A hash of all rows: recorded with each decision, so that it can be recomputed.
  [[nodiscard]] const std::string& version() const { return version_; }

 private:
  struct RegionRow {
    std::string provider, region, zone;
  };
  struct PueRow {
    std::string provider, region;
    Published<Pue> pue;
  };
  struct CpuRow {
    std::string provider;
    Published<CpuPower> power;
  };
  struct GpuRow {
    std::string model;
    Published<GpuPower> power;
  };
  Status LoadFile(std::string_view name, std::string_view bytes);

  std::unordered_map<std::string, GridRow> grid_;
  std::vector<RegionRow> regions_;
  std::vector<PueRow> pue_;
  std::vector<CpuRow> cpu_;
  std::vector<GpuRow> gpu_;
  std::string version_;
};

}  // namespace sobre
