#include "scoring/catalog.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>

#include "base/text.h"
#include "base/time.h"

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
        const std::string_view cell = Trim(cells_[i]);
        if (cell.empty()) Fail("column '" + std::string(column) + "' is empty");
        return cell;
      }
    }
    Fail("there is no column '" + std::string(column) + "'");
    return {};
  }

  // Of a column that a file may leave out.
  std::string_view TextOr(std::string_view column, std::string_view otherwise) {
    const bool has = std::find(header_.begin(), header_.end(), column) != header_.end();
    return has ? Text(column) : otherwise;
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

  // A day such as 2026-05-16; empty where the cell says "unknown".
  std::string Date(std::string_view column) {
    std::string day(Text(column));
    if (day == "unknown") return {};
    if (!ParseTime(day + "T00:00:00Z"))
      Fail("column '" + std::string(column) + "': '" + Printable(day) +
           "' is no day such as 2026-05-16, nor unknown");
    return day;
  }

  // Fails where two columns stand in the wrong order.
  void Ordered(std::string_view low, double low_value, std::string_view high, double high_value) {
    if (low_value > high_value)
      Fail("'" + std::string(low) + "' is above '" + std::string(high) + "'");
  }

  // "source, year"; every row must also say its method and licence.
  std::string Source() {
    const double year = Number("year", 1990, 2100);
    if (year != static_cast<double>(static_cast<int>(year))) Fail("column 'year' is no whole year");
    Text("method");
    Text("licence");
    return std::string(Text("source")) + ", " + std::string(Text("year"));
  }
  void Fail(std::string message) {
    if (status_.ok()) status_ = Status::Invalid(std::move(message));
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
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
    if (line.find('"') != std::string_view::npos)
      return Status::Invalid(where + ": quotes are not understood; write the cells without");
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

OriginRow ReadOrigin(Row& row) {
  using Clue = OriginRow::Clue;
  constexpr std::array<std::pair<std::string_view, Clue>, 4> kClues = {
      {{"label", Clue::kLabel},
       {"instance_type", Clue::kInstanceType},
       {"region", Clue::kRegion},
       {"provider_id", Clue::kProviderId}}};
  constexpr std::array<std::pair<std::string_view, MachineKind>, 4> kMachines = {
      {{"-", MachineKind::kNotTold},
       {"virtual", MachineKind::kVirtual},
       {"server", MachineKind::kServer},
       {"unclear", MachineKind::kUnclear}}};
  const auto one_of = [&row](std::string_view column, const auto& known) {
    const std::string_view word = row.Text(column);
    for (const auto& [name, value] : known)
      if (name == word) return value;
    std::string names;
    for (const auto& entry : known)
      names.append(names.empty() ? "" : ", ").append(std::string_view(entry.first));
    row.Fail("column '" + std::string(column) + "': '" + Printable(word) + "' is none of " + names);
    return known.front().second;
  };
  OriginRow origin;
  origin.clue = one_of("clue", kClues);
  origin.pattern = row.Text("pattern");
  origin.provider_id = row.Text("provider_id");
  origin.provider = row.Text("provider");
  origin.machine = one_of("machine", kMachines);
  origin.source = row.Source();
  return origin;
}

// FNV-1a, 64 bit: names a set of rows; nothing secret hangs on it.
std::uint64_t Fnv1a(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool Matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return EqualsIgnoreCase(pattern, name);
  if (name.size() < star || !EqualsIgnoreCase(pattern.substr(0, star), name.substr(0, star)))
    return false;
  if (star + 1 == pattern.size()) return true;
  std::string_view rest = name.substr(star);
  if (rest.empty() || !IsDigit(rest.front())) return false;
  while (!rest.empty() && IsDigit(rest.front())) rest.remove_prefix(1);
  return Matches(pattern.substr(star + 1), rest);
}

// The name of a board: in lower case, its words apart by blanks, without who makes it and without
// the suffixes of a shared or a partitioned one. "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb" and
// "A100 SXM4 80GB" are one board.
std::string BoardOf(std::string_view model) {
  std::string lower = ToLower(model);
  std::replace_if(
      lower.begin(), lower.end(), [](char c) { return c == '-' || c == '_'; }, ' ');
  std::vector<std::string_view> words;
  for (const std::string_view word : Split(lower, ' ')) {
    if (word == "mig" && !words.empty()) break;
    const bool maker = words.empty() &&
                       (word == "nvidia" || word == "tesla" || word == "amd" || word == "instinct");
    if (!word.empty() && !maker) words.push_back(word);
  }
  if (words.size() > 1 && words.back() == "shared") words.pop_back();
  std::string board;
  for (const std::string_view word : words) (board += board.empty() ? "" : " ") += word;
  return board;
}

bool MatchesAll(const std::array<std::string, 4>& patterns,
                const std::array<std::string_view, 4>& names) {
  return std::equal(patterns.begin(), patterns.end(), names.begin(), Matches);
}

}  // namespace

template <class T>
const Catalog::Keyed<T>* Catalog::FindRow(const std::vector<Keyed<T>>& rows,
                                          const std::array<std::string_view, 4>& key) {
  for (const Keyed<T>& row : rows) {
    if (MatchesAll(row.key, key)) return &row;
  }
  return nullptr;
}

std::span<const EmbeddedFile> Catalog::EmbeddedFiles() {
  std::size_t count = 0;
  while (kCatalogFiles[count].name != nullptr) ++count;
  return {kCatalogFiles, count};
}

const Catalog& Catalog::Embedded() {
  static const Catalog catalog = [] {
    Result<Catalog> loaded = Load(EmbeddedFiles());
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
  if (const Status status = catalog.Complete(); !status.ok()) return status;
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  catalog.version_ = text.data();
  return catalog;
}

Status Catalog::LoadFile(std::string_view path, std::string_view bytes) {
  // Adds one row to `table`: its key columns, then what `read` makes of the rest.
  const auto load = [&](auto& table, const std::vector<std::string_view>& keys, const auto& read) {
    return ForEachRow(path, bytes, [&](Row& row) {
      auto& keyed = table.emplace_back();
      for (std::size_t i = 0; i < keys.size(); ++i) keyed.key[i] = row.Text(keys[i]);
      keyed.row = {read(row), row.Source(), true};
    });
  };
  const auto money = [](Row& row, std::string_view column) {
    Money price{row.Number(column, 0, 1e6), std::string(row.Text("currency"))};
    if (price.currency.size() != 3) row.Fail("column 'currency' is no ISO 4217 code");
    return price;
  };
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (name == "grid.csv") {
    return ForEachRow(path, bytes, [this](Row& row) {
      GridRow grid{std::string(row.Text("zone")),
                   {GramsPerKwh(row.Number("gco2e_per_kwh", 0, 2000)), row.Source(), true}};
      grid_.emplace(grid.zone, grid);
    });
  }
  if (name == "countries.csv") {
    return ForEachRow(path, bytes, [this](Row& row) {
      countries_.emplace(row.Text("code"), row.Text("zone"));
      row.Source();
    });
  }
  if (name == "operators.csv") {
    return ForEachRow(path, bytes, [this](Row& row) {
      const std::string_view relation = row.Text("relation");
      if (relation == "alias") {
        operators_.AddAlias(row.Text("name"), row.Text("of"));
      } else if (relation == "owned by") {
        operators_.AddOwner(row.Text("name"), row.Text("of"));
      } else {
        row.Fail("column 'relation': '" + Printable(relation) + "' is neither alias nor owned by");
      }
      row.Source();
    });
  }
  if (name == "regions.csv") {
    return load(regions_, {"provider", "region"},
                [](Row& row) { return std::string(row.Text("zone")); });
  }
  if (name == "providers.csv") {
    return ForEachRow(path, bytes, [this](Row& row) { origins_.push_back(ReadOrigin(row)); });
  }
  if (name == "pue.csv") {
    return load(pue_, {"provider", "region"},
                [](Row& row) { return Pue(row.Number("pue", 1, 3)); });
  }
  if (name == "cpu.csv") {
    return load(profiles_, {"profile"}, [](Row& row) {
      const double idle = row.Number("min_watts_per_vcpu", 0, 50);
      const double full = row.Number("max_watts_per_vcpu", 0, 50);
      row.Ordered("min_watts_per_vcpu", idle, "max_watts_per_vcpu", full);
      return HostProfile{std::string(row.Text("profile")), WattsPerVcpu(idle), WattsPerVcpu(full),
                         Vcpus(0), false};
    });
  }
  if (name == "instances.csv") {
    return load(instances_, {"provider", "instance_type"}, [](Row& row) {
      return HostProfile{std::string(row.Text("profile")), WattsPerVcpu(0), WattsPerVcpu(0),
                         Vcpus(row.Number("host_vcpus", 0, 10'000)), false};
    });
  }
  if (name == "gpu.csv") {
    return load(gpu_, {"model"}, [this](Row& row) {
      std::vector<std::string>& boards = boards_.emplace_back();
      for (const std::string_view board : Split(row.TextOr("boards", row.Text("model")), '|'))
        boards.push_back(BoardOf(board));
      const double idle = row.Number("idle_watts", 0, 2000);
      const double full = row.Number("max_watts", 1, 5000);
      row.Ordered("idle_watts", idle, "max_watts", full);
      return GpuPower{std::string(row.Text("model")), Watts(idle), Watts(full),
                      static_cast<std::int64_t>(row.Number("slices", 1, 64))};
    });
  }
  if (name == "resources.csv") {
    return load(resources_, {"resource"}, [](Row& row) {
      const std::string_view draws = row.Text("draws");
      if (draws != "nothing" && draws != "unknown")
        row.Fail("column 'draws': '" + Printable(draws) + "' is neither nothing nor unknown");
      return draws == "nothing";
    });
  }
  if (name == "embodied.csv") {
    return load(embodied_, {"component"}, [](Row& row) {
      const double low = row.Number("low_kgco2e", 0, 1e6);
      const double mid = row.Number("mid_kgco2e", 0, 1e6);
      const double high = row.Number("high_kgco2e", 0, 1e6);
      row.Ordered("low_kgco2e", low, "mid_kgco2e", mid);
      row.Ordered("mid_kgco2e", mid, "high_kgco2e", high);
      return EmbodiedRow{{Grams(low * 1000), Grams(mid * 1000), Grams(high * 1000)},
                         Hours(row.Number("lifetime_hours", 1, 1e6))};
    });
  }
  if (name == "coefficients.csv") {
    return load(coefficient_rows_, {"name"}, [](Row& row) { return row.Number("value", 0, 10); });
  }
  if (name == "market.csv") {
    return load(market_, {"provider", "region"},
                [](Row& row) { return GramsPerKwh(row.Number("gco2e_per_kwh", 0, 2000)); });
  }
  if (name == "electricity.csv") {
    return load(electricity_, {"provider", "region"},
                [](Row& row) { return EurosPerKwh(row.Number("eur_per_kwh", -10, 10)); });
  }
  if (name == "prices.csv") {
    return load(prices_, {"provider", "resource"},
                [&](Row& row) { return money(row, "price_per_hour"); });
  }
  if (name == "discounts.csv") {
    return load(discounts_, {"provider", "region", "instance_type", "pool"}, [](Row& row) {
      const std::string kind(row.Text("kind"));
      if (kind != "spot" && kind != "committed" && kind != "negotiated")
        row.Fail("column 'kind': '" + Printable(kind) + "' is none of spot, committed, negotiated");
      return DiscountRow{kind, Fraction(row.Number("discount_percent", 0, 100) / 100)};
    });
  }
  if (name == "commitments.csv") {
    return ForEachRow(path, bytes, [this](Row& row) {
      CommitmentRow& commitment = commitments_.emplace_back();
      constexpr std::array<std::string_view, 4> kKeys = {"provider", "region", "instance_type",
                                                         "pool"};
      for (std::size_t i = 0; i < kKeys.size(); ++i) commitment.pattern[i] = row.Text(kKeys[i]);
      commitment.name = row.Text("name");
      commitment.committed = row.Number("committed", 0, 1e9);
      commitment.unit = row.Text("unit");
      if (commitment.unit != "node" && commitment.unit != "vcpu")
        row.Fail("column 'unit': '" + Printable(commitment.unit) + "' is neither node nor vcpu");
      for (std::size_t i = 0; i + 1 < commitments_.size(); ++i) {
        if (commitments_[i].name == commitment.name)
          row.Fail("'" + Printable(commitment.name) +
                   "' stands there twice: give each row a name of its own");
      }
      row.Source();
    });
  }
  if (name == "egress.csv") {
    return load(egress_, {"provider", "from_region", "to_provider", "to_region"},
                [&](Row& row) { return money(row, "price_per_gb"); });
  }
  if (name == "performance.csv") {
    return load(performance_, {"model", "hardware_class"},
                [](Row& row) { return row.Number("factor", 1e-6, 1e6); });
  }
  if (name == "classes.csv") {
    return load(classes_, {"scale", "unit"}, [](Row& row) {
      constexpr std::array<std::string_view, 6> kLetters = {"a", "b", "c", "d", "e", "f"};
      ClassBounds bounds{};
      for (std::size_t i = 0; i < bounds.size(); ++i) {
        bounds[i] = row.Number(kLetters[i], 0, 1e9);
        if (i > 0) row.Ordered(kLetters[i - 1], bounds[i - 1], kLetters[i], bounds[i]);
      }
      return bounds;
    });
  }
  if (name == "offers.csv") {
    return load(offers_, {"provider", "region"}, [](Row& row) {
      const std::string_view text = row.Text("exposure");
      const std::optional<Exposure> exposure = ParseExposure(text);
      if (!exposure)
        row.Fail("column 'exposure': '" + Printable(text) +
                 "' is none of none-attested, contested, exposed");
      row.Date("checked");
      return OfferRow{std::string(row.Text("operator")), std::string(row.Text("operator_country")),
                      std::string(row.Text("parent_country")),
                      exposure.value_or(Exposure::kExposed)};
    });
  }
  if (name == "certifications.csv") {
    return load(certifications_, {"provider", "region"}, [](Row& row) {
      row.Date("checked");
      return CertificationRow{std::string(row.Text("scheme")), std::string(row.Text("version")),
                              std::string(row.Text("scope")), row.Date("expires")};
    });
  }
  if (name == "uncertainty.csv") {
    return load(uncertainty_, {"factor", "basis"}, [](Row& row) {
      return Band{row.Number("low", 0, 1), row.Number("high", 1, 100)};
    });
  }
  return Status::Invalid("'" + Printable(path) + "' is no file of the catalogue");
}

// What one table takes from another.
Status Catalog::Complete() {
  for (Keyed<HostProfile>& instance : instances_) {
    const Keyed<HostProfile>* profile = FindRow(profiles_, {instance.row.value.processor});
    if (profile == nullptr) {
      return Status::Invalid("instances.csv: " + instance.key[0] + " " + instance.key[1] + ": '" +
                             Printable(instance.row.value.processor) +
                             "' is no profile of cpu.csv");
    }
    instance.row.value.idle = profile->row.value.idle;
    instance.row.value.full = profile->row.value.full;
    instance.row.source = profile->row.source + ": " + instance.row.value.processor + " (" +
                          instance.row.source + ")";
  }
  const auto coefficient = [&](std::string_view name) {
    const Keyed<double>* row = FindRow(coefficient_rows_, {name});
    if (row == nullptr) return 0.0;
    coefficients_.source = row->row.source;
    return row->row.value;
  };
  coefficients_.value = {
      KwhPerGigabyteHour(coefficient("memory")), KwhPerTerabyteHour(coefficient("ssd")),
      KwhPerTerabyteHour(coefficient("hdd")), KwhPerGigabyte(coefficient("network"))};
  for (const auto& [code, zone] : countries_) country_codes_.push_back(zone);
  std::sort(country_codes_.begin(), country_codes_.end());
  const auto add_provider = [&](const std::string& pattern) {
    if (pattern.find('*') == std::string::npos) operators_.Add(pattern);
  };
  for (const auto& offer : offers_) {
    operators_.Add(offer.row.value.operator_name);
    add_provider(offer.key[0]);
  }
  for (const auto& region : regions_) add_provider(region.key[0]);
  for (const auto& certificate : certifications_) {
    const std::string& scheme = certificate.row.value.scheme;
    const bool known = std::any_of(schemes_.begin(), schemes_.end(), [&](const std::string& other) {
      return ComparableName(other) == ComparableName(scheme);
    });
    if (!known) schemes_.push_back(scheme);
  }
  return operators_.Finish();
}

bool Catalog::KnowsRegion(std::string_view provider, std::string_view region) const {
  const std::string own_provider = ToLower(provider);
  const std::string own_region = ToLower(region);
  const auto is_about = [&](const auto& row) {
    return Matches(ToLower(row.key[0]), own_provider) && Matches(ToLower(row.key[1]), own_region);
  };
  // A row about all regions of an operator names none.
  return std::any_of(regions_.begin(), regions_.end(), is_about) ||
         std::any_of(offers_.begin(), offers_.end(),
                     [&](const auto& row) { return row.key[1] != "*" && is_about(row); });
}

std::optional<std::string_view> Catalog::ZoneOf(std::string_view provider,
                                                std::string_view region) const {
  const auto* row = FindRow(regions_, {provider, region});
  if (row == nullptr) return std::nullopt;
  return row->row.value;
}

std::vector<Catalog::Region> Catalog::Regions() const {
  std::vector<Region> regions;
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& row : regions_) {
    const std::string& provider = row.key[0];
    const std::string& region = row.key[1];
    if (provider.find('*') != std::string::npos || region.find('*') != std::string::npos) continue;
    // A user's row hides the embedded one of the same region.
    if (seen.emplace(ToLower(provider), ToLower(region)).second)
      regions.push_back({provider, region, row.row.value});
  }
  return regions;
}

const GridRow* Catalog::Grid(std::string_view zone) const {
  auto found = grid_.find(std::string(zone));
  // A bidding zone without a row ("DE-LU", "SE4") has its country's average.
  constexpr std::size_t kCountry = 2;
  if (found == grid_.end() && zone.size() > kCountry &&
      (zone[kCountry] == '-' || (zone[kCountry] >= '0' && zone[kCountry] <= '9')))
    found = grid_.find(std::string(zone.substr(0, kCountry)));
  return found == grid_.end() ? nullptr : &found->second;
}

bool Catalog::RentsVirtualMachines(std::string_view provider) const {
  if (provider.empty()) return false;
  return std::any_of(origins_.begin(), origins_.end(), [&](const OriginRow& row) {
    return row.machine == MachineKind::kVirtual && EqualsIgnoreCase(row.provider, provider);
  });
}

std::string_view Catalog::ZoneOfCode(std::string_view code) const {
  const auto found = countries_.find(std::string(code));
  return found == countries_.end() ? code : std::string_view(found->second);
}

std::optional<Published<GramsPerKwh>> Catalog::MarketOf(std::string_view provider,
                                                        std::string_view region) const {
  const auto* row = FindRow(market_, {provider, region});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::optional<Published<EurosPerKwh>> Catalog::ElectricityOf(std::string_view provider,
                                                             std::string_view region) const {
  const auto* row = FindRow(electricity_, {provider, region});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

// Rows stand from the special to the general, so the first that matches is the best.
Published<Pue> Catalog::PueOf(std::string_view provider, std::string_view region) const {
  const auto* row = FindRow(pue_, {provider, region});
  if (row == nullptr) return {Pue(1), "no row in the catalogue", false};
  Published<Pue> pue = row->row;
  pue.exact = EqualsIgnoreCase(row->key[1], region);
  return pue;
}

std::pair<Published<HostProfile>, ProfileMatch> Catalog::HostOf(
    std::string_view provider, std::string_view instance_type) const {
  const auto* row = FindRow(instances_, {provider, instance_type});
  if (row == nullptr)
    return {{HostProfile{}, "no row in the catalogue", false}, ProfileMatch::kWorld};
  const ProfileMatch match = row->key[1] != "*"                      ? ProfileMatch::kInstanceType
                             : row->row.value.processor == "unknown" ? ProfileMatch::kWorld
                                                                     : ProfileMatch::kProvider;
  Published<HostProfile> host = row->row;
  host.exact = match == ProfileMatch::kInstanceType;
  host.value.of_any_provider = row->key[0] == "*";
  return {std::move(host), match};
}

std::optional<Published<GpuPower>> Catalog::GpuOf(std::string_view model) const {
  const std::string board = BoardOf(model);
  if (board.empty()) return std::nullopt;
  for (std::size_t i = 0; i < gpu_.size(); ++i) {
    const std::string& name = gpu_[i].key[0];
    if (!EqualsIgnoreCase(model, name) &&
        std::find(boards_[i].begin(), boards_[i].end(), board) == boards_[i].end())
      continue;
    // A user's row of that name has precedence, though it need not say of which boards it tells.
    const auto first = std::find_if(gpu_.begin(), gpu_.end(), [&](const auto& row) {
      return EqualsIgnoreCase(row.key[0], name);
    });
    return first->row;
  }
  return std::nullopt;
}

std::optional<bool> Catalog::DrawsNothing(std::string_view resource) const {
  const auto* row = FindRow(resources_, {resource});
  return row == nullptr ? std::nullopt : std::optional(row->row.value);
}

std::optional<Published<EmbodiedRow>> Catalog::EmbodiedOf(std::string_view component) const {
  const auto* row = FindRow(embodied_, {component});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::optional<Published<DefaultPrices>> Catalog::PricesOf(std::string_view provider) const {
  const auto* vcpu = FindRow(prices_, {provider, "vcpu"});
  const auto* gigabyte = FindRow(prices_, {provider, "gb"});
  const auto* gpu = FindRow(prices_, {provider, "gpu"});
  if (vcpu == nullptr || gigabyte == nullptr || gpu == nullptr) return std::nullopt;
  return Published<DefaultPrices>{
      {vcpu->row.value, gigabyte->row.value, gpu->row.value}, vcpu->row.source, false};
}

bool CommitmentRow::Covers(std::string_view provider, std::string_view region,
                           std::string_view instance_type, std::string_view pool) const {
  return MatchesAll(pattern, {provider, region, instance_type, pool});
}

std::optional<Published<DiscountRow>> Catalog::DiscountOf(std::string_view provider,
                                                          std::string_view region,
                                                          std::string_view instance_type,
                                                          std::string_view pool, bool spot) const {
  const std::array<std::string_view, 4> key = {provider, region, instance_type, pool};
  for (const auto& row : discounts_) {
    if (row.row.value.kind == "spot" && !spot) continue;
    if (MatchesAll(row.key, key)) return row.row;
  }
  return std::nullopt;
}

std::optional<Published<Money>> Catalog::EgressPrice(std::string_view provider,
                                                     std::string_view region,
                                                     std::string_view to_provider,
                                                     std::string_view to_region) const {
  const auto* row = FindRow(egress_, {provider, region, to_provider, to_region});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::optional<Published<double>> Catalog::PerformanceOf(std::string_view model,
                                                        std::string_view hardware_class) const {
  const auto* row = FindRow(performance_, {model, hardware_class});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::optional<Published<ClassBounds>> Catalog::ClassesOf(std::string_view scale,
                                                         std::string_view unit) const {
  const auto* row = FindRow(classes_, {scale, unit});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::optional<Published<OfferRow>> Catalog::OfferOf(std::string_view provider,
                                                    std::string_view region) const {
  const auto* row = FindRow(offers_, {provider, region});
  return row == nullptr ? std::nullopt : std::optional(row->row);
}

std::vector<Published<CertificationRow>> Catalog::CertificationsOf(std::string_view provider,
                                                                   std::string_view region,
                                                                   std::string_view scheme) const {
  std::vector<Published<CertificationRow>> rows;
  for (const auto& row : certifications_) {
    if (Matches(row.key[0], provider) && Matches(row.key[1], region) &&
        (scheme.empty() || ComparableName(row.row.value.scheme) == ComparableName(scheme)))
      rows.push_back(row.row);
  }
  return rows;
}

Band Catalog::BandOf(std::string_view factor, std::string_view basis) const {
  const auto* row = FindRow(uncertainty_, {factor, basis});
  return row == nullptr ? Band{} : row->row.value;
}

}  // namespace sobre
