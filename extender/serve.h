#pragma once

#include <atomic>
#include <memory>

#include "base/status.h"
#include "extender/access.h"
#include "extender/accountant.h"
#include "extender/cluster_scorer.h"
#include "extender/config.h"
#include "extender/mover.h"
#include "extender/records.h"
#include "extender/service.h"
#include "extender/status_pages.h"

namespace sobre {

// The running service: both ports over one world. Start, then Stop; the destructor stops too.
class Server {
 public:
  Server(std::unique_ptr<World> world, std::unique_ptr<Records> records, const Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Status Start();
  // Not ready at once; answers go on for `grace`, each closing its connection; then what has begun
  // is finished, and nothing new is taken.
  void Stop(Duration grace);
  // To the system, what large questions left free between what is in use; now and then.
  void GiveMemoryBack();
  [[nodiscard]] int extender_port() const { return extender_.port(); }
  [[nodiscard]] int status_port() const { return status_.port(); }
  [[nodiscard]] World& world() { return *world_; }
  [[nodiscard]] Records& records() { return *records_; }

 private:
  std::unique_ptr<Records> records_;  // outlives the world, which tells it of pods
  std::unique_ptr<World> world_;
  const Config config_;
  Metrics metrics_;
  ExtenderService service_;
  RecordReaders readers_;
  std::unique_ptr<Accountant> accountant_;   // nothing where no database is configured
  std::unique_ptr<Mover> mover_;             // nothing where moves are switched off
  std::unique_ptr<ClusterScorer> clusters_;  // nothing where no clusters are scored
  std::atomic<bool> draining_ = false;
  std::shared_ptr<ServerTls> tls_;  // nothing: the extender port speaks plain HTTP
  HttpServer extender_;
  std::unique_ptr<Access> access_;  // nothing: the status port is open to all who reach it
  HttpServer status_;
};

// Asks the API server of the configuration who may see what. Nothing where the status port is open
// to all who reach it; where the cluster is not known, it lets nobody in.
std::unique_ptr<Access> OpenAccess(const Config& config);

// Waits for SIGTERM, SIGINT or SIGHUP. Call BlockStopSignals() first, before any thread starts.
void BlockStopSignals();
void WaitForStopSignal();
// The same for at most `most`: true if a signal came.
bool WaitForStopSignal(Duration most);

// A world that stands still: nodes as kubectl prints them and signals, each from a file (of which
// the name may be empty), as the configuration has them read.
Result<SnapshotInput> LoadWorldFiles(const std::string& nodes_file, const std::string& signals_file,
                                     const Config& config, Timestamp now);

}  // namespace sobre
