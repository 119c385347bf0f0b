#include "scoring/unknown.h"

#include <vector>

#include "base/text.h"

namespace sobre {
namespace {

std::string Accelerator(const NodeRecord& node) {
  return "accelerator " + Printable(node.facts->gpu_model, 63);
}

// Collects what each figure is made of and the ledger did not have, each part once.
class Causes {
 public:
  Causes(const Decision& decision, const NodeRecord& node, const Snapshot& snapshot)
      : decision_(decision), node_(node), snapshot_(snapshot) {}

  void Of(Figure figure) {
    const bool report = figure == Figure::kReportGrams || figure == Figure::kReportEuros ||
                        decision_.ledger == RankedLedger::kNewCapacity;
    const bool grams = figure == Figure::kGrams || figure == Figure::kReportGrams;
    if (grams) {
      Power(report);
      Intensity();
      if (report) Embodied();
    } else {
      Price(report);
    }
  }

  [[nodiscard]] std::string Joined() const {
    std::string text;
    for (const std::string& cause : causes_) text += (text.empty() ? "" : " and ") + cause;
    return text;
  }

 private:
  void Add(std::string cause) {
    for (const std::string& other : causes_)
      if (other == cause) return;
    causes_.push_back(std::move(cause));
  }

  [[nodiscard]] bool PowerIsMeasured() const {
    return decision_.work[static_cast<std::size_t>(node_.hardware_class)]
        .measured_power.has_value();
  }

  // Whether it is known what of the node the pod takes; else why not.
  bool KnowsTheDevices() {
    if (DevicesKnown(decision_.demand, ProfileOf(node_))) return true;
    AddPowerCause();
    return false;
  }

  void AddPowerCause() {
    const auto cause = WhyPowerIsUnknown(decision_.demand, node_);
    if (cause) Add(cause->what + (cause->why.empty() ? "" : " (" + cause->why + ")"));
  }

  // The report ledger needs more than the joules that were measured: idle watts too.
  void Power(bool report) {
    if (!KnowsTheDevices() || (PowerIsMeasured() && !report)) return;
    if (!MarginalPower(decision_.demand, ProfileOf(node_))) AddPowerCause();
  }

  void Intensity() {
    const bool live = decision_.intensity_basis == IntensityBasis::kLive;
    if (live ? node_.live_intensity : node_.catalog_intensity) return;
    const NodeFacts& facts = *node_.facts;
    const std::string kind = live ? "live grid intensity" : "grid intensity";
    if (!node_.grid_zone.empty()) {
      Add("no " + kind + " is known of zone " + Printable(node_.grid_zone, 63));
    } else if (facts.region.empty()) {
      Add("no label names its region, nor its grid zone");
    } else {
      Add("no grid zone is known of region " +
          Printable(facts.provider.empty() ? facts.region : facts.provider + "/" + facts.region));
    }
  }

  void Embodied() {
    const std::string before = "the embodied emissions of ";
    if (!node_.server_embodied) Add(before + "its server are unknown");
    if (!DominantShare(decision_.demand, ProfileOf(node_))) SizeOrAccelerator();
    if (decision_.demand.requests.UsesGpu() && !node_.gpu_embodied && KnowsTheDevices() &&
        !node_.facts->gpu_model.empty())
      Add(before + Accelerator(node_) + " are unknown");
  }

  void SizeOrAccelerator() {
    const Resources& size = node_.facts->allocatable;
    if (size.millicpu <= 0 || size.memory_bytes <= 0) {
      Add("its size is unknown");
    } else {
      KnowsTheDevices();
    }
  }

  void Price(bool report) {
    if (!KnowsTheDevices()) return;
    if (!node_.price) {
      Add(WhyNoPrice());
      return;
    }
    if (!DominantShare(decision_.demand, ProfileOf(node_))) SizeOrAccelerator();
    if (report && !node_.GpusCounted()) Add(node_.gpus_unknown);
    // Electricity that is paid apart is priced by the watts.
    if (node_.electricity) Power(report);
  }

  [[nodiscard]] std::string WhyNoPrice() const {
    const auto prices = snapshot_.catalog().PricesOf(node_.facts->provider);
    if (!prices) return "no price is known of it";
    for (const Money& part : {prices->value.vcpu, prices->value.gigabyte, prices->value.gpu}) {
      if (!snapshot_.EurosFor(part.currency))
        return "no rate from " + Printable(part.currency, 8) + " to euros is configured";
    }
    if (node_.facts->allocatable.millicpu <= 0) return "its size is unknown";
    if (!node_.GpusCounted()) return "its price cannot be estimated, as " + node_.gpus_unknown;
    if (!node_.uncounted.empty())
      return "its price cannot be estimated, as nobody knows what " + Printable(node_.uncounted) +
             " is";
    return "no price is known of it";
  }

  const Decision& decision_;
  const NodeRecord& node_;
  const Snapshot& snapshot_;
  std::vector<std::string> causes_;
};

}  // namespace

std::string WhyUnknown(Figure figure, const Decision& decision, const Candidate& candidate,
                       const Snapshot& snapshot) {
  if (candidate.node == Snapshot::kUnknownNode) return "the node is not known to Sobre";
  Causes causes(decision, snapshot.nodes()[static_cast<std::size_t>(candidate.node)], snapshot);
  causes.Of(figure);
  return causes.Joined();
}

std::string Because(const std::string& cause) { return cause.empty() ? cause : ": " + cause; }

}  // namespace sobre
