//! The stores and days of versions, and which of them a run reads.

use std::collections::HashMap;

use serde_json::json;

use super::StateDb;
use super::decode::{self, TextColumns, array, arrays};
use super::sql::{days as sql, runs};
use super::whole::{About, Whole, whole};
use crate::day::VersionDay;
use crate::dialect::{Connection, Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::run::{InputDay, InputFile, RunInput};

impl StateDb {
    /// Returns what each of some versions reports of each store and day.
    pub async fn version_days(
        &self,
        version_ids: &[i64],
    ) -> Result<HashMap<i64, Vec<VersionDay>>, StateError> {
        let (action, subject) = ("read the days of", "versions");
        let mut reader = self.readers.acquire().await.during(action, subject)?;
        version_days(&mut reader, version_ids)
            .await
            .during(action, subject)
    }

    /// Returns the ids of all stores that any version reports, in the order of their bytes.
    pub async fn known_stores(&self) -> Result<Vec<String>, StateError> {
        let stores = query_scalar(sql::KNOWN_STORES).fetch_all(&self.readers).await;
        stores.during("list the", "stores")
    }
}

/// Records what versions report of each store and day, in place of what was recorded of them before.
pub(super) async fn keep_version_days(tx: &mut Connection, versions: &[(i64, &[VersionDay])]) -> Result<()> {
    let ids = versions.iter().map(|(version_id, _)| json!(version_id));
    query(sql::CLEAR_VERSION_DAYS)
        .bind(array(ids))
        .execute(&mut *tx)
        .await?;
    let rows = versions.iter().flat_map(|(version_id, days)| {
        days.iter().map(move |day| {
            json!([
                version_id,
                day.store_id,
                day.trans_date.to_string(),
                day.lines.map(u64::cast_signed),
                i64::try_from(day.turnover).unwrap_or(i64::MAX),
            ])
        })
    });
    for rows in arrays(rows) {
        query(sql::ADD_VERSION_DAYS).bind(rows).execute(&mut *tx).await?;
    }
    Ok(())
}

pub(super) async fn version_days(
    conn: &mut Connection,
    version_ids: &[i64],
) -> Result<HashMap<i64, Vec<VersionDay>>> {
    let ids = version_ids.iter().map(|version_id| json!(version_id));
    let rows = query(sql::VERSION_DAYS).bind(array(ids)).fetch_all(conn).await?;
    let mut days: HashMap<i64, Vec<VersionDay>> = HashMap::new();
    for row in rows {
        let of_version = days.entry(row.get("version_id")?).or_default();
        of_version.push(version_day(&row)?);
    }
    Ok(days)
}

fn version_day(row: &Row) -> Result<VersionDay> {
    Ok(VersionDay {
        store_id: row.get("store_id")?,
        trans_date: row.parsed("trans_date")?,
        lines: row.get("lines")?,
        turnover: row.get("turnover")?,
    })
}

/// Records which days of a run's inputs do not simply count as the rest of the version does.
pub(super) async fn add_input_days(tx: &mut Connection, run_id: &str, inputs: &[RunInput]) -> Result<()> {
    let rows = inputs.iter().flat_map(|input| {
        input.days.named.iter().map(|day| {
            let date = day.trans_date.to_string();
            json!([input.version_id, day.store_id, date, day.effect.as_str()])
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    query(runs::ADD_INPUT_DAYS)
        .bind(run_id)
        .bind(array(rows))
        .execute(tx)
        .await?;
    Ok(())
}

/// Returns the named days of a run's inputs by version.
pub(super) async fn input_days(conn: &mut Connection, run_id: &str) -> Result<HashMap<i64, Vec<InputDay>>> {
    let rows = query(runs::INPUT_DAYS).bind(run_id).fetch_all(conn).await?;
    let mut days: HashMap<i64, Vec<InputDay>> = HashMap::new();
    for row in rows {
        let of_version = days.entry(row.get("version_id")?).or_default();
        of_version.push(InputDay {
            store_id: row.get("store_id")?,
            trans_date: row.parsed("trans_date")?,
            effect: row.parsed("effect")?,
        });
    }
    Ok(days)
}

/// Returns a run's inputs, ordered by path.
pub(super) async fn input_files(conn: &mut Connection, run_id: &str) -> Result<Whole<InputFile>> {
    let rows = query(runs::INPUT_FILES)
        .bind(run_id)
        .fetch_all(&mut *conn)
        .await?;
    let mut inputs = whole(rows, About::Files, decode::input_file)?;
    let named = input_days(conn, run_id).await?;
    for input in &mut inputs.rows {
        input.days.named = named.get(&input.version_id).cloned().unwrap_or_default();
    }
    Ok(inputs)
}
