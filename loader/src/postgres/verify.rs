//! Compares the whole target with a summary, and mends what differs.

use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Row;

use super::load::Loading;
use super::{PostgresWarehouse, claims, full, rows};
use crate::{Difference, Load, LoadError, Verification};

/// Compares, and mends if `mend` is set.
pub(super) async fn verify(
    warehouse: &PostgresWarehouse,
    load: &Load,
    mend: bool,
    listed: usize,
) -> Result<Verification, LoadError> {
    let (mut client, names) = warehouse.session().await?;
    if warehouse
        .relation(&client, &names, &warehouse.target.table)
        .await?
        .is_none()
    {
        return Err(LoadError::TargetAbsent { table: names.target });
    }
    // Loads have to wait: each statement has its own snapshot, and all must see the same rows.
    let loading = Loading::begin(warehouse, &names, &mut client, load).await?;
    let newest = loading
        .query(
            "read the ledger of",
            &names.sql.ledger_newest(),
            &[&names.target, &load.scope],
        )
        .await?;
    let mut found = Verification {
        newest: newest.first().map(rows::entry),
        ..Verification::default()
    };
    if found.is_overtaken(load.sequence) {
        return Ok(found);
    }
    let days = full::stage_days(&loading).await?;
    full::stage_rows(&loading, days.as_ref(), &|_| ()).await?;
    found.left_to_others = claims::leave_to_others(&loading).await?;
    let staged = "SELECT count(*) FROM pg_temp.gristmill_stage";
    found.rows = loading.count("count staged rows in", staged).await?;
    compare(&loading, &mut found, listed).await?;
    if mend {
        let is_known = found
            .newest
            .as_ref()
            .is_some_and(|newest| newest.run_id == load.run_id);
        found.mended = Some(full::apply(&loading, found.rows).await?);
        if found.left_to_others == 0 {
            claims::take(&loading).await?;
        }
        if !is_known {
            loading.record().await?;
        }
        fail::fail_point!("load-before-commit");
        let failed = loading.failed("commit the repair of");
        let line = &names.line;
        line.hear(loading.transaction.commit()).await.map_err(failed)?;
    }
    Ok(found)
}

async fn compare(loading: &Loading<'_>, found: &mut Verification, listed: usize) -> Result<(), LoadError> {
    let (sql, target) = (&loading.names.sql, &loading.warehouse.target);
    let measures = target.measures.len();
    let statements = [(Some(sql.differing()), true), (sql.surplus(target.mode), false)];
    for (statement, is_of_summary) in statements {
        let Some(statement) = statement else { continue };
        let nothing: [&str; 0] = [];
        let rows = loading
            .hear(loading.transaction.query_raw(&statement, nothing))
            .await;
        let mut rows = pin!(rows.map_err(loading.failed("compare rows of"))?);
        while let Some(row) = loading
            .hear(rows.try_next())
            .await
            .map_err(loading.failed("compare rows of"))?
        {
            let (summary, warehouse) = match is_of_summary {
                true => (
                    Some(texts(&row, 4, measures)),
                    row.get::<_, bool>(3).then(|| texts(&row, 4 + measures, measures)),
                ),
                false => (None, Some(texts(&row, 3, measures))),
            };
            let difference = Difference {
                store_id: row.get(0),
                item_id: row.get(1),
                trans_date: row.get(2),
                warehouse,
                summary,
            };
            found.note(difference, listed);
        }
    }
    Ok(())
}

fn texts(row: &Row, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures).map(|at| row.get(at)).collect()
}
