#include "audit/verify.h"

#include <array>
#include <cstdio>

#include "audit/verify_chain.h"
#include "base/file.h"
#include "base/text.h"
#include "extender/command_line.h"
#include "extender/config.h"
#include "extender/records.h"

namespace sobre {
namespace {

constexpr std::array<Option, 8> kOptions = {{
    {"--config", "FILE",
     "the service's configuration: where its records are, and the catalogue's own rows"},
    {"--db", "FILE", "the records' file, instead of the configuration's"},
    {"--in", "FILE",
     "instead: single records, one line of JSON each; this proves their arithmetic alone"},
    {"--head", "CHAIN:N:HASH[:from:N]",
     "a head that was published and kept: the chain must have it, and begin no earlier"},
    {"--keep", "DURATION",
     "how long entries had to be kept (400d), instead of the configuration's records.keep: none "
     "younger may have been pruned"},
    {"--public-key", "HEX", "every seal must be signed by this Ed25519 key (32 bytes)"},
    {"--chain-only", "", "check the chain alone: do not make decisions again"},
    {"--help", "", "this text"},
}};

int VerifyLines(const std::string& path, const std::shared_ptr<const Catalog>& catalog) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return UsageError("verify", text.status());
  std::int64_t number = 0;
  std::int64_t agree = 0;
  for (const std::string_view json : Split(*text, '\n')) {
    ++number;
    if (Trim(json).empty()) continue;
    const Result<v1::Record> record = ParseRecord(json);
    Status status = record.ok() ? Verify(*record, record->known(), catalog) : record.status();
    if (status.ok()) {
      ++agree;
      continue;
    }
    std::fprintf(stderr, "sobre verify: %s:%lld: %s\n", path.c_str(),
                 static_cast<long long>(number), PrintableLines(status.message()).c_str());
    return record.ok() && status.code() == ErrorCode::kInvalid ? 1 : 2;
  }
  std::printf("%lld records made again: all agree\n", static_cast<long long>(agree));
  return std::fflush(stdout) == 0 ? 0 : 2;
}

// Where the option is not said, what the configuration says.
Result<std::optional<VerifyOptions::Keep>> KeepOf(const CommandLine& line, const Config& config) {
  std::optional<VerifyOptions::Keep> keep;
  if (line.Has("--config"))
    keep = VerifyOptions::Keep{config.records.keep, config.records.max_megabytes > 0};
  if (!line.Has("--keep")) return keep;
  const std::optional<Duration> age = ParseDuration(line.Get("--keep"));
  if (!age) return Status::Invalid("--keep: expected a duration, such as 400d");
  return std::optional(VerifyOptions::Keep{*age, keep && keep->bounded_size});
}

void Print(const ChainSummary& chain, bool recomputed) {
  const std::string name = Printable(chain.chain, 253);
  std::string text = name + ": " + std::to_string(chain.decisions) + " decisions and " +
                     std::to_string(chain.outcomes) + " outcomes, ";
  if (recomputed) {
    const std::int64_t again = chain.decisions - chain.other_rules;
    text += again == chain.decisions
                ? "all made again and the same to the bit"
                : std::to_string(again) + " made again and the same to the bit";
    if (chain.other_rules > 0)
      text += ", " + std::to_string(chain.other_rules) +
              " by other rules or another catalogue (see catalog.directory)";
    text += "; ";
  }
  text += std::to_string(chain.seals) + " seals";
  if (chain.unsealed > 0) text += ", " + std::to_string(chain.unsealed) + " entries after the last";
  if (chain.signed_seals > 0) text += ", " + std::to_string(chain.signed_seals) + " signed";
  if (chain.first_seq > 1)
    text += "; begins at entry " + std::to_string(chain.first_seq) +
            ", what came before was pruned" +
            (chain.pruning_proven ? ", as a signed seal proves"
                                  : ", which nothing proves without --public-key");
  if (chain.dropped > 0)
    text += "; " + std::to_string(chain.dropped) +
            " entries were dropped when they could not be "
            "written, as the chain says";
  const PublishedHead head{{name, chain.head.seq}, chain.head.hash, chain.first_seq};
  std::printf("%s\n  head %s\n", text.c_str(), ToString(head).c_str());
}

}  // namespace

int RunVerify(std::span<const std::string_view> arguments) {
  const Result<CommandLine> line = CommandLine::Parse(kOptions, arguments);
  if (!line.ok()) return UsageError("verify", line.status());
  if (line->Has("--help")) {
    std::printf(
        "usage: sobre verify --config FILE [--head CHAIN:N:HASH] [--public-key HEX] "
        "[--keep DURATION] [--chain-only]\n"
        "       sobre verify --db FILE …\n"
        "       sobre verify --in FILE [--config FILE]\n\n"
        "Checks that no recorded entry was changed, taken out or put in, and makes each decision "
        "again from\nwhat it was made from, comparing every figure to the bit. Exit status: 0 if "
        "all is as it should be,\n1 if an entry is wrong (the first one is named), 2 if it cannot "
        "be read or made again.\n\n%s",
        HelpFor(kOptions).c_str());
    return 0;
  }
  const Result<Config> config = ConfigOf(*line);
  if (!config.ok()) return UsageError("verify", config.status());
  if (line->Has("--in")) {
    for (const char* option : {"--db", "--head", "--keep", "--public-key", "--chain-only"})
      if (line->Has(option))
        return UsageError("verify",
                          Status::Invalid(std::string(option) + " is of a chain: not with --in"));
    return VerifyLines(line->Get("--in"), config->rows);
  }
  VerifyOptions options;
  options.recompute = !line->Has("--chain-only");
  if (line->Has("--head")) {
    const std::optional<PublishedHead> head = ParsePublishedHead(line->Get("--head"));
    if (!head)
      return UsageError("verify", Status::Invalid("--head: expected CHAIN:NUMBER:HASH or "
                                                  "CHAIN:NUMBER:HASH:from:NUMBER, as it was "
                                                  "published"));
    options.heads.push_back(*head);
  }
  const auto keep = KeepOf(*line, *config);
  if (!keep.ok()) return UsageError("verify", keep.status());
  options.keep = *keep;
  if (line->Has("--public-key")) {
    const Result<std::string> key = FromHex(line->Get("--public-key"));
    if (!key.ok() || key->size() != 32)
      return UsageError("verify", Status::Invalid("--public-key: expected 64 hexadecimal digits"));
    options.public_key = *key;
  }
  const auto database = OpenToRead(*config, line->Get("--db"));
  if (!database.ok()) return UsageError("verify", database.status());
  const auto chains = VerifyChains(**database, config->rows, options);
  if (!chains.ok()) {
    std::fprintf(stderr, "sobre verify: %s\n", PrintableLines(chains.status().message()).c_str());
    const ErrorCode code = chains.status().code();
    return code == ErrorCode::kInvalid || code == ErrorCode::kDamaged ? 1 : 2;
  }
  for (const ChainSummary& chain : *chains) Print(chain, options.recompute);
  if (chains->empty()) std::printf("no records yet\n");
  return std::fflush(stdout) == 0 ? 0 : 2;
}

}  // namespace sobre
