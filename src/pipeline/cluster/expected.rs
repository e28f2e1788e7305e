//! What a summary must hold, by what is recorded of the versions that it is made of: conservation across engines.
//!
//! Recorded is, of each version and day, the total without signs. Where one version gives a day, that settles it. Where
//! several do, the summary has the same total as long as none takes off what another adds; if it has less, only the partials
//! can tell ([`Open`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::anyhow;
use gristmill_engine::{DayLines, SalesLayout, StoreDays, stored_days};
use jiff::civil::Date;

use super::super::retry::StepError;

/// What the versions of a run are recorded to hold of each store and day that counts.
#[derive(Debug, Default)]
pub(super) struct Expected {
    days: HashMap<(String, Date), Day>,
    /// The lake paths of the versions' partials.
    partials: Vec<String>,
}

#[derive(Debug, Default)]
struct Day {
    /// The versions that hold it, by the places of their partials.
    versions: Vec<usize>,
    /// Their totals in cents: of each version and measure without its sign, all added up.
    turnover: u128,
}

/// Days whose recorded totals do not say what they must hold in a summary, for each partial (its lake path) that gives them.
pub(super) type Open = BTreeMap<String, StoreDays>;

/// A total of this size may have been cut off when it was recorded.
const CUT_OFF: u128 = i64::MAX as u128;

impl Expected {
    /// Adds the days of a version that count, with their totals, and the lake path of its partial.
    pub(super) fn add<'d>(&mut self, partial: &str, days: impl IntoIterator<Item = (&'d str, Date, u64)>) {
        let version = self.partials.len();
        self.partials.push(partial.to_owned());
        for (store_id, day, turnover) in days {
            let day = self.days.entry((store_id.to_owned(), day)).or_default();
            day.versions.push(version);
            day.turnover += u128::from(turnover);
        }
    }

    /// Fails unless a summary has just the days that are expected, and of each as much as is recorded. Returns the days of
    /// which that remains open.
    pub(super) fn compare(&self, summary: &Path, layout: &SalesLayout) -> Result<Open, StepError> {
        self.difference(&stored_days(summary, layout)?)
            .map_err(|problem| differs(&problem))
    }

    fn difference(&self, found: &[DayLines]) -> Result<Open, String> {
        let mut open = Open::new();
        for day in found {
            let (store, date) = (&day.store_id, day.trans_date);
            let Some(expected) = self.days.get(&(store.clone(), date)) else {
                return Err(format!("it has store {store} on {date}, which no file has"));
            };
            let turnover = u128::from(day.turnover);
            let is_known = expected.turnover < CUT_OFF && turnover < CUT_OFF;
            if is_known && turnover == expected.turnover {
                continue;
            }
            let may_be_less = expected.versions.len() > 1 && turnover < expected.turnover;
            if is_known && !may_be_less {
                return Err(totals_differ(store, date));
            }
            for version in &expected.versions {
                let days = open.entry(self.partials[*version].clone()).or_default();
                days.entry(store.clone()).or_default().insert(date);
            }
        }
        let found: HashSet<(&str, Date)> = found
            .iter()
            .map(|day| (day.store_id.as_str(), day.trans_date))
            .collect();
        let is_missing = |(store, date): &&(String, Date)| !found.contains(&(store.as_str(), *date));
        let missing = self.days.keys().filter(is_missing);
        let (count, first) = (missing.clone().count(), missing.min());
        match first {
            None => Ok(open),
            Some((store, date)) => Err(format!(
                "it has no rows for {count} of the {} days of stores that the files hold, such as store {store} on {date}",
                self.days.len()
            )),
        }
    }
}

/// Says that a day has not the totals that it must have.
pub(super) fn totals_differ(store_id: &str, day: Date) -> String {
    format!("the totals of store {store_id} on {day} differ")
}

/// Makes the failure of a run whose result is not what its files hold.
pub(super) fn differs(problem: &str) -> StepError {
    StepError::permanent(anyhow!(
        "the cluster's result is not what the files hold: {problem}. Nothing was loaded: check that the cluster reads and \
         writes the same lake (cluster.lake), or have the job merged on this host, `engine = \"local\"`"
    ))
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

    /// Store one has a file of its own; store two has two.
    fn expected() -> Expected {
        let mut expected = Expected::default();
        expected.add("a", [("one", date(), 500), ("two", date(), 70)]);
        expected.add("b", [("two", date(), 30)]);
        expected
    }

    #[test]
    fn what_is_lost_added_or_changed_is_told() {
        let expected = expected();
        let nothing = expected.difference(&[day("one", 500), day("two", 100)]);
        assert_eq!(nothing, Ok(Open::new()));
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
            let problem = expected.difference(&found).unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
    }

    #[test]
    fn what_the_totals_do_not_settle_is_left_to_the_partials() {
        let days = |stores: &[&str]| -> StoreDays {
            let days = stores.iter().map(|store| ((*store).to_owned(), [date()].into()));
            days.collect()
        };
        let mut expected = expected();
        // A file may take off what another adds.
        let less = expected.difference(&[day("one", 500), day("two", 40)]);
        let of_two = Open::from(["a", "b"].map(|partial| (partial.to_owned(), days(&["two"]))));
        assert_eq!(less, Ok(of_two));
        // What was cut off when it was recorded says nothing.
        expected.add("c", [("many", date(), u64::MAX)]);
        let cut = expected.difference(&[day("one", 500), day("two", 100), day("many", 7)]);
        assert_eq!(cut, Ok(Open::from([("c".to_owned(), days(&["many"]))])));
    }
}
