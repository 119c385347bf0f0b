#include "extender/records.h"

#include <array>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "audit/schema.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "k8s/api_client.h"

namespace sobre {
namespace {

constexpr const char* kFile = "records.db";

// Held as long as it lives: two processes would write one chain.
class FolderLock {
 public:
  static Result<std::shared_ptr<FolderLock>> Take(const std::filesystem::path& folder) {
    const std::string path = (folder / "lock").string();
    const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) return Status::Unavailable(path + " cannot be written: is the disk read-only?");
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      ::close(file);
      return Status::Unavailable(folder.string() +
                                 ": another Sobre records there; give each its own "
                                 "records.directory");
    }
    return std::shared_ptr<FolderLock>(new FolderLock(file));
  }
  ~FolderLock() { ::close(file_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int file) : file_(file) {}
  const int file_;
};

// A damaged file is kept under another name for whoever can repair it, and a new one begun.
void PutAside(const std::filesystem::path& file, const Status& why) {
  const std::string name =
      file.string() + ".damaged-" + std::to_string(Now().time_since_epoch().count());
  std::error_code error;
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::rename(file.string() + suffix, name + suffix, error);
  Log(LogLevel::kError, "the records' file is damaged: it was renamed, and a new one is begun",
      {{"file", name}, {"error", why.message()}});
}

class Opener {
 public:
  explicit Opener(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Result<std::unique_ptr<Database>> operator()() {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (!lock_) {
      Result<std::shared_ptr<FolderLock>> lock = FolderLock::Take(folder_);
      if (!lock.ok()) return lock.status();
      lock_ = *std::move(lock);
    }
    Result<std::unique_ptr<Database>> database = OpenMigrated();
    if (database.ok() || database.status().code() != ErrorCode::kInvalid) return database;
    PutAside(folder_ / kFile, database.status());
    return OpenMigrated();
  }

 private:
  Result<std::unique_ptr<Database>> OpenMigrated() {
    Result<std::unique_ptr<Database>> database =
        OpenSqlite((folder_ / kFile).string(), SqliteMode::kReadWrite);
    if (!database.ok()) return database;
    if (Status status = MigrateSchema(**database); !status.ok()) return status;
    return database;
  }

  const std::filesystem::path folder_;
  std::shared_ptr<FolderLock> lock_;
};

// The pod's name in a cluster, else the host's.
std::string NameOfReplica(const Config::Records& records) {
  std::string name = records.name;
  if (name.empty()) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) name = host.data();
  }
  std::string safe;
  for (const char c : ToLower(name)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    safe += plain ? c : '-';
  }
  return safe.empty() ? "sobre" : safe;
}

// Heads of chains, by chain, in a ConfigMap that others can read and keep.
class HeadPublisher {
 public:
  HeadPublisher(const ApiAccess& access, const std::string& config_map)
      : api_(std::make_shared<ApiClient>(access)) {
    const std::size_t slash = config_map.find('/');
    collection_ =
        "/api/v1/namespaces/" + PercentEncode(config_map.substr(0, slash)) + "/configmaps";
    name_ = config_map.substr(slash + 1);
  }

  void operator()(const std::string& chain, const Head& head) {
    const std::string data = Data(chain, head);
    Result<HttpReply> reply = api_->Call("PATCH", collection_ + "/" + PercentEncode(name_),
                                         "{" + data + "}", "application/merge-patch+json");
    if (reply.ok() && reply->status == 404) {
      std::string body = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":)";
      AppendJsonString(body, name_);
      reply = api_->Call("POST", collection_, body + "}," + data + "}");
    }
    if (reply.ok() && reply->status < 300) return;
    Log(LogLevel::kWarning, "the records' head was not published",
        {{"config_map", name_},
         {"error", reply.ok() ? Complaint(*reply) : reply.status().message()}});
  }

 private:
  static std::string Data(const std::string& chain, const Head& head) {
    std::string data = R"("data":{)";
    AppendJsonString(data, chain);
    data += ':';
    AppendJsonString(data, std::to_string(head.seq) + ":" + Hex(head.hash));
    return data + "}";
  }

