//! Compares the whole target with a summary, and mends what differs.

use futures::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::{BEGIN, SqliteWarehouse, claims, entry, full, load::record};
use crate::{Difference, LedgerEntry, Load, LoadError, Verification};

/// Compares, and mends if `mend` is set.
pub(super) async fn verify(
    warehouse: &SqliteWarehouse,
    load: &Load,
    mend: bool,
    listed: usize,
) -> Result<Verification, LoadError> {
    let mut connection = warehouse.reading_target().await?;
    // Without `mend`, a read transaction is enough, and loads continue meanwhile.
    let mut transaction = connection
        .begin_with(if mend { BEGIN } else { "BEGIN" })
        .await
        .map_err(warehouse.failed("begin to compare with"))?;
    let mut found = Verification {
        newest: newest(warehouse, &mut transaction, load).await?,
        ..Verification::default()
    };
    if found.is_overtaken(load.sequence) {
        return Ok(found);
    }
    let days = full::stage_days(warehouse, &mut transaction, load).await?;
    full::stage_rows(warehouse, &mut transaction, load, days.as_ref(), &|_| ()).await?;
    found.rows = load.rows;
    if days.is_some() {
        found.left_to_others = claims::leave_to_others(warehouse, &mut transaction, load).await?;
        found.rows = staged(warehouse, &mut transaction).await?;
    }
    compare(warehouse, &mut transaction, &mut found, listed).await?;
    if mend {
        let is_known = found
            .newest
            .as_ref()
            .is_some_and(|newest| newest.run_id == load.run_id);
        let rows = found.rows;
        found.mended = Some(full::apply(warehouse, &mut transaction, load, rows).await?);
        if found.left_to_others == 0 {
            claims::take(warehouse, &mut transaction, load).await?;
        }
        if !is_known {
            record(warehouse, &mut transaction, load).await?;
        }
        fail::fail_point!("load-before-commit");
        transaction
            .commit()
            .await
            .map_err(warehouse.failed("commit the repair of"))?;
    }
    Ok(found)
}

async fn newest(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<Option<LedgerEntry>, LoadError> {
    let row = sqlx::query(warehouse.sql.ledger_newest())
        .bind(&warehouse.name)
        .bind(&load.scope)
        .fetch_optional(connection)
        .await
        .map_err(warehouse.failed("read the ledger of"))?;
    Ok(row.as_ref().map(entry))
}

async fn staged(warehouse: &SqliteWarehouse, connection: &mut SqliteConnection) -> Result<u64, LoadError> {
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM temp.gristmill_stage")
        .fetch_one(connection)
        .await;
    Ok(count.map_err(warehouse.failed("count staged rows in"))? as u64)
}

async fn compare(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    found: &mut Verification,
    listed: usize,
) -> Result<(), LoadError> {
    let action = "compare rows of";
    let measures = warehouse.target.measures.len();
    let mut rows = sqlx::query(warehouse.sql.differing()).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(warehouse.failed(action))? {
        let is_there: bool = row.get(3);
        let difference = Difference {
            store_id: row.get(0),
            item_id: row.get(1),
            trans_date: row.get(2),
            summary: Some(texts(&row, 4, measures)),
            warehouse: is_there.then(|| texts(&row, 4 + measures, measures)),
        };
        found.note(difference, listed);
    }
    drop(rows);
    let Some(surplus) = warehouse.sql.surplus(warehouse.target.mode) else {
        return Ok(());
    };
    let mut rows = sqlx::query(surplus).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(warehouse.failed(action))? {
        let difference = Difference {
            store_id: row.get(0),
            item_id: row.get(1),
            trans_date: row.get(2),
            summary: None,
            warehouse: Some(texts(&row, 3, measures)),
        };
        found.note(difference, listed);
    }
    Ok(())
}

fn texts(row: &SqliteRow, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures).map(|at| row.get(at)).collect()
}
