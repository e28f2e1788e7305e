//! Inserts rows into tables, many with each statement.
//!
//! LOAD DATA LOCAL would be faster, and is not used: MySQL 8 refuses it unless the server's settings allow it, and where
//! it runs, values that do not fit and keys that are there already are only warnings.

use std::ops::Range;

use mysql_async::Value;

use super::session::MySqlSession;
use super::sql::Sql;
use crate::days::{Days, Lookup};
use crate::input::{self, SummaryBatch};
use crate::protocol::{Arrived, Progress};
use crate::target::KEYS;
use crate::{Load, LoadError, amount};

/// Rows of a statement: with the longest keys that InnoDB takes, below two megabytes, which is far below the default of
/// max_allowed_packet.
const STATEMENT_ROWS: usize = 1024;

/// The most values of a statement. Tables of 61 measures and more need statements of fewer rows.
const MAX_VALUES: usize = 65_535;

/// Inserts a summary into the table that `insert` names; a `run_id` ends each row. Counts the rows outside `days`;
/// without `days`, none.
pub(super) async fn summary(
    session: &mut MySqlSession<'_>,
    load: &Load,
    insert: fn(&Sql, usize) -> String,
    run_id: Option<&str>,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let mut batches = input::summary(&load.summary, &session.warehouse.target.measures);
    let mut lookup = days.map(Lookup::new);
    let mut insert = Insert::new(insert);
    let mut arrived = Arrived::default();
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        if let Some(lookup) = &mut lookup {
            arrived.uncovered += lookup.lacking(&batch);
        }
        let columns = KEYS.len() + batch.amounts.len() + usize::from(run_id.is_some());
        for rows in statements(batch.len(), columns) {
            let mut values = Vec::with_capacity(rows.len() * columns);
            for row in rows.clone() {
                put_key(&mut values, &batch, row);
                put_amounts(&mut values, &batch, row);
                values.extend(run_id.map(Value::from));
            }
            insert
                .run(session, "insert the summary's rows into", rows.len(), values)
                .await?;
            fail::fail_point!("load-during-copy");
        }
        arrived.rows += batch.len() as u64;
        progress(arrived.rows);
    }
    Ok(arrived)
}

/// Inserts the keys of a batch into the temporary keys of removed rows, or whole rows into the temporary summary.
pub(super) async fn batch(
    session: &mut MySqlSession<'_>,
    batch: &SummaryBatch,
    with_amounts: bool,
) -> Result<(), LoadError> {
    let (insert, columns): (fn(&Sql, usize) -> String, _) = match with_amounts {
        true => (Sql::insert_stage, KEYS.len() + batch.amounts.len()),
        false => (Sql::insert_removed, KEYS.len()),
    };
    let mut insert = Insert::new(insert);
    for rows in statements(batch.len(), columns) {
        let mut values = Vec::with_capacity(rows.len() * columns);
        for row in rows.clone() {
            put_key(&mut values, batch, row);
            if with_amounts {
                put_amounts(&mut values, batch, row);
            }
        }
        insert
            .run(session, "insert the changed rows into", rows.len(), values)
            .await?;
        fail::fail_point!("load-during-copy");
    }
    Ok(())
}

/// Inserts days into the temporary coverage, and their stores beside it.
pub(super) async fn coverage(session: &mut MySqlSession<'_>, days: &Days) -> Result<(), LoadError> {
    let dates = days.iter();
    let dates = dates.flat_map(|(store, dates)| dates.iter().map(move |date| [store.into(), day(*date)]));
    insert_all(session, Sql::insert_coverage, dates.collect()).await?;
    let stores = days.iter().map(|(store, _)| [store.into()]);
    insert_all(session, Sql::insert_stores, stores.collect()).await
}

async fn insert_all<const N: usize>(
    session: &mut MySqlSession<'_>,
    insert: fn(&Sql, usize) -> String,
    rows: Vec<[Value; N]>,
) -> Result<(), LoadError> {
    let (mut insert, mut rows) = (Insert::new(insert), rows.into_iter());
    while rows.len() > 0 {
        let values: Vec<Value> = rows.by_ref().take(STATEMENT_ROWS).flatten().collect();
        insert
            .run(session, "insert the covered days into", values.len() / N, values)
            .await?;
    }
    Ok(())
}

/// Splits rows into ranges of one statement each.
fn statements(rows: usize, columns: usize) -> impl Iterator<Item = Range<usize>> {
    let size = STATEMENT_ROWS.min(MAX_VALUES / columns).max(1);
    (0..rows)
        .step_by(size)
        .map(move |start| start..rows.min(start + size))
}

fn put_key(values: &mut Vec<Value>, batch: &SummaryBatch, row: usize) {
    let (store, item, date) = batch.key(row);
    values.extend([store.into(), item.into(), day(date)]);
}

/// As text, which the server reads as an exact number.
fn put_amounts(values: &mut Vec<Value>, batch: &SummaryBatch, row: usize) {
    let text = |cents| Value::from(amount::written(cents, &mut [0; amount::ROOM]));
    values.extend(batch.amounts(row).map(|cents| cents.map_or(Value::NULL, text)));
}

/// A day, in the driver's form.
fn day(days_since_1970: i32) -> Value {
    // Input days were checked to be within the years 1 to 9999.
    let day = input::day(days_since_1970).unwrap_or_default();
    let (year, month, day) = (day.year(), day.month(), day.day());
    Value::Date(
        year.unsigned_abs(),
        month.unsigned_abs(),
        day.unsigned_abs(),
        0,
        0,
        0,
        0,
    )
}

/// An insert, whose text is kept for the next statement of the same size.
struct Insert {
    make: fn(&Sql, usize) -> String,
    rows: usize,
    sql: String,
}

impl Insert {
    fn new(make: fn(&Sql, usize) -> String) -> Self {
        Self {
            make,
            rows: 0,
            sql: String::new(),
        }
    }

    async fn run(
        &mut self,
        session: &mut MySqlSession<'_>,
        action: &'static str,
        rows: usize,
        values: Vec<Value>,
    ) -> Result<(), LoadError> {
        if self.rows != rows {
            self.sql = (self.make)(&session.sql, rows);
            self.rows = rows;
        }
        session.execute(action, &self.sql, values).await.map(drop)
    }
}
