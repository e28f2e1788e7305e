//! Bringing a summary and its coverage into temporary tables, many rows a statement.

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{SqlStr, SqliteConnection};

use super::{SqliteWarehouse, sql};
use crate::target::KEYS;
use crate::{Load, LoadError, amount, input};

/// SQLite's default limit of values in a statement.
const MAX_VALUES: usize = 32_766;

/// Stages the summary; gives the number of its rows.
pub(crate) async fn summary(
    connection: &mut SqliteConnection,
    warehouse: &SqliteWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, LoadError> {
    let measures = &warehouse.target.measures;
    let part = MAX_VALUES / (KEYS.len() + measures.len());
    let mut insert = Insert::new(part, |rows| warehouse.sql.insert_stage(rows));
    let mut batches = input::summary(&load.summary, measures);
    let mut staged = 0;
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        for rows in parts(batch.len(), part) {
            let mut query = sqlx::query(insert.sql(rows.len()));
            for row in rows {
                query = query
                    .bind(batch.stores.value(row).to_string())
                    .bind(batch.items.value(row).to_string());
                query = bind_day(query, batch.dates.value(row));
                for cents in batch.amounts(row) {
                    query = query.bind(cents.map(amount::to_text));
                }
            }
            query
                .execute(&mut *connection)
                .await
                .map_err(warehouse.failed("stage the summary's rows in"))?;
            fail::fail_point!("load-during-copy");
        }
        staged += batch.len() as u64;
        progress(staged);
    }
    Ok(staged)
}

/// Stages the coverage.
pub(crate) async fn coverage(
    connection: &mut SqliteConnection,
    warehouse: &SqliteWarehouse,
    load: &Load,
) -> Result<(), LoadError> {
    let part = MAX_VALUES / 2;
    let mut insert = Insert::new(part, sql::insert_coverage);
    let mut batches = input::coverage(&load.coverage);
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        for rows in parts(batch.len(), part) {
            let mut query = sqlx::query(insert.sql(rows.len()));
            for row in rows {
                query = bind_day(
                    query.bind(batch.stores.value(row).to_string()),
                    batch.dates.value(row),
                );
            }
            query
                .execute(&mut *connection)
                .await
                .map_err(warehouse.failed("stage the covered days in"))?;
        }
    }
    Ok(())
}

/// Splits a batch's rows into parts of at most this many.
fn parts(rows: usize, part: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..rows)
        .step_by(part)
        .map(move |start| start..rows.min(start + part))
}

fn bind_day(query: Query<'_, Sqlite, SqliteArguments>, days: i32) -> Query<'_, Sqlite, SqliteArguments> {
    // Input days are checked to lie within the years that jiff has.
    query.bind(input::day(days).map(|day| day.to_string()))
}

/// The text of an insert, kept for the next part of the same size; a text has some hundred kilobytes.
struct Insert<F> {
    make: F,
    rows: usize,
    text: SqlStr,
}

impl<F: Fn(usize) -> SqlStr> Insert<F> {
    fn new(rows: usize, make: F) -> Self {
        Self {
            text: make(rows),
            rows,
            make,
        }
    }

    fn sql(&mut self, rows: usize) -> SqlStr {
        if rows != self.rows {
            (self.rows, self.text) = (rows, (self.make)(rows));
        }
        self.text.clone()
    }
}
