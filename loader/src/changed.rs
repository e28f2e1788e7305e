//! Lists the rows in which two summaries of a scope differ, for people.
//!
//! As [`delta`](crate::delta), but each row with what it was and what it became, and only a part of them.

use std::cmp::Ordering;
use std::path::Path;

use jiff::civil::Date;

use crate::days::{Days, Lookup};
use crate::input::{self, Batches, SummaryBatch};
use crate::{LoadError, LoadMode};

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// Only the newer summary has it.
    Added,
    /// Its amounts are others.
    Changed,
    /// Only the older summary has it, and its day is covered by the newer one.
    Removed,
}

/// A row in which two summaries differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRow {
    /// The store.
    pub store_id: String,
    /// The item.
    pub item_id: String,
    /// The business day.
    pub trans_date: Date,
    /// Its amounts in cents, in the order of the measures; `None` if there was no row.
    pub before: Option<Vec<Option<i64>>>,
    /// Likewise, what it became.
    pub after: Option<Vec<Option<i64>>>,
}

/// A summary and its coverage, as [`Load`](crate::Load) has them.
#[derive(Debug, Clone, Copy)]
pub struct Loaded<'l> {
    /// The rows.
    pub summary: &'l Path,
    /// The days.
    pub coverage: &'l Path,
}

/// Returns some of the rows in which a load differs from the one before it (from nothing, if there was none), in the order of
/// their keys: those after the first `skipped`, `limit` at most. `only` leaves out changes of other kinds.
pub async fn changed_rows(
    before: Option<Loaded<'_>>,
    after: Loaded<'_>,
    (measures, mode): (&[String], LoadMode),
    only: Option<RowChange>,
    (skipped, limit): (usize, usize),
) -> Result<Vec<ChangedRow>, LoadError> {
    let covered = Days::read(after.coverage).await?;
    let mut covered = Lookup::new(&covered);
    let mut new = Cursor::new(input::summary(after.summary, measures));
    let mut old = Cursor {
        batches: before.map(|before| input::summary(before.summary, measures)),
        batch: None,
        row: 0,
    };
    let mut passed = 0;
    let mut found = Vec::new();
    while found.len() < limit {
        new.fill().await?;
        old.fill().await?;
        let order = match (&new.batch, &old.batch) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(n), Some(o)) if n.same_key(new.row, o, old.row) => Ordering::Equal,
            (Some(n), Some(o)) => n.key(new.row).cmp(&o.key(old.row)),
        };
        let change = match (order, &new.batch, &old.batch) {
            (Ordering::Less, ..) => Some(RowChange::Added),
            (Ordering::Equal, Some(n), Some(o)) => {
                (!n.same_amounts(new.row, o, old.row)).then_some(RowChange::Changed)
            }
            (Ordering::Greater, _, Some(o)) => {
                let (store, _, date) = o.key(old.row);
                let is_deleted = match mode {
                    LoadMode::ReplaceDays => covered.has(store, date),
                    LoadMode::Upsert => false,
                    LoadMode::Reload => true,
                };
                is_deleted.then_some(RowChange::Removed)
            }
            _ => None,
        };
        if change.is_some_and(|change| only.is_none_or(|only| only == change)) {
            passed += 1;
            if passed > skipped {
                let before = old.taken(order.is_ge());
                let after = new.taken(order.is_le());
                found.extend(row(before, after));
            }
        }
        new.row += usize::from(order.is_le());
        old.row += usize::from(order.is_ge());
    }
    Ok(found)
}

/// The row of a batch.
type Taken<'b> = (&'b SummaryBatch, usize);

fn row(before: Option<Taken<'_>>, after: Option<Taken<'_>>) -> Option<ChangedRow> {
    let (batch, at) = after.or(before)?;
    let (store, item, date) = batch.key(at);
    let amounts = |(batch, at): Taken<'_>| batch.amounts(at).collect();
    Some(ChangedRow {
        store_id: store.to_owned(),
        item_id: item.to_owned(),
        trans_date: input::day(date)?,
        before: before.map(amounts),
        after: after.map(amounts),
    })
}

/// A position in a summary.
struct Cursor {
    /// `None` if there is no summary, or all of it was read.
    batches: Option<Batches<SummaryBatch>>,
    /// `None` before the first batch and after the last.
    batch: Option<SummaryBatch>,
    row: usize,
}

impl Cursor {
    fn new(batches: Batches<SummaryBatch>) -> Self {
        Self {
            batches: Some(batches),
            batch: None,
            row: 0,
        }
    }

    /// Moves on to the next batch if this one is finished.
    async fn fill(&mut self) -> Result<(), LoadError> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.len()) {
            self.row = 0;
            let Some(batches) = &mut self.batches else {
                self.batch = None;
                return Ok(());
            };
            self.batch = batches.recv().await.transpose()?;
            if self.batch.is_none() {
                self.batches = None;
            }
        }
        Ok(())
    }

    fn taken(&self, is_wanted: bool) -> Option<Taken<'_>> {
        let batch = self.batch.as_ref().filter(|_| is_wanted)?;
        Some((batch, self.row))
    }
}
