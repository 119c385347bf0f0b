#include "extender/usage_sink.h"

#include <array>
#include <chrono>
#include <utility>

#include "audit/schema.h"

namespace sobre {
namespace {

class DatabaseSink final : public UsageSink {
 public:
  explicit DatabaseSink(DatabaseOpener open) : open_(std::move(open)) {}

  Result<std::optional<Accounted>> LastAccounted() override {
    if (const Status status = Open(); !status.ok()) return status;
    return UsageStore(*database_).LastAccounted();
  }
  Status TakeOver(const std::optional<Accounted>& seen, const std::string& holder,
                  Timestamp now) override {
    const Status status = Open();
    return status.ok() ? UsageStore(*database_).TakeOver(seen, holder, now) : status;
  }
  Status Add(const UsageRows& rows, const std::string& holder, Timestamp from,
             Timestamp to) override {
    const Status status = Open();
    return status.ok() ? UsageStore(*database_).Add(rows, holder, from, to) : status;
  }
  Status Fold(Timestamp now) override {
    const Status status = Open();
    return status.ok() ? UsageStore(*database_).Fold(now, UsageStore::Retention()) : status;
  }

  Result<std::vector<DailyUse>> UseByDay(Timestamp from, Timestamp to) override {
    if (const Status status = Open(); !status.ok()) return status;
    const std::array<SqlValue, 2> parameters = {from.time_since_epoch().count(),
                                                to.time_since_epoch().count()};
    std::vector<DailyUse> use;
    const Status status = database_->ForEach(
        "SELECT begin_ms / 86400000, namespace, team, MIN(begin_ms), SUM(eur), "
        "SUM(operational_g + embodied_g) FROM usage WHERE begin_ms >= $1 AND begin_ms < $2 "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        parameters, [&](const SqlRow& row) {
          DailyUse& one = use.emplace_back();
          one.day = Timestamp(std::chrono::days(Integer(row[0])));
          one.namespace_name = Text(row[1]);
          one.team = Text(row[2]);
          one.first = Timestamp(Duration(Integer(row[3])));
          one.eur = Number(row[4]);
          one.grams = Number(row[5]);
          return Status::Ok();
        });
    if (!status.ok()) return status;
    return use;
  }

 private:
  Status Open() {
    if (database_) return Status::Ok();
    Result<std::unique_ptr<Database>> database = Migrated(open_());
    if (!database.ok()) return database.status();
    database_ = *std::move(database);
    return Status::Ok();
  }

  const DatabaseOpener open_;
  std::unique_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<UsageSink> MakeUsageSink(DatabaseOpener open) {
  return std::make_unique<DatabaseSink>(std::move(open));
}

}  // namespace sobre
