//! Inserts rows into tables, many with each statement.
//!
//! The cost is SQLite's own work, and an allocation or two for each value. So a separate thread makes the values while
//! SQLite works on the rows before, and repeated texts are allocated once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqlStr, SqliteConnection};
use tokio::sync::mpsc;

use super::{SqliteWarehouse, sql};
use crate::days::{Days, Lookup};
use crate::input::{self, SummaryBatch};
use crate::protocol::{Arrived, Progress};
use crate::target::KEYS;
use crate::{LoadError, amount};

/// Rows of a statement. Of the sizes from 32 to 5,461 rows, measured with benches/loads.rs, this was the fastest: fewer
/// rows mean more trips to SQLite's thread, and with more the statement's program no longer fits the processor's cache.
const STATEMENT_ROWS: usize = 1024;

/// SQLite's default limit of values in a statement. Tables of 32 columns and more need statements of fewer rows.
const MAX_VALUES: usize = 32_766;

/// The values of one statement, ready to be bound.
struct Bound {
    rows: usize,
    values: SqliteArguments,
    /// If a batch ends here, the number of its rows, and how many of them are outside the coverage.
    batch: Option<(u64, u64)>,
}

/// Inserts a summary into the table that `insert` names; a `run_id` is bound before the rows of each statement. Counts
/// the rows outside `days`; without `days`, none.
pub(super) async fn summary(
    connection: &mut SqliteConnection,
    warehouse: &SqliteWarehouse,
    batches: input::Batches<SummaryBatch>,
    run_id: Option<&str>,
    days: Option<&Arc<Days>>,
    insert: impl Fn(usize) -> SqlStr,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let mut insert = Insert::new(insert);
    let mut bound = bound(batches, run_id.map(Arc::from), days.cloned());
    let mut arrived = Arrived::default();
    while let Some(statement) = bound.recv().await {
        let statement = statement.map_err(|error| error.into_load_error(warehouse))?;
        sqlx::query_with(insert.sql(statement.rows), statement.values)
            .execute(&mut *connection)
            .await
            .map_err(warehouse.failed("insert the summary's rows into"))?;
        fail::fail_point!("load-during-copy");
        if let Some((rows, uncovered)) = statement.batch {
            arrived.rows += rows;
            arrived.uncovered += uncovered;
            progress(arrived.rows);
        }
    }
    Ok(arrived)
}

/// Inserts the keys of a batch into the temporary keys of removed rows, or whole rows into the temporary summary.
pub(super) async fn batch(
    connection: &mut SqliteConnection,
    warehouse: &SqliteWarehouse,
    batch: &SummaryBatch,
    with_amounts: bool,
) -> Result<(), LoadError> {
    let mut encoder = Encoder::default();
    let mut insert = Insert::new(|rows| match with_amounts {
        true => warehouse.sql.insert_stage(rows),
        false => sql::insert_removed(rows),
    });
    let action = "insert the changed rows into";
    for rows in statements(batch) {
        let count = rows.len();
        let values = encoder.values(batch, rows, with_amounts);
        let values = values.map_err(|error| Unbound::Value(error).into_load_error(warehouse))?;
        sqlx::query_with(insert.sql(count), values)
            .execute(&mut *connection)
            .await
            .map_err(warehouse.failed(action))?;
        fail::fail_point!("load-during-copy");
    }
    Ok(())
}

/// Inserts days into the temporary coverage.
pub(super) async fn coverage(
    connection: &mut SqliteConnection,
    warehouse: &SqliteWarehouse,
    days: &Days,
) -> Result<(), LoadError> {
    let mut insert = Insert::new(sql::insert_coverage);
    let bound = bound_days(days).map_err(|error| Unbound::Value(error).into_load_error(warehouse))?;
    for (rows, values) in bound {
        sqlx::query_with(insert.sql(rows), values)
            .execute(&mut *connection)
            .await
            .map_err(warehouse.failed("insert the covered days into"))?;
    }
    Ok(())
}

/// Makes the values of days, grouped by statement.
fn bound_days(days: &Days) -> Result<Vec<(usize, SqliteArguments)>, sqlx::error::BoxDynError> {
    let mut encoder = Encoder::default();
    let mut bound = Vec::new();
    let mut pending = (0, SqliteArguments::default());
    for (store, dates) in days.iter() {
        for date in dates {
            encoder.store(&mut pending.1, store)?;
            encoder.date(&mut pending.1, *date)?;
            pending.0 += 1;
            if pending.0 == STATEMENT_ROWS {
                bound.push(std::mem::take(&mut pending));
            }
        }
    }
    if pending.0 > 0 {
        bound.push(pending);
    }
    Ok(bound)
}

