#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/usage.h"
#include "base/status.h"
#include "extender/budgets.h"
#include "store/database.h"

namespace sobre {

// Where usage is kept, as accounting needs it; see UsageStore. For one thread at a time.
class UsageSink {
 public:
  using Accounted = UsageStore::Accounted;
  UsageSink() = default;
  virtual ~UsageSink() = default;
  UsageSink(const UsageSink&) = delete;
  UsageSink& operator=(const UsageSink&) = delete;

  virtual Result<std::optional<Accounted>> LastAccounted() = 0;
  virtual Status TakeOver(const std::optional<Accounted>& seen, const std::string& holder,
                          Timestamp now) = 0;
  virtual Status Add(const UsageRows& rows, const std::string& holder, Timestamp from,
                     Timestamp to) = 0;
  virtual Status Fold(Timestamp now) = 0;
  // Of rows that begin in [from, to).
  virtual Result<std::vector<DailyUse>> UseByDay(Timestamp from, Timestamp to) = 0;
};

using DatabaseOpener = std::function<Result<std::unique_ptr<Database>>()>;
// Opens the database when it is first needed, brings its tables up to date, and tries again where
// that failed.
std::unique_ptr<UsageSink> MakeUsageSink(DatabaseOpener open);

}  // namespace sobre
