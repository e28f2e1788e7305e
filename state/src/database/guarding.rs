//! Brings the guards and the database together: reads what stands, decides about versions by it, and writes what has changed.

use std::collections::BTreeSet;

use serde_json::json;

use super::decode::{TextColumns, arrays};
use super::sql::days as sql;
use crate::day::VersionDay;
use crate::dialect::{Connection, Result, Row, query};
use crate::guard::{Holding, Holdings, Touched};

/// Reads the holdings of all files for some stores and days.
pub(super) async fn holdings<'d>(
    conn: &mut Connection,
    days: impl IntoIterator<Item = &'d VersionDay>,
) -> Result<Holdings> {
    let days = days.into_iter();
    let wanted: BTreeSet<_> = days.map(|day| (day.store_id.as_str(), day.trans_date)).collect();
    let mut holdings = Holdings::default();
    if wanted.is_empty() {
        return Ok(holdings);
    }
    let wanted = wanted
        .iter()
        .map(|(store, date)| json!([store, date.to_string()]));
    for wanted in arrays(wanted) {
        let rows = query(sql::HOLDINGS).bind(wanted).fetch_all(&mut *conn).await?;
        for row in &rows {
            holdings.add(holding(row)?);
        }
    }
    Ok(holdings)
}

/// Reads the holdings of one file, on one day or on all.
pub(super) async fn holdings_of_file(conn: &mut Connection, file_id: i64) -> Result<Vec<Holding>> {
    let rows = query(sql::HOLDINGS_OF_FILE).bind(file_id).fetch_all(conn).await?;
    rows.iter().map(holding).collect()
}

fn holding(row: &Row) -> Result<Holding> {
    Ok(Holding {
        file_id: row.get("file_id")?,
        file_url: row.get("file_url")?,
        named_store: row.get("named_store")?,
        named_date: row.parsed_or_null("business_date")?,
        modified_ns: row.get::<Option<i64>>("stamp_modified_ns")?.unwrap_or(i64::MIN),
        version_id: row.get("version_id")?,
        // What cannot be read is not known: one damaged version must not keep others from being recorded.
        newest: row.parsed_or_null("last_date").unwrap_or_default(),
        standing: row.parsed("standing")?,
        since: row.get("since_submission")?,
        reason: row.get("reason")?,
        other_file_id: row.get("other_file_id")?,
        day: VersionDay {
            store_id: row.get("store_id")?,
            trans_date: row.parsed("trans_date")?,
            lines: row.get("lines")?,
            turnover: row.get::<Option<u64>>("turnover")?.unwrap_or(0),
        },
    })
}

/// Writes the holdings of the store-days that were touched.
pub(super) async fn write(tx: &mut Connection, holdings: &Holdings, touched: &Touched) -> Result<()> {
    if touched.is_empty() {
        return Ok(());
    }
    let cleared = touched
        .iter()
        .map(|(store, date, file_id)| json!([store, date.to_string(), file_id]));
    for cleared in arrays(cleared) {
        query(sql::CLEAR_FILE_DAYS)
            .bind(cleared)
            .execute(&mut *tx)
            .await?;
    }
    let rows = touched.iter().flat_map(|(store, date, file_id)| {
        holdings.of_file_day(store, *date, *file_id).map(|held| {
            json!([
                held.day.store_id,
                held.day.trans_date.to_string(),
                held.file_id,
                held.version_id,
                held.standing.as_str(),
                held.since,
                held.reason,
                held.other_file_id,
            ])
        })
    });
    for rows in arrays(rows) {
        query(sql::ADD_FILE_DAYS).bind(rows).execute(&mut *tx).await?;
    }
    Ok(())
}
