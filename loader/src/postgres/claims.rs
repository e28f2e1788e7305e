//! Which scope loaded each day last, and which summaries the target still holds: the SQL, and the functions that run it.
//!
//! `gristmill_standing` names, for a target and a scope, the run whose summary the target holds on all days that the
//! run covers. This is true as long as the row exists: a load of another scope that takes over one of these days
//! deletes the row in its own transaction. `gristmill_days` records which scope owns each day; it is written only
//! where that changes.

use tokio_postgres::GenericClient;

use super::load::Loading;
use super::{Names, PostgresWarehouse};
use crate::{Base, LoadError, LoadMode};

pub(super) const CREATE_DAYS: &str =
    "CREATE TABLE {days} (target text NOT NULL, store_id text NOT NULL, trans_date date NOT NULL, scope text NOT NULL,
         PRIMARY KEY (target, store_id, trans_date))";

pub(super) const CREATE_STANDING: &str =
    "CREATE TABLE {standing} (target text NOT NULL, scope text NOT NULL, run_id text NOT NULL, form text NOT NULL,
         PRIMARY KEY (target, scope))";

/// Whether the target still holds the base on the base's days.
pub(super) async fn stands(loading: &Loading<'_>, base: &Base) -> Result<bool, LoadError> {
    let sql = loading.names.sql.claims(
        "SELECT 1 FROM {standing} WHERE target = $1 AND scope = $2 AND run_id = $3 AND form = $4
            AND run_id = (SELECT run_id FROM {ledger} WHERE target = $1 AND scope = $2 ORDER BY sequence DESC LIMIT 1)",
    );
    let form = loading.warehouse.target.form();
    let found = loading
        .query(
            "check for the last loaded run in",
            &sql,
            &[&loading.names.target, &loading.load.scope, &base.run_id, &form],
        )
        .await?;
    Ok(!found.is_empty())
}

/// Takes over the staged days, and records that the target holds the summary.
pub(super) async fn take(loading: &Loading<'_>) -> Result<(), LoadError> {
    let (warehouse, names) = (loading.warehouse, loading.names);
    if warehouse.target.mode == LoadMode::Reload {
        // All days belong to this scope now; the next load in another mode compares in full.
        return forget(warehouse, &loading.transaction, names).await;
    }
    let action = "record the loaded days in";
    for sql in [
        "DELETE FROM {standing} WHERE target = $1 AND scope <> $2 AND scope IN
             (SELECT d.scope FROM pg_temp.gristmill_coverage c
                JOIN {days} d ON d.target = $1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date)",
        "INSERT INTO {days} (target, store_id, trans_date, scope)
         SELECT $1, c.store_id, c.trans_date, $2 FROM pg_temp.gristmill_coverage c
          WHERE NOT EXISTS (SELECT 1 FROM {days} d WHERE d.target = $1 AND d.store_id = c.store_id
                                                     AND d.trans_date = c.trans_date AND d.scope = $2)
         ON CONFLICT (target, store_id, trans_date) DO UPDATE SET scope = excluded.scope",
    ] {
        let sql = names.sql.claims(sql);
        loading
            .execute(action, &sql, &[&names.target, &loading.load.scope])
            .await?;
    }
    let sql = names.sql.claims(
        "INSERT INTO {standing} (target, scope, run_id, form) VALUES ($1, $2, $3, $4)
         ON CONFLICT (target, scope) DO UPDATE SET run_id = excluded.run_id, form = excluded.form",
    );
    let (load, form) = (loading.load, warehouse.target.form());
    loading
        .execute(action, &sql, &[&names.target, &load.scope, &load.run_id, &form])
        .await?;
    Ok(())
}

/// Forgets which scopes own which days, and all summaries that the target held.
pub(super) async fn forget(
    warehouse: &PostgresWarehouse,
    client: &impl GenericClient,
    names: &Names,
) -> Result<(), LoadError> {
    for sql in [
        "DELETE FROM {standing} WHERE target = $1",
        "DELETE FROM {days} WHERE target = $1",
    ] {
        let sql = names.sql.claims(sql);
        names
            .line
            .hear(client.execute(&sql, &[&names.target]))
            .await
            .map_err(warehouse.failed("forget the loaded days in"))?;
    }
    Ok(())
}

/// Removes the days that other scopes have loaded since, and their rows, from the staged tables. Returns the number of
/// days.
pub(super) async fn leave_to_others(loading: &Loading<'_>) -> Result<u64, LoadError> {
    let action = "look up the owners of days in";
    let sql = loading.names.sql.claims(
        "DELETE FROM pg_temp.gristmill_coverage c USING {days} d
          WHERE d.target = $1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date AND d.scope <> $2",
    );
    let days = loading
        .execute(action, &sql, &[&loading.names.target, &loading.load.scope])
        .await?;
    if days > 0 {
        let sql = "DELETE FROM pg_temp.gristmill_stage s WHERE NOT EXISTS
                       (SELECT 1 FROM pg_temp.gristmill_coverage c
                         WHERE c.store_id = s.store_id AND c.trans_date = s.trans_date)";
        loading.execute(action, sql, &[]).await?;
    }
    Ok(days)
}
