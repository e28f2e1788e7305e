//! What a file reports of each store and day: how many lines, and how much. The guards compare versions by it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use foldhash::fast::FixedState;
use jiff::civil::Date;

use super::key::StoreDay;
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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    lines: u64,
    /// The total of each measure in cents.
    measures: Vec<i64>,
}

/// Counts lines and adds up amounts by store and day, one line at a time.
///
/// Lines of one store and day mostly come close together, so the latest days lie in slots of their own; days that share a
/// slot replace each other.
pub(super) struct DayCounter {
    slots: Vec<Slot>,
    /// For each slot, a total in cents for each measure.
    sums: Vec<i64>,
    measures: usize,
    /// The days that other days have replaced.
    totals: HashMap<StoreDay, Total, FixedState>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// `None` until the slot is first used.
    day: Option<StoreDay>,
    lines: u64,
}

/// The number of slots, a power of two.
const SLOTS: usize = 256;

impl DayCounter {
    pub(super) fn new(measures: usize) -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            sums: vec![0; SLOTS * measures],
            measures,
            totals: HashMap::default(),
        }
    }

    /// Counts a line, and adds its amount in cents to the total of its measure.
    #[inline(always)]
    pub(super) fn add(&mut self, day: StoreDay, measure: usize, cents: i64) {
        let at = (day.hash() >> (u64::BITS - SLOTS.trailing_zeros())) as usize;
        if self.slots[at].day != Some(day) {
            self.empty(at);
            self.slots[at].day = Some(day);
        }
        self.slots[at].lines += 1;
        let total = &mut self.sums[at * self.measures + measure];
        *total = total.saturating_add(cents);
    }

    /// Moves what a slot holds to the totals.
    #[inline(never)]
    fn empty(&mut self, at: usize) {
        let Slot { day, lines } = std::mem::take(&mut self.slots[at]);
        if let Some(day) = day {
            let sums = &mut self.sums[at * self.measures..][..self.measures];
            self.totals.entry(day).or_default().add(lines, sums);
            sums.fill(0);
        }
    }

    pub(super) fn into_totals(mut self) -> HashMap<StoreDay, Total, FixedState> {
        (0..SLOTS).for_each(|at| self.empty(at));
        self.totals
    }
}

impl DayTotals {
    /// Adds what one thread has read.
    pub(crate) fn add(&mut self, sums: &Sums) {
        for (day, total) in &sums.days {
            let store = sums.stores.get(day.store()).to_owned();
            let whole = self.0.entry((store, day.day())).or_default();
            whole.add(total.lines, &total.measures);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_counted_by_day_however_many_days_there_are(
            lines in prop::collection::vec((0..3_u32, 0..999_i32, 0..2_usize, -99..99_i64), 0..2_000)
        ) {
            let mut counter = DayCounter::new(2);
            let mut expected: HashMap<StoreDay, Total, FixedState> = HashMap::default();
            for (store, day, measure, cents) in lines {
                let day = StoreDay::new(store, day);
                counter.add(day, measure, cents);
                let mut sums = [ABSENT; 2];
                sums[measure] = cents;
                expected.entry(day).or_default().add(1, &sums);
            }
            prop_assert_eq!(counter.into_totals(), expected);
        }
    }
}
