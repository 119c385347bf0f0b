#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/digest.h"
#include "audit/verify_chain.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/records.h"

namespace sobre {
namespace {

constexpr std::array<Option, 4> kOptions = {{
    {"--config", "FILE", "the service's configuration: where its records are"},
    {"--db", "FILE", "the records' file, instead of the configuration's"},
    {"--out", "FILE", "the copy, which must not be there yet; if left out: standard output"},
    {"--help", "", "this text"},
}};

constexpr const char* kHelp = R"(usage: sobre backup --config FILE [--out FILE]

Copies the records' file while a service writes it, as of one moment, and checks the copy's chain. The
copy is one file: with nothing else it can be read by --db of verify, explain and report, or put back
as records.db. Until it is whole it stands beside the records, or beside --out, as NAME.part.

)";

int Failed(const Status& status) {
  std::fprintf(stderr, "sobre backup: %s\n", status.message().c_str());
  return 1;
}

// Removed as it goes out of scope, under this name.
class Part {
 public:
  explicit Part(std::string path) : path_(std::move(path)) {}
  ~Part() { ::unlink(path_.c_str()); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Status LinkTo(const std::string& path) const {
    // Not over a file that has come meanwhile.
    if (::link(path_.c_str(), path.c_str()) != 0)
      return Status::Unavailable(path + ": cannot be made; is it there already?");
    return Status::Ok();
  }

 private:
  const std::string path_;
};

Status Sync(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = file >= 0 && ::fsync(file) == 0;
  if (file >= 0) ::close(file);
  return done ? Status::Ok() : Status::Unavailable(path + ": cannot be written to its disk");
}

Status Print(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 1 << 16> bytes;
  while (file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) || file.gcount() > 0) {
    const auto size = static_cast<std::size_t>(file.gcount());
    if (std::fwrite(bytes.data(), 1, size, stdout) != size)
      return Status::Unavailable("standard output: not all could be written");
  }
  if (file.bad()) return Status::Unavailable(path + ": cannot be read");
  return std::fflush(stdout) == 0 ? Status::Ok() : Status::Unavailable("standard output: closed");
}

// What is in the copy, on standard error: the file itself may go to standard output.
Status Check(const std::string& path, const std::shared_ptr<const Catalog>& catalog) {
  Result<std::unique_ptr<Database>> copy = OpenSqlite(path, SqliteMode::kReadOnly);
  if (!copy.ok()) return copy.status();
  VerifyOptions options;
  options.recompute = false;
  const auto chains = VerifyChains(**copy, catalog, options);
  if (!chains.ok()) return chains.status();
  for (const ChainSummary& chain : *chains) {
    const PublishedHead head{{chain.chain, chain.head.seq}, chain.head.hash, chain.first_seq};
    std::fprintf(stderr, "sobre backup: %lld decisions, head %s\n",
                 static_cast<long long>(chain.decisions), ToString(head).c_str());
  }
  if (chains->empty()) std::fprintf(stderr, "sobre backup: no records yet\n");
  return Status::Ok();
}

}  // namespace

int RunBackup(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("backup", line.status());
  if (line->Has("--help")) {
    std::printf("%s%s", kHelp, HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("backup", config.status());
  const std::string file = line->Has("--db") ? line->Get("--db") : RecordsFile(*config);
  if (file.empty())
    return UsageError("backup", Status::NotFound("the configuration keeps no records: say "
                                                 "records.directory there, or --db"));
  if (!line->Has("--db") && !config->records.postgres.empty())
    return UsageError("backup",
                      Status::Invalid("the records are in PostgreSQL: use pg_dump "
                                      "(docs/operations.md); what has not reached it is in " +
                                      file + ", which --db copies"));
  const bool to_file = line->Has("--out") && line->Get("--out") != "-";
  std::error_code error;
  if (to_file && std::filesystem::exists(line->Get("--out"), error))
    return UsageError("backup", Status::Invalid(line->Get("--out") + " is there already"));
  if (!to_file && ::isatty(STDOUT_FILENO) == 1)
    return UsageError("backup", Status::Invalid("standard output is a terminal: say --out FILE"));
  const Result<std::unique_ptr<Database>> records = OpenSqlite(file, SqliteMode::kReadOnly);
  if (!records.ok()) return Failed(records.status());
  Part part((to_file ? line->Get("--out") : file) + "." + std::to_string(::getpid()) + ".part");
  // Nobody else may read it while it is made, nor later: umask alone decides of new files.
  ::umask(077);
  const std::array<SqlValue, 1> to = {part.path()};
  Status status = (*records)->Run("VACUUM INTO $1", to);
  if (status.ok()) status = Sync(part.path());
  if (status.ok()) status = Check(part.path(), config->rows);
  if (status.ok()) status = to_file ? part.LinkTo(line->Get("--out")) : Print(part.path());
  return status.ok() ? 0 : Failed(status);
}

}  // namespace sobre
