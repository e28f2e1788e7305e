//! The sums of a partial by day, for people who compare two versions of a file.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use serde::Serialize;

use super::read::PartialReader;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::SalesLayout;

/// What a partial holds of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DaySums {
    /// The day.
    pub trans_date: Date,
    /// How many keys (store and item) it has.
    pub keys: u64,
    /// The total of each measure in cents, in the order of the layout; `None` where no key has it.
    pub sums: Vec<Option<i64>>,
}

/// Returns the sums of a stored partial by day. It holds one store's rows at a time.
pub fn sums_by_day(path: &Path, layout: &SalesLayout) -> Result<Vec<DaySums>, EngineError> {
    let mut days: BTreeMap<i32, DaySums> = BTreeMap::new();
    let file = PartialReader::open(path)?;
    for store in file.stores()? {
        let rows = file.read(&layout.measures, store.rows)?;
        let rows = rows.ok_or(EngineError::TooManyItems)?;
        for (row, key) in rows.keys.iter().enumerate() {
            let day = days.entry(key.day()).or_insert_with(|| DaySums {
                trans_date: from_days(key.day()),
                keys: 0,
                sums: vec![None; layout.measures.len()],
            });
            day.keys += 1;
            for (total, sums) in day.sums.iter_mut().zip(&rows.sums) {
                if sums[row] != ABSENT {
                    *total = Some(total.unwrap_or(0).saturating_add(sums[row]));
                }
            }
        }
    }
    Ok(days.into_values().collect())
}
