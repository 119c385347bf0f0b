#include "audit/schema.h"

#include <array>
#include <string>

namespace sobre {
namespace {

// Never changed once released: a change is a further step.
constexpr std::array kSteps = {
    // One row an entry of a chain; the columns between seq and payload repeat what the payload
    // says.
    "CREATE TABLE entries(chain TEXT NOT NULL, seq BIGINT NOT NULL, kind TEXT NOT NULL, "
    "time_ms BIGINT NOT NULL, pod_uid TEXT NOT NULL, namespace TEXT NOT NULL, pod TEXT NOT NULL, "
    "payload BYTEA NOT NULL, hash BYTEA NOT NULL, PRIMARY KEY(chain, seq))",
    "CREATE INDEX entries_by_uid ON entries(pod_uid)",
    "CREATE INDEX entries_by_pod ON entries(pod, namespace)",
    "CREATE INDEX entries_by_time ON entries(kind, time_ms, pod_uid)",
    "CREATE INDEX entries_seals ON entries(chain, time_ms, seq) WHERE kind = 'seal'",
    // What entries refer to, by the hash of its bytes.
    "CREATE TABLE contents(hash BYTEA PRIMARY KEY, bytes BYTEA NOT NULL, "
    "last_used_ms BIGINT NOT NULL)",
    "CREATE INDEX contents_by_use ON contents(last_used_ms)",
    // `anchor` is the hash before the first entry that is kept.
    "CREATE TABLE chains(chain TEXT PRIMARY KEY, first_seq BIGINT NOT NULL, anchor BYTEA NOT NULL, "
    "last_seen_ms BIGINT NOT NULL)",
    // Which decisions of replicas that are gone have found somebody to write their outcome.
    "CREATE TABLE outcome_claims(chain TEXT NOT NULL, seq BIGINT NOT NULL, claimed_by TEXT NOT "
    "NULL, "
    "claimed_ms BIGINT NOT NULL, PRIMARY KEY(chain, seq))",
    // What pods took, by hour; older than some days, by day. Sums over the period.
    "CREATE TABLE usage(begin_ms BIGINT NOT NULL, length_ms BIGINT NOT NULL, "
    "namespace TEXT NOT NULL, pod TEXT NOT NULL, pod_uid TEXT NOT NULL, workload TEXT NOT NULL, "
    "team TEXT NOT NULL, model TEXT NOT NULL, is_run BIGINT NOT NULL, node TEXT NOT NULL, "
    "provider TEXT NOT NULL, region TEXT NOT NULL, country TEXT NOT NULL, "
    "hardware_class TEXT NOT NULL, pod_hours DOUBLE PRECISION NOT NULL, "
    "vcpu_hours DOUBLE PRECISION NOT NULL, memory_gb_hours DOUBLE PRECISION NOT NULL, "
    "gpu_hours DOUBLE PRECISION NOT NULL, energy_kwh DOUBLE PRECISION NOT NULL, "
    "operational_low_g DOUBLE PRECISION NOT NULL, operational_g DOUBLE PRECISION NOT NULL, "
    "operational_high_g DOUBLE PRECISION NOT NULL, market_g DOUBLE PRECISION NOT NULL, "
    "embodied_low_g DOUBLE PRECISION NOT NULL, embodied_g DOUBLE PRECISION NOT NULL, "
    "embodied_high_g DOUBLE PRECISION NOT NULL, eur DOUBLE PRECISION NOT NULL, "
    "list_eur DOUBLE PRECISION NOT NULL, requests DOUBLE PRECISION NOT NULL, "
    "tokens DOUBLE PRECISION NOT NULL, energy_known_hours DOUBLE PRECISION NOT NULL, "
    "grams_known_hours DOUBLE PRECISION NOT NULL, eur_known_hours DOUBLE PRECISION NOT NULL, "
    "measured_kwh DOUBLE PRECISION NOT NULL, live_g DOUBLE PRECISION NOT NULL, "
    "mean_candidate_g DOUBLE PRECISION NOT NULL, mean_candidate_eur DOUBLE PRECISION NOT NULL, "
    "compared_g DOUBLE PRECISION NOT NULL, compared_eur DOUBLE PRECISION NOT NULL, "
    "PRIMARY KEY(begin_ms, length_ms, namespace, pod_uid, node, workload, team, model, is_run, "
    "hardware_class))",
    // One row: up to when usage is accounted for, and which replica does it.
    "CREATE TABLE accounting(id BIGINT PRIMARY KEY, holder TEXT NOT NULL, "
    "through_ms BIGINT NOT NULL)",
    // Moves and reservations that were advised, and what became of them.
    "CREATE TABLE advice(id TEXT NOT NULL, opened_ms BIGINT NOT NULL, kind TEXT NOT NULL, "
    "state TEXT NOT NULL, namespace TEXT NOT NULL, workload TEXT NOT NULL, "
    "from_place TEXT NOT NULL, to_place TEXT NOT NULL, unit TEXT NOT NULL, "
    "ranked_by TEXT NOT NULL, note TEXT NOT NULL, changed_ms BIGINT NOT NULL, "
    "held_ms BIGINT NOT NULL, last_eviction_ms BIGINT NOT NULL, pods BIGINT NOT NULL, "
    "evictions BIGINT NOT NULL, there_before BIGINT NOT NULL, moved BIGINT NOT NULL, "
    "now_units DOUBLE PRECISION NOT NULL, there_units DOUBLE PRECISION NOT NULL, "
    "requested_vcpus DOUBLE PRECISION NOT NULL, suggested_vcpus DOUBLE PRECISION NOT NULL, "
    "peak_vcpus DOUBLE PRECISION NOT NULL, after_hours DOUBLE PRECISION NOT NULL, "
    "now_eur DOUBLE PRECISION, now_g DOUBLE PRECISION, there_eur DOUBLE PRECISION, "
    "there_g DOUBLE PRECISION, net_eur DOUBLE PRECISION, net_g DOUBLE PRECISION, "
    "cost_eur DOUBLE PRECISION, cost_g DOUBLE PRECISION, holds_on_mean DOUBLE PRECISION, "
    "before_eur DOUBLE PRECISION, before_g DOUBLE PRECISION, after_eur DOUBLE PRECISION, "
    "after_g DOUBLE PRECISION, PRIMARY KEY(id, opened_ms))",
    "CREATE INDEX advice_by_change ON advice(changed_ms)",
    // Live intensity of places, by step of the window that moves are held against.
    "CREATE TABLE place_intensity(place TEXT NOT NULL, begin_ms BIGINT NOT NULL, "
    "sum_g_per_kwh DOUBLE PRECISION NOT NULL, looks BIGINT NOT NULL, "
    "PRIMARY KEY(place, begin_ms))",
};

}  // namespace

Status MigrateSchema(Database& database) {
  if (Status status = database.Run(
          "CREATE TABLE IF NOT EXISTS schema_version(id BIGINT PRIMARY KEY, step BIGINT NOT NULL)");
      !status.ok())
    return status;
  return database.Transact([&]() -> Status {
    // Writing first holds off another replica that does the same.
    if (Status status = database.Run(
            "INSERT INTO schema_version(id, step) VALUES(1, 0) ON CONFLICT (id) DO UPDATE SET "
            "step = schema_version.step");
        !status.ok())
      return status;
    const Result<std::vector<SqlRow>> rows =
        database.Rows("SELECT step FROM schema_version WHERE id = 1");
    if (!rows.ok()) return rows.status();
    const std::int64_t done = rows->empty() ? 0 : Integer(rows->front().front());
    const auto all = static_cast<std::int64_t>(kSteps.size());
    if (done > all)
      return Status::Denied(database.Name() + ": its tables are of a newer version (" +
                            std::to_string(done) + "; this program knows " + std::to_string(all) +
                            ")");
    for (std::int64_t step = done; step < all; ++step) {
      if (Status status = database.Run(kSteps[static_cast<std::size_t>(step)]); !status.ok())
        return status;
    }
    const SqlValue parameter = all;
    return database.Run("UPDATE schema_version SET step = $1 WHERE id = 1", {&parameter, 1});
  });
}

Status CheckSchema(Database& database) {
  const Result<std::vector<SqlRow>> rows =
      database.Rows("SELECT step FROM schema_version WHERE id = 1");
  // Without that table, the statement is what is wrong.
  if (!rows.ok() && rows.status().code() != ErrorCode::kInvalid) return rows.status();
  const bool whole = rows.ok() && !rows->empty() &&
                     Integer(rows->front().front()) >= static_cast<std::int64_t>(kSteps.size());
  return whole ? Status::Ok()
               : Status::Unavailable(database.Name() +
                                     ": its tables are not made yet; try again in a moment");
}

Result<std::unique_ptr<Database>> Migrated(Result<std::unique_ptr<Database>> opened) {
  if (!opened.ok()) return opened;
  if (Status status = MigrateSchema(**opened); !status.ok()) return status;
  return opened;
}

}  // namespace sobre