/// Why there are no values to bind.
enum Unbound {
    Input(LoadError),
    Value(sqlx::error::BoxDynError),
}

impl Unbound {
    fn into_load_error(self, warehouse: &SqliteWarehouse) -> LoadError {
        match self {
            Self::Input(error) => error,
            Self::Value(error) => warehouse.failed("write the values of")(sqlx::Error::Encode(error)),
        }
    }
}

/// Makes the values of batches, on a separate thread.
fn bound(
    mut batches: input::Batches<SummaryBatch>,
    run_id: Option<Arc<str>>,
    days: Option<Arc<Days>>,
) -> mpsc::Receiver<Result<Bound, Unbound>> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let mut encoder = Encoder {
            run_id,
            ..Encoder::default()
        };
        let mut lookup = days.as_deref().map(Lookup::new);
        while let Some(batch) = batches.blocking_recv() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return drop(sender.blocking_send(Err(Unbound::Input(error)))),
            };
            let uncovered = lookup.as_mut().map_or(0, |lookup| lookup.lacking(&batch));
            for rows in statements(&batch) {
                let ends = rows.end == batch.len();
                let statement = encoder.values(&batch, rows.clone(), true).map(|values| Bound {
                    rows: rows.len(),
                    values,
                    batch: ends.then_some((batch.len() as u64, uncovered)),
                });
                // Sending fails if the receiver wants no more.
                if sender.blocking_send(statement.map_err(Unbound::Value)).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// Splits a batch's rows into ranges of one statement each.
fn statements(batch: &SummaryBatch) -> impl Iterator<Item = Range<usize>> + use<> {
    let rows = batch.len();
    // One value may come before the rows.
    let size = STATEMENT_ROWS.min((MAX_VALUES - 1) / (KEYS.len() + batch.amounts.len()));
    (0..rows)
        .step_by(size)
        .map(move |start| start..rows.min(start + size))
}

/// Makes values, and reuses texts that are repeated.
#[derive(Default)]
struct Encoder {
    /// Goes before the rows of each statement.
    run_id: Option<Arc<str>>,
    store: Option<Arc<str>>,
    item: Option<Arc<str>>,
    dates: HashMap<i32, Arc<str>>,
}

impl Encoder {
    fn values(
        &mut self,
        batch: &SummaryBatch,
        rows: Range<usize>,
        with_amounts: bool,
    ) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
        let mut values = SqliteArguments::default();
        values.reserve(1 + rows.len() * (KEYS.len() + batch.amounts.len()), 0);
        if let Some(run_id) = &self.run_id {
            values.add(Arc::clone(run_id))?;
        }
        for row in rows {
            self.store(&mut values, batch.stores.value(row))?;
            values.add(again(&mut self.item, batch.items.value(row)))?;
            self.date(&mut values, batch.dates.value(row))?;
            if with_amounts {
                for cents in batch.amounts(row) {
                    let text = |cents| Arc::<str>::from(amount::written(cents, &mut [0; amount::ROOM]));
                    values.add(cents.map(text))?;
                }
            }
        }
        Ok(values)
    }

    fn store(&mut self, values: &mut SqliteArguments, store: &str) -> Result<(), sqlx::error::BoxDynError> {
        values.add(again(&mut self.store, store))
    }

    fn date(&mut self, values: &mut SqliteArguments, days: i32) -> Result<(), sqlx::error::BoxDynError> {
        let text = self.dates.entry(days).or_insert_with(|| {
            // Input days were checked to be within jiff's range.
            input::day(days)
                .map(|day| day.to_string())
                .unwrap_or_default()
                .into()
        });
        values.add(Arc::clone(text))
    }
}

/// Reuses the last text if it is the same.
fn again(last: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match last {
        Some(last) if **last == *text => Arc::clone(last),
        _ => Arc::clone(last.insert(text.into())),
    }
}

/// The text of an insert, kept for the next statement of the same size.
struct Insert<F> {
    make: F,
    last: Option<(usize, SqlStr)>,
}

impl<F: Fn(usize) -> SqlStr> Insert<F> {
    fn new(make: F) -> Self {
        Self { make, last: None }
    }

    fn sql(&mut self, rows: usize) -> SqlStr {
        match &self.last {
            Some((last_rows, text)) if *last_rows == rows => text.clone(),
            _ => self.last.insert((rows, (self.make)(rows))).1.clone(),
        }
    }
}
