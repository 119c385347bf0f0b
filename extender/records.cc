#include "extender/records.h"

#include <array>
#include <filesystem>
#include <thread>
#include <unordered_map>

#include <fcntl.h>
#include <simdjson.h>
#include <sys/file.h>
#include <unistd.h>

#include "audit/reader.h"
#include "audit/schema.h"
#include "base/background.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/mutex.h"
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
    if (file < 0)
      return Status::Unavailable(
          path + " cannot be written: is it a folder on a disk that can be written?");
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
void PutAside(const std::filesystem::path& file) {
  const std::string name =
      file.string() + ".damaged-" + std::to_string(Now().time_since_epoch().count());
  std::error_code error;
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::rename(file.string() + suffix, name + suffix, error);
  Log(LogLevel::kError, "the records' file is damaged: it was renamed, and a new one is begun",
      {{"file", name}});
}

class Opener {
 public:
  explicit Opener(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Result<std::unique_ptr<Database>> operator()(bool damaged) {
    std::error_code error;
    // What pods cost is not everybody's business.
    if (std::filesystem::create_directories(folder_, error))
      std::filesystem::permissions(folder_,
                                   std::filesystem::perms::owner_all |
                                       std::filesystem::perms::group_read |
                                       std::filesystem::perms::group_exec,
                                   error);
    if (!lock_) {
      Result<std::shared_ptr<FolderLock>> lock = FolderLock::Take(folder_);
      if (!lock.ok()) return lock.status();
      lock_ = *std::move(lock);
    }
    if (damaged) PutAside(folder_ / kFile);
    Result<std::unique_ptr<Database>> database = OpenFile();
    if (database.ok() || database.status().code() != ErrorCode::kDamaged) return database;
    PutAside(folder_ / kFile);
    return OpenFile();
  }

 private:
  Result<std::unique_ptr<Database>> OpenFile() const {
    return Migrated(OpenSqlite((folder_ / kFile).string(), SqliteMode::kReadWrite));
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

// Heads of chains, by chain, in a ConfigMap that others can read and keep; by a thread of its own,
// so that an API server that does not answer holds up no entry.
class HeadPublisher {
 public:
  HeadPublisher(const ApiAccess& access, const std::string& config_map)
      : access_(access), api_(access) {
    const std::size_t slash = config_map.find('/');
    collection_ =
        "/api/v1/namespaces/" + PercentEncode(config_map.substr(0, slash)) + "/configmaps";
    name_ = config_map.substr(slash + 1);
  }

  ~HeadPublisher() {
    {
      const MutexLock lock(mutex_);
      stop_ = true;
    }
    wake_.NotifyAll();
    thread_.join();
  }
  HeadPublisher(const HeadPublisher&) = delete;
  HeadPublisher& operator=(const HeadPublisher&) = delete;

  void Offer(const PublishedHead& head) {
    const MutexLock lock(mutex_);
    newest_ = head;
    wake_.NotifyAll();
  }

  // What was published last of a chain, by whichever process. Nothing where nothing was, or where
  // we may not read it. Waits for the API server. Any thread.
  [[nodiscard]] Result<std::optional<PublishedHead>> Find(const std::string& chain) const {
    ApiClient api(access_);
    // An empty patch is answered with what is there, by the right that publishing needs anyway.
    const Result<HttpReply> reply = api.Call("PATCH", Path(), "{}", "application/merge-patch+json");
    if (!reply.ok())
      return reply.status().WithContext(
          "records wait until the head that was published of them can be read");
    if (reply->status == 404) return std::optional<PublishedHead>();
    if (reply->status == 401 || reply->status == 403) {
      Log(LogLevel::kWarning, "the records' chain is not compared with the head that was published",
          {{"config_map", name_}, {"error", Complaint(*reply)}});
      return std::optional<PublishedHead>();
    }
    if (reply->status >= 300)
      return Status::Unavailable(
          "records wait until the head that was published of them can be "
          "read: " +
          Complaint(*reply));
    simdjson::dom::parser parser;
    std::string_view text;
    if (parser.parse(reply->body)["data"][chain].get(text) != simdjson::SUCCESS)
      return std::optional<PublishedHead>();
    return ParsePublishedHead(chain + ":" + std::string(text));
  }

 private:
  void Run() {
    NameThread("heads");
    while (true) {
      MutexLock lock(mutex_);
      wake_.Wait(lock, [this]() SOBRE_REQUIRES(mutex_) { return stop_ || newest_; });
      if (!newest_) return;
      const PublishedHead head = *std::exchange(newest_, std::nullopt);
      lock.Unlock();
      Publish(head);
    }
  }

  [[nodiscard]] std::string Path() const { return collection_ + "/" + PercentEncode(name_); }

  void Publish(const PublishedHead& head) {
    const std::string data = Data(head);
    Result<HttpReply> reply =
        api_.Call("PATCH", Path(), "{" + data + "}", "application/merge-patch+json");
    if (reply.ok() && reply->status == 404) {
      std::string body = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":)";
      AppendJsonString(body, name_);
      reply = api_.Call("POST", collection_, body + "}," + data + "}");
    }
    if (reply.ok() && reply->status < 300) return;
    Log(LogLevel::kWarning, "the records' head was not published",
        {{"config_map", name_},
         {"error", reply.ok() ? Complaint(*reply) : reply.status().message()}});
  }

  static std::string Data(const PublishedHead& head) {
    std::string data = R"("data":{)";
    AppendJsonString(data, head.id.chain);
    data += ':';
    // The chain's name is the key.
    AppendJsonString(data, ToString(head).substr(head.id.chain.size() + 1));
    return data + "}";
  }

  const ApiAccess access_;
  ApiClient api_;  // of the thread
  std::string collection_;
  std::string name_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::optional<PublishedHead> newest_ SOBRE_GUARDED_BY(mutex_);
  bool stop_ SOBRE_GUARDED_BY(mutex_) = false;
  std::thread thread_{[this] { Run(); }};
};

std::string FileOf(const Config& config) {
  return (std::filesystem::path(config.records.directory) / kFile).string();
}

Result<std::unique_ptr<Database>> OpenShared(const Config::Records& records) {
  std::string password;
  if (!records.postgres_password_file.empty()) {
    const Result<std::string> text = ReadFile(records.postgres_password_file);
    if (!text.ok()) return text.status().WithContext("records.postgres_password_file");
    password = Trim(*text);
  }
  return OpenPostgres(records.postgres, password);
}

// Looks pods up in the records, so many at a time; one that is not there is asked for again later.
class MeansOfPods {
 public:
  explicit MeansOfPods(const Config& config) : open_(ForUsage(config)) {}

  std::optional<MeanOfCandidates> Find(const std::string& uid) {
    const Timestamp now = Now();
    if (now - begun_ > kWindow) {
      begun_ = now;
      lookups_ = 0;
      std::erase_if(known_, [&](const auto& entry) { return now - entry.second.asked > kForget; });
    }
    Known& known = known_[uid];
    known.asked = now;
    if (known.mean || now < known.next_look || lookups_ >= kMostLookups) return known.mean;
    ++lookups_;
    known.next_look = now + kLookAgain;
    if (!database_) {
      auto opened = open_();
      if (!opened.ok()) return std::nullopt;
      database_ = *std::move(opened);
    }
    const auto mean = MeanOnRecord(*database_, uid);
    if (!mean.ok()) {
      database_.reset();
    } else {
      known.mean = *mean;
    }
    return known.mean;
  }

 private:
  static constexpr Duration kWindow = std::chrono::seconds(10);
  static constexpr Duration kLookAgain = std::chrono::minutes(2);
  static constexpr Duration kForget = std::chrono::hours(1);
  static constexpr int kMostLookups = 2000;
  struct Known {
    std::optional<MeanOfCandidates> mean;
    Timestamp next_look;
    Timestamp asked;
  };
  const std::function<Result<std::unique_ptr<Database>>()> open_;
  std::unique_ptr<Database> database_;
  std::unordered_map<std::string, Known> known_;
  Timestamp begun_;
  int lookups_ = 0;
};

}  // namespace

Counterfactuals MeansOf(const Records& records, const Config& config) {
  return [&recorder = records.recorder(),
          on_record = std::make_shared<MeansOfPods>(config)](const std::string& uid) {
    const std::optional<MeanOfCandidates> mean = recorder.MeanFor(uid);
    return mean ? mean : on_record->Find(uid);
  };
}

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
  std::string public_key;
  options.extender_weight = config.records.extender_weight;
  if (!config.records.directory.empty()) {
    JournalOptions journal;
    journal.open = Opener(config.records.directory);
    journal.chain.name = NameOfReplica(config.records);
    journal.seal_every = config.records.seal_every;
    if (config.records.postgres.empty())
      journal.retention =
          Journal::Retention{config.records.keep, config.records.max_megabytes << 20};
    if (!config.records.signing_key_file.empty()) {
      Result<SigningKey> key = SigningKey::Load(config.records.signing_key_file);
      if (!key.ok()) return key.status().WithContext("records.signing_key_file");
      journal.chain.key = std::make_shared<const SigningKey>(*std::move(key));
      public_key = journal.chain.key->public_key();
    }
    if (!config.records.head_config_map.empty()) {
      const Result<ApiAccess> access = AccessOf(config);
      if (!access.ok()) return access.status().WithContext("records.head_config_map");
      const auto publisher =
          std::make_shared<HeadPublisher>(*access, config.records.head_config_map);
      journal.on_seal = [publisher](const PublishedHead& head) { publisher->Offer(head); };
      journal.chain.published = [publisher](const std::string& chain) {
        return publisher->Find(chain);
      };
    }
    options.journal = std::move(journal);
  }
  RecentDecisions* recent = &records->recent_;
  Recorder::Listener listener;
  listener.decided = [recent](const DecisionCase& made, const v1::Record* record) {
    recent->Add(Summarize(made, record == nullptr ? MeanOfCandidates() : MeanOf(record->mean())));
  };
  listener.closed = [recent](const Closed& closed) {
    // One that left before it had a node says nothing of ours.
    if (closed.outcome.node().empty()) return;
    recent->Close({closed.outcome.namespace_(), closed.outcome.pod_uid(), closed.outcome.node(),
                   closed.agreed});
  };
  records->recorder_ = std::make_unique<Recorder>(std::move(options), std::move(listener));
  if (!config.records.postgres.empty()) {
    Recorder* recorder = records->recorder_.get();
    ShipperOptions shipping;
    shipping.open_local = [config] {
      // The recorder makes it; two connections do not get in each other's way.
      return OpenSqlite(FileOf(config), SqliteMode::kReadWrite);
    };
    shipping.open_shared = [config] { return Migrated(OpenShared(config.records)); };
    shipping.keep = config.records.keep;
    shipping.public_key = public_key;
    shipping.adopt = [recorder](auto decisions) { recorder->Adopt(std::move(decisions)); };
    shipping.put = [recorder](Draft draft) { recorder->Put(std::move(draft)); };
    records->shipper_ = std::make_unique<Shipper>(std::move(shipping));
  }
  return records;
}

std::function<Result<std::unique_ptr<Database>>()> ForUsage(const Config& config) {
  if (!config.records.postgres.empty())
    return [records = config.records] { return OpenShared(records); };
  return [file = FileOf(config)] {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
    return OpenSqlite(file, SqliteMode::kReadWrite);
  };
}

std::vector<Finding> DiagnoseRecords(const Config& config) {
  const Config::Records& records = config.records;
  if (records.directory.empty())
    return {{Severity::kNote, "records", "decisions are not kept, and usage is not accounted for",
             "set records.directory (docs/records.md)"}};
  std::vector<Finding> findings;
  const std::string folder = std::filesystem::path(records.directory).string();
  if (::access(folder.c_str(), F_OK) != 0) {
    const std::string parent = std::filesystem::absolute(folder).parent_path().string();
    if (!std::filesystem::is_directory(parent) || ::access(parent.c_str(), W_OK) != 0)
      findings.push_back({Severity::kError, "records", folder + " is not there and cannot be made",
                          "make it, or mount a volume there that can be written"});
  } else if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0) {
    findings.push_back({Severity::kError, "records", folder + " is no folder that can be written",
                        "mount a volume there that can be written, or name another"});
  }
  if (!records.signing_key_file.empty()) {
    if (const Result<SigningKey> key = SigningKey::Load(records.signing_key_file); !key.ok())
      findings.push_back({Severity::kError, "records",
                          "seals cannot be signed: " + key.status().message(),
                          "see records.signing_key_file"});
  }
  if (!records.postgres.empty()) {
    Result<std::unique_ptr<Database>> shared = OpenShared(records);
    const Status status = shared.ok() ? (*shared)->Run("SELECT 1") : shared.status();
    if (!status.ok())
      findings.push_back({Severity::kError, "records",
                          "the shared database cannot be used: " + status.message(),
                          "see records.postgres and records.postgres_password_file"});
  }
  if (findings.empty())
    findings.push_back(
        {Severity::kOk, "records",
         "kept in " + folder + (records.postgres.empty() ? "" : " and in the shared database"),
         ""});
  return findings;
}

std::string RecordsFile(const Config& config) {
  return config.records.directory.empty() ? std::string() : FileOf(config);
}

Result<std::unique_ptr<Database>> OpenToRead(const Config& config, const std::string& file) {
  if (file.starts_with("postgresql://") || file.starts_with("postgres://"))
    return OpenPostgres(file);
  if (!file.empty()) return OpenSqlite(file, SqliteMode::kReadOnly);
  if (!config.records.postgres.empty()) return OpenShared(config.records);
  if (config.records.directory.empty())
    return Status::NotFound(
        "the configuration keeps no records: say records.directory there, or --db");
  return OpenSqlite(FileOf(config), SqliteMode::kReadOnly);
}

}  // namespace sobre
