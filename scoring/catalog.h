#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "cmake/embedded_file.h"
#include "scoring/machine_kind.h"
#include "scoring/operator_names.h"
#include "scoring/policy.h"
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

// What an instance type is known to run on.
struct HostProfile {
  std::string processor;  // a profile of cpu.csv: "ice-lake", "aws-average", "unknown"
  WattsPerVcpu idle;
  WattsPerVcpu full;
  // Of the whole machine, for its embodied emissions; 0: the node is the machine.
  Vcpus host_vcpus;
  // The row is of no provider: a typical host of virtual machines, whoever runs it.
  bool of_any_provider = false;
};
// How specific a host profile is.
enum class ProfileMatch { kInstanceType, kProvider, kWorld };

struct GpuPower {
  std::string model;
  Watts idle;
  Watts full;
  // Into how many slices its partitions (MIG) count.
  std::int64_t slices = 1;
};

struct EmbodiedRow {
  Range<Grams> total;
  Hours lifetime;
};

// Energy of what is not the processor, per amount and time.
struct Coefficients {
  KwhPerGigabyteHour memory;
  KwhPerTerabyteHour ssd;
  KwhPerTerabyteHour hdd;
  KwhPerGigabyte network;
};

// What one thing that stands in a node's object says of who runs the node. In patterns "*" stands
// for any text, and case does not count.
struct OriginRow {
  enum class Clue { kLabel, kInstanceType, kRegion, kProviderId };
  Clue clue = Clue::kProviderId;
  std::string pattern;      // of a label its key, or KEY=VALUE
  std::string provider_id;  // it counts for nodes whose providerID is like this
  std::string provider;     // or one of the words below
  MachineKind machine = MachineKind::kNotTold;
  std::string source;

  static constexpr std::string_view kSaysNothing = "-";    // other rows may tell
  static constexpr std::string_view kUnknown = "unknown";  // nor does any other row
  // The scheme's own provider has such nodes, and so has another that borrows the scheme.
  static constexpr std::string_view kAmbiguous = "ambiguous";
};

// Who stands behind a provider's regions.
struct OfferRow {
  std::string operator_name;
  std::string operator_country;
  std::string parent_country;  // of the ultimate owner
  Exposure exposure = Exposure::kExposed;
};

struct CertificationRow {
  std::string scheme;
  std::string version;
  std::string scope;
  // Its last day, "2026-05-16"; empty where nobody states it, and then it does not count.
  std::string expires;
};

struct Money {
  double amount = 0;
  std::string currency;  // ISO 4217
};

// Prices per hour where nobody states the node's own.
struct DefaultPrices {
  Money vcpu;
  Money gigabyte;
  Money gpu;
};

// What is taken off the list price of a pool's nodes.
struct DiscountRow {
  std::string kind;  // "spot", "committed" or "negotiated"
  Fraction share;
};

// Capacity that was committed to, and which nodes use it.
struct CommitmentRow {
  std::array<std::string, 4> pattern;  // provider, region, instance type, pool
  std::string name;
  double committed = 0;
  std::string unit;  // "node" or "vcpu"
  [[nodiscard]] bool Covers(std::string_view provider, std::string_view region,
                            std::string_view instance_type, std::string_view pool) const;
};

// The bounds of a figure as multiples of it.
struct Band {
  double low = 1;
  double high = 1;
};

// The upper bounds of classes A to F; above is G.
using ClassBounds = std::array<double, 6>;

// What is known of the world without asking anybody: grid intensity by country, where each
// provider's regions are, the efficiency of data centres, processors behind instance types,
// accelerators, embodied emissions, default prices, classes, and how far each may be off. Made of
// the rows in scoring/catalog/*.csv and of a user's own. Immutable after loading; safe to share
// between threads.
class Catalog {
 public:
  // The rows that are compiled in. They are tested to load, so this cannot fail.
  static const Catalog& Embedded();
  static std::span<const EmbeddedFile> EmbeddedFiles();
  // Reads tables by their file names (grid.csv, …). A row of an earlier file has precedence, so a
  // user's own stand before the embedded ones. A bad row is an error that names file and line.
  static Result<Catalog> Load(std::span<const EmbeddedFile> files);

