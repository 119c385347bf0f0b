#pragma once

#include <memory>

#include "base/status.h"
#include "store/database.h"

namespace sobre {

// Brings the tables of a database to this program's version, step by step, each in a transaction;
// safe where two replicas start at once. kDenied where a newer program has been there.
Status MigrateSchema(Database& database);

// For who only reads: kUnavailable while the tables are not all made. Changes nothing.
Status CheckSchema(Database& database);

// The database that was opened, with its tables up to date; passes an error on.
Result<std::unique_ptr<Database>> Migrated(Result<std::unique_ptr<Database>> opened);

}  // namespace sobre
