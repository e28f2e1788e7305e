//! Which scope loaded each day last, and which summaries the target still holds: the SQL, and the functions that run it.
//!
//! `gristmill_standing` names, for a target and a scope, the run whose summary the target holds on all days that the
//! run covers. This is true as long as the row exists: a load of another scope that takes over one of these days
//! deletes the row in its own transaction. `gristmill_days` records which scope owns each day; it is written only
//! where that changes.
//!
//! To SQLite, `Sales` and `sales` are the same table, so these tables store the target's name in lower case.

use sqlx::{SqlStr, SqliteConnection};

use super::SqliteWarehouse;
use super::sql::Sql;
use crate::{Base, Load, LoadError, LoadMode};

impl Sql {
    pub(super) fn create_claims(&self) -> [SqlStr; 2] {
        [
            self.claims(
                "CREATE TABLE IF NOT EXISTS {days} (target TEXT NOT NULL, store_id TEXT NOT NULL,
                     trans_date TEXT NOT NULL, scope TEXT NOT NULL, PRIMARY KEY (target, store_id, trans_date))
                     STRICT, WITHOUT ROWID",
            ),
            self.claims(
                "CREATE TABLE IF NOT EXISTS {standing} (target TEXT NOT NULL, scope TEXT NOT NULL, run_id TEXT NOT NULL,
                     form TEXT NOT NULL, PRIMARY KEY (target, scope)) STRICT, WITHOUT ROWID",
            ),
        ]
    }
}

/// Whether the target still holds the base on the base's days.
pub(super) async fn stands(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    base: &Base,
) -> Result<bool, LoadError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM {standing} WHERE target = ? AND scope = ? AND run_id = ? AND form = ?)
                      AND ? = (SELECT run_id FROM {ledger} WHERE target = ? AND scope = ? ORDER BY sequence DESC LIMIT 1)";
    let stands: Option<bool> = sqlx::query_scalar(warehouse.sql.claims(sql))
        .bind(warehouse.folded_name())
        .bind(&load.scope)
        .bind(&base.run_id)
        .bind(warehouse.target.form())
        .bind(&base.run_id)
        .bind(&warehouse.name)
        .bind(&load.scope)
        .fetch_one(connection)
        .await
        .map_err(warehouse.failed("check for the last loaded run in"))?;
    Ok(stands.unwrap_or_default())
}

/// Takes over the staged days, and records that the target holds the summary.
pub(super) async fn take(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<(), LoadError> {
    if warehouse.target.mode == LoadMode::Reload {
        // All days belong to this scope now; the next load in another mode compares in full.
        return forget(warehouse, connection).await;
    }
    let action = "record the loaded days in";
    for sql in [
        "DELETE FROM {standing} WHERE target = ?1 AND scope <> ?2 AND scope IN
             (SELECT d.scope FROM temp.gristmill_coverage c
                JOIN {days} d ON d.target = ?1 AND d.store_id = c.store_id AND d.trans_date = c.trans_date)",
        "INSERT INTO {days} (target, store_id, trans_date, scope)
         SELECT ?1, c.store_id, c.trans_date, ?2 FROM temp.gristmill_coverage c
          WHERE NOT EXISTS (SELECT 1 FROM {days} d WHERE d.target = ?1 AND d.store_id = c.store_id
                                                     AND d.trans_date = c.trans_date AND d.scope = ?2)
          ORDER BY c.store_id, c.trans_date
         ON CONFLICT (target, store_id, trans_date) DO UPDATE SET scope = excluded.scope",
    ] {
        sqlx::query(warehouse.sql.claims(sql))
            .bind(warehouse.folded_name())
            .bind(&load.scope)
            .execute(&mut *connection)
            .await
            .map_err(warehouse.failed(action))?;
    }
    stand(warehouse, connection, load).await
}

/// Records that the target holds a run's summary.
pub(super) async fn stand(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<(), LoadError> {
    let sql = "INSERT INTO {standing} (target, scope, run_id, form) VALUES (?, ?, ?, ?)
               ON CONFLICT (target, scope) DO UPDATE SET run_id = excluded.run_id, form = excluded.form";
    sqlx::query(warehouse.sql.claims(sql))
        .bind(warehouse.folded_name())
        .bind(&load.scope)
        .bind(&load.run_id)
        .bind(warehouse.target.form())
        .execute(connection)
        .await
        .map_err(warehouse.failed("record the last loaded run in"))?;
    Ok(())
}

/// Forgets which scopes own which days, and all summaries that the target held.
pub(super) async fn forget(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
) -> Result<(), LoadError> {
    for sql in [
        "DELETE FROM {standing} WHERE target = ?",
        "DELETE FROM {days} WHERE target = ?",
    ] {
        sqlx::query(warehouse.sql.claims(sql))
            .bind(warehouse.folded_name())
            .execute(&mut *connection)
            .await
            .map_err(warehouse.failed("forget the loaded days in"))?;
    }
    Ok(())
}

/// Removes the days that other scopes have loaded since, and their rows, from the staged tables. Returns the number of
/// days.
pub(super) async fn leave_to_others(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<u64, LoadError> {
    let action = "look up the owners of days in";
    let days = sqlx::query(warehouse.sql.claims(
        "DELETE FROM temp.gristmill_coverage AS c WHERE EXISTS
             (SELECT 1 FROM {days} d WHERE d.target = ? AND d.store_id = c.store_id
                                       AND d.trans_date = c.trans_date AND d.scope <> ?)",
    ))
    .bind(warehouse.folded_name())
    .bind(&load.scope)
    .execute(&mut *connection)
    .await
    .map_err(warehouse.failed(action))?
    .rows_affected();
    if days > 0 {
        sqlx::query(
            "DELETE FROM temp.gristmill_stage AS s WHERE NOT EXISTS
                 (SELECT 1 FROM temp.gristmill_coverage c
                   WHERE c.store_id = s.store_id AND c.trans_date = s.trans_date)",
        )
        .execute(connection)
        .await
        .map_err(warehouse.failed(action))?;
    }
    Ok(days)
}