  std::shared_ptr<ApiClient> api_;
  std::string collection_;
  std::string name_;
};

std::string FileOf(const Config& config) {
  return (std::filesystem::path(config.records.directory) / kFile).string();
}

Result<std::unique_ptr<Database>> OpenShared(const Config::Records& records, bool migrate) {
  std::string password;
  if (!records.postgres_password_file.empty()) {
    const Result<std::string> text = ReadFile(records.postgres_password_file);
    if (!text.ok()) return text.status().WithContext("records.postgres_password_file");
    password = Trim(*text);
  }
  Result<std::unique_ptr<Database>> database = OpenPostgres(records.postgres, password);
  if (!database.ok() || !migrate) return database;
  if (Status status = MigrateSchema(**database); !status.ok()) return status;
  return database;
}

}  // namespace

// What is written last is still shipped.
Records::~Records() {
  if (shipper_) shipper_->Detach();
  recorder_.reset();
}

RecordsState Records::State() const {
  RecordsState state{recorder_->State(), std::nullopt};
  if (shipper_) state.shipper = shipper_->State();
  return state;
}

Result<std::unique_ptr<Records>> Records::Open(const Config& config) {
  std::unique_ptr<Records> records(new Records());
  RecorderOptions options;
  options.extender_weight = config.records.extender_weight;
  if (!config.records.directory.empty()) {
    JournalOptions journal;
    journal.open = Opener(config.records.directory);
    journal.name = NameOfReplica(config.records);
    journal.seal_every = config.records.seal_every;
    if (config.records.postgres.empty())
      journal.retention =
          Journal::Retention{config.records.keep, config.records.max_megabytes << 20};
    if (!config.records.signing_key_file.empty()) {
      Result<SigningKey> key = SigningKey::Load(config.records.signing_key_file);
      if (!key.ok()) return key.status().WithContext("records.signing_key_file");
      journal.key = std::make_shared<const SigningKey>(*std::move(key));
    }
    if (!config.records.head_config_map.empty()) {
      const Result<ApiAccess> access = AccessOf(config);
      if (!access.ok()) return access.status().WithContext("records.head_config_map");
      journal.on_seal = HeadPublisher(*access, config.records.head_config_map);
    }
    options.journal = std::move(journal);
  }
  RecentDecisions* recent = &records->recent_;
  records->recorder_ = std::make_unique<Recorder>(
      std::move(options), [recent](const DecisionCase& made) { recent->Add(Summarize(made)); });
  if (!config.records.postgres.empty()) {
    Recorder* recorder = records->recorder_.get();
    ShipperOptions shipping;
    shipping.open_local = [config] {
      // The recorder makes it; two connections do not get in each other's way.
      return OpenSqlite(FileOf(config), SqliteMode::kReadWrite);
    };
    shipping.open_shared = [config] { return OpenShared(config.records, true); };
    shipping.keep = config.records.keep;
    shipping.adopt = [recorder](auto decisions) { recorder->Adopt(std::move(decisions)); };
    shipping.put = [recorder](Draft draft) { recorder->Put(std::move(draft)); };
    records->shipper_ = std::make_unique<Shipper>(std::move(shipping));
  }
  return records;
}

std::function<Result<std::unique_ptr<Database>>()> ForUsage(const Config& config) {
  if (!config.records.postgres.empty())
    return [records = config.records] { return OpenShared(records, false); };
  return [file = FileOf(config)] {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
    return OpenSqlite(file, SqliteMode::kReadWrite);
  };
}

Result<std::unique_ptr<Database>> OpenToRead(const Config& config, const std::string& file) {
  if (file.starts_with("postgresql://") || file.starts_with("postgres://"))
    return OpenPostgres(file);
  if (!file.empty()) return OpenSqlite(file, SqliteMode::kReadOnly);
  if (!config.records.postgres.empty()) return OpenShared(config.records, false);
  if (config.records.directory.empty())
    return Status::NotFound(
        "the configuration keeps no records: say records.directory there, or --db");
  return OpenSqlite(FileOf(config), SqliteMode::kReadOnly);
}

}  // namespace sobre
