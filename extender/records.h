#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/recorder.h"
#include "audit/shipper.h"
#include "base/status.h"
#include "extender/config.h"
#include "extender/diagnosis.h"
#include "extender/metrics.h"
#include "extender/recent_decisions.h"
#include "extender/usage_accumulator.h"
#include "k8s/cluster_watch.h"

namespace sobre {

// Where decisions go: the last ones for the status pages, all of them into the database that the
// configuration names.
class Records final : public PodListener {
 public:
  // An error is one of the configuration: a key that cannot be read. A database that cannot be
  // opened is tried again, for as long as it takes.
  static Result<std::unique_ptr<Records>> Open(const Config& config);
  ~Records() override;

  [[nodiscard]] RecentDecisions& recent() { return recent_; }
  [[nodiscard]] Recorder& recorder() const { return *recorder_; }
  [[nodiscard]] RecordsState State() const;

  void PodSeen(const std::string& uid, const std::string& node) override {
    recorder_->PodSeen(uid, node);
  }
  void PodGone(const std::string& uid) override { recorder_->PodGone(uid); }
  void PodsListed() override { recorder_->PodsListed(); }

 private:
  Records() = default;
  RecentDecisions recent_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Shipper> shipper_;  // nothing where no database is shared
};

// By a pod's uid, the mean of its decision's candidates: from memory where this replica decided,
// else from the records that all replicas share. For one thread; outlived by `records`.
Counterfactuals MeansOf(const Records& records, const Config& config);

// Opens where usage is added up: the shared database, else this replica's file.
std::function<Result<std::unique_ptr<Database>>()> ForUsage(const Config& config);

// Whether what the configuration says of records can work. Looks at the disk and asks the database;
// changes nothing.
std::vector<Finding> DiagnoseRecords(const Config& config);

// The file in which this replica's entries are; empty where none are kept.
std::string RecordsFile(const Config& config);

// Where a configuration keeps its records, or the file that is named, to be read; an error says
// that there is none.
Result<std::unique_ptr<Database>> OpenToRead(const Config& config, const std::string& file = {});

}  // namespace sobre
