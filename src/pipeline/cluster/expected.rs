//! What a summary must hold, by what is recorded of the versions that it is made of: conservation across engines.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::anyhow;
use gristmill_engine::{DayLines, SalesLayout, stored_days};
use jiff::civil::Date;

use super::super::retry::StepError;

/// What the versions of a run are recorded to hold of each store and day that counts.
#[derive(Debug, Default)]
pub(super) struct Expected {
    days: HashMap<(String, Date), Day>,
}

#[derive(Debug, Default)]
struct Day {
    /// How many versions hold it.
    versions: u64,
    /// Their totals in cents: of each version and measure without its sign, all added up.
    turnover: u128,
}

/// A total of this size may have been cut off when it was recorded.
const CUT_OFF: u128 = i64::MAX as u128;

impl Expected {
    /// Adds what a version holds of a day.
    pub(super) fn add(&mut self, store_id: &str, day: Date, turnover: u64) {
        let day = self.days.entry((store_id.to_owned(), day)).or_default();
        day.versions += 1;
        day.turnover += u128::from(turnover);
    }

    /// Fails unless a summary has just the days that are expected, and of each what is expected: where one version
    /// gives a day, its total; where several do, not more than theirs, because what one adds another may take off.
    pub(super) fn compare(&self, summary: &Path, layout: &SalesLayout) -> Result<(), StepError> {
        let found = stored_days(summary, layout)?;
        match self.difference(&found) {
            None => Ok(()),
            Some(problem) => Err(StepError::permanent(anyhow!(
                "the cluster's result is not what the files hold: {problem}. Nothing was loaded: check that the cluster \
                 reads and writes the same lake (cluster.lake), or have the job merged on this host, `engine = \"local\"`"
            ))),
        }
    }

    fn difference(&self, found: &[DayLines]) -> Option<String> {
        for day in found {
            let (store, date) = (&day.store_id, day.trans_date);
            let Some(expected) = self.days.get(&(store.clone(), date)) else {
                return Some(format!("it has store {store} on {date}, which no file has"));
            };
            let turnover = u128::from(day.turnover);
            let is_conserved = match expected.versions {
                1 => turnover == expected.turnover,
                _ => turnover <= expected.turnover,
            };
            let is_known = expected.turnover < CUT_OFF && turnover < CUT_OFF;
            if is_known && !is_conserved {
                return Some(format!("the totals of store {store} on {date} differ"));
            }
        }
        let found: HashSet<(&str, Date)> = found
            .iter()
            .map(|day| (day.store_id.as_str(), day.trans_date))
            .collect();
        let is_missing = |(store, date): &&(String, Date)| !found.contains(&(store.as_str(), *date));
        let missing = self.days.keys().filter(is_missing);
        let (count, first) = (missing.clone().count(), missing.min());
        first.map(|(store, date)| {
            let all = self.days.len();
            format!(
                "it has no rows for {count} of the {all} days of stores that the files hold, such as store {store} on {date}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(store: &str, turnover: u64) -> DayLines {
        DayLines {
            store_id: store.to_owned(),
            trans_date: date(),
            lines: None,
            turnover,
        }
    }

    fn date() -> Date {
        jiff::civil::date(2016, 6, 1)
    }

    #[test]
    fn what_is_lost_added_or_changed_is_told() {
        let mut expected = Expected::default();
        expected.add("one", date(), 500);
        expected.add("two", date(), 70);
        expected.add("two", date(), 30);
        let good = [day("one", 500), day("two", 100)];
        assert_eq!(expected.difference(&good), None);
        assert_eq!(
            expected.difference(&[day("one", 500), day("two", 40)]),
            None,
            "a return"
        );
        for (found, told) in [
            (
                vec![day("one", 500)],
                "no rows for 1 of the 2 days of stores that the files hold, such as store two on 2016-06-01",
            ),
            (
                vec![day("one", 499), day("two", 100)],
                "totals of store one on 2016-06-01 differ",
            ),
            (vec![day("one", 500), day("two", 101)], "totals of store two"),
            (
                vec![day("one", 500), day("three", 1)],
                "store three on 2016-06-01, which no file has",
            ),
        ] {
            let problem = expected.difference(&found).unwrap();
            assert!(problem.contains(told), "{problem}");
        }
        expected.add("many", date(), u64::MAX);
        assert_eq!(
            expected.difference(&[good.as_slice(), &[day("many", 7)]].concat()),
            None
        );
    }
}