  // The grid zone behind a provider's region; regions are keyed by both, as one name means two
  // places at two providers.
  [[nodiscard]] std::optional<std::string_view> ZoneOf(std::string_view provider,
                                                       std::string_view region) const;
  // Every region that is known, in the order of the rows; patterns are not among them.
  struct Region {
    std::string provider;
    std::string region;
    std::string zone;
  };
  [[nodiscard]] std::vector<Region> Regions() const;
  // The zone's own row, else its country's: GridRow::zone tells which.
  [[nodiscard]] const GridRow* Grid(std::string_view zone) const;
  // The zone that a three-letter country code means; any other text as it is.
  [[nodiscard]] std::string_view ZoneOfCode(std::string_view code) const;
  // The market-based factor of the contract behind a region, where one is configured.
  [[nodiscard]] std::optional<Published<GramsPerKwh>> MarketOf(std::string_view provider,
                                                               std::string_view region) const;
  // What electricity costs where it is paid beside the node's price (one's own data centre).
  [[nodiscard]] std::optional<Published<EurosPerKwh>> ElectricityOf(std::string_view provider,
                                                                    std::string_view region) const;
  // Exact by region, else the provider's average, else the world's: never nothing.
  [[nodiscard]] Published<Pue> PueOf(std::string_view provider, std::string_view region) const;
  // By instance type, else the provider's average, else the world's: never nothing.
  [[nodiscard]] std::pair<Published<HostProfile>, ProfileMatch> HostOf(
      std::string_view provider, std::string_view instance_type) const;
  // By the model's name as device plugins print it ("NVIDIA-A100-SXM4-80GB"), or as a row calls it
  // ("A100"). A board is found by its whole name: others of its family draw otherwise.
  [[nodiscard]] std::optional<Published<GpuPower>> GpuOf(std::string_view model) const;
  // Whether the extended resource draws no power of its own; nothing where no row names it.
  [[nodiscard]] std::optional<bool> DrawsNothing(std::string_view resource) const;
  // "server", "server-large-compute", "server-large-memory" or an accelerator's model.
  [[nodiscard]] std::optional<Published<EmbodiedRow>> EmbodiedOf(std::string_view component) const;
  [[nodiscard]] const Published<Coefficients>& coefficients() const { return coefficients_; }
  // Nothing where a resource's price is missing.
  [[nodiscard]] std::optional<Published<DefaultPrices>> PricesOf(std::string_view provider) const;
  // What a pool's nodes cost less than their list price; rows of kind "spot" are for spot nodes
  // alone.
  [[nodiscard]] std::optional<Published<DiscountRow>> DiscountOf(std::string_view provider,
                                                                 std::string_view region,
                                                                 std::string_view instance_type,
                                                                 std::string_view pool,
                                                                 bool spot) const;
  [[nodiscard]] const std::vector<CommitmentRow>& commitments() const { return commitments_; }
  // Price of a gigabyte that crosses from one region to another.
  [[nodiscard]] std::optional<Published<Money>> EgressPrice(std::string_view provider,
                                                            std::string_view region,
                                                            std::string_view to_provider,
                                                            std::string_view to_region) const;
  // How many times as fast a hardware class serves the model, against the class that its rate is
  // stated for.
  [[nodiscard]] std::optional<Published<double>> PerformanceOf(
      std::string_view model, std::string_view hardware_class) const;
  // scale "energy" or "carbon", unit such as "Wh/request".
  [[nodiscard]] std::optional<Published<ClassBounds>> ClassesOf(std::string_view scale,
                                                                std::string_view unit) const;
  // Without a row: no uncertainty.
  [[nodiscard]] Band BandOf(std::string_view factor, std::string_view basis) const;
  // In the order in which they count.
  [[nodiscard]] const std::vector<OriginRow>& origins() const { return origins_; }
  // Whether the provider rents out virtual machines, as far as is known.
  [[nodiscard]] bool RentsVirtualMachines(std::string_view provider) const;
  // Who operates a region; nothing where no row says, which fails closed.
  [[nodiscard]] std::optional<Published<OfferRow>> OfferOf(std::string_view provider,
                                                           std::string_view region) const;
  // All rows of a region for the scheme; without one, for any.
  [[nodiscard]] std::vector<Published<CertificationRow>> CertificationsOf(
      std::string_view provider, std::string_view region, std::string_view scheme = {}) const;
  // What limits may name. Operators and providers, with their aliases and owners.
  [[nodiscard]] const OperatorNames& operators() const { return operators_; }
  // Two-letter codes of ISO 3166-1, sorted.
  [[nodiscard]] const std::vector<std::string>& country_codes() const { return country_codes_; }
  // Schemes of certificates, as they are spelt first.
  [[nodiscard]] const std::vector<std::string>& schemes() const { return schemes_; }
  // Whether a row is about that region, whatever its case.
  [[nodiscard]] bool KnowsRegion(std::string_view provider, std::string_view region) const;
  // A hash of all rows: recorded with each decision, so that it can be recomputed.
  [[nodiscard]] const std::string& version() const { return version_; }

 private:
  // A row found by one to four names, each of which may be a pattern: "*" at the end stands for
  // anything, elsewhere for digits. Case does not count.
  template <class T>
  struct Keyed {
    std::array<std::string, 4> key;
    Published<T> row;
  };
  template <class T>
  static const Keyed<T>* FindRow(const std::vector<Keyed<T>>& rows,
                                 const std::array<std::string_view, 4>& key);
  Status LoadFile(std::string_view name, std::string_view bytes);
  Status Complete();

  std::unordered_map<std::string, GridRow> grid_;
  std::unordered_map<std::string, std::string> countries_;
  std::vector<std::string> country_codes_;
  OperatorNames operators_;
  std::vector<std::string> schemes_;
  std::vector<Keyed<std::string>> regions_;
  std::vector<OriginRow> origins_;
  std::vector<Keyed<Pue>> pue_;
  std::vector<Keyed<HostProfile>> profiles_;   // cpu.csv
  std::vector<Keyed<HostProfile>> instances_;  // idle and full are filled in by Complete()
  std::vector<Keyed<GpuPower>> gpu_;
  std::vector<std::vector<std::string>> boards_;  // that each row of gpu_ is about, by BoardOf()
  std::vector<Keyed<bool>> resources_;
  std::vector<Keyed<EmbodiedRow>> embodied_;
  std::vector<Keyed<GramsPerKwh>> market_;
  std::vector<Keyed<EurosPerKwh>> electricity_;
  std::vector<Keyed<OfferRow>> offers_;
  std::vector<Keyed<CertificationRow>> certifications_;
  std::vector<Keyed<Money>> prices_;
  std::vector<Keyed<DiscountRow>> discounts_;
  std::vector<CommitmentRow> commitments_;
  std::vector<Keyed<Money>> egress_;
  std::vector<Keyed<double>> performance_;
  std::vector<Keyed<ClassBounds>> classes_;
  std::vector<Keyed<Band>> uncertainty_;
  std::vector<Keyed<double>> coefficient_rows_;
  Published<Coefficients> coefficients_;
  std::string version_;
};

}  // namespace sobre
