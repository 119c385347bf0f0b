#pragma once

#include "base/status.h"
#include "store/database.h"

namespace sobre {

// Brings the tables of a database to this program's version, step by step, each in a transaction;
// safe where two replicas start at once. kDenied where a newer program has been there.
Status MigrateSchema(Database& database);

}  // namespace sobre
