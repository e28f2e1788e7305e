//! What a file reports of each store and day: how many lines, and how much. The guards compare versions by it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;

use super::read::PartialReader;
use super::table::Sums;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::SalesLayout;

/// What a file reports of one store and day, counting only lines with a code that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayLines {
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// How many lines; `None` if that is not known, because only the sums were kept.
    pub lines: Option<u64>,
    /// The totals of all measures in cents, added up without their signs.
    pub turnover: u64,
}

/// The lines and the total of each measure, by store and day number.
#[derive(Debug, Default)]
pub(crate) struct DayTotals(BTreeMap<(String, i32), Total>);

#[derive(Debug, Default)]
struct Total {
    lines: u64,
    /// The total of each measure in cents.
    measures: Vec<i64>,
}

impl DayTotals {
    /// Adds what one thread has read.
    pub(crate) fn add(&mut self, sums: &Sums) {
        let days = sums.days();
        for row in 0..days.len() {
            let day = days.key(row);
            let store = sums.stores.get(day.store()).to_owned();
            let whole = self.0.entry((store, day.day())).or_default();
            whole.add(u64::from(days.lines(row)), days.sums(row));
        }
    }

    /// Adds what other threads have read.
    pub(crate) fn merge(&mut self, other: Self) {
        for (day, total) in other.0 {
            self.0.entry(day).or_default().add(total.lines, &total.measures);
        }
    }

    /// Returns one entry for each store and day, in their order.
    pub(crate) fn into_days(self) -> Vec<DayLines> {
        let day = |((store_id, day), total): ((String, i32), Total)| DayLines {
            store_id,
            trans_date: from_days(day),
            lines: Some(total.lines),
            turnover: total.turnover(),
        };
        self.0.into_iter().map(day).collect()
    }
}

impl Total {
    fn add(&mut self, lines: u64, measures: &[i64]) {
        self.lines += lines;
        self.measures.resize(measures.len().max(self.measures.len()), 0);
        for (total, sum) in self.measures.iter_mut().zip(measures) {
            if *sum != ABSENT {
                *total = total.saturating_add(*sum);
            }
        }
    }

    fn turnover(&self) -> u64 {
        let measures = self.measures.iter().map(|total| total.unsigned_abs());
        measures.fold(0, u64::saturating_add)
    }
}

/// Returns what a file reports of each store and day by its stored partial, which does not know how many lines.
pub fn stored_days(path: &Path, layout: &SalesLayout) -> Result<Vec<DayLines>, EngineError> {
    let mut totals: BTreeMap<(String, i32), Total> = BTreeMap::new();
    let file = PartialReader::open(path)?;
    for store in file.stores()? {
        let rows = file.read(&layout.measures, store.rows)?;
        let rows = rows.ok_or(EngineError::TooManyItems)?;
        for (row, key) in rows.keys.iter().enumerate() {
            let sums: Vec<i64> = rows.sums.iter().map(|sums| sums[row]).collect();
            let total = totals.entry((store.id.clone(), key.day())).or_default();
            total.add(0, &sums);
        }
    }
    let days = DayTotals(totals).into_days().into_iter();
    Ok(days.map(|day| DayLines { lines: None, ..day }).collect())
}
