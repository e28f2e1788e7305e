//! The days that a run covers, in memory: a few bytes for each store and date.

use std::collections::HashMap;
use std::path::Path;

use crate::LoadError;
use crate::input::{self, SummaryBatch};

/// The dates of each store, sorted.
#[derive(Debug, Default)]
pub(crate) struct Days(HashMap<String, Vec<i32>>);

impl Days {
    /// Reads a coverage.
    pub(crate) async fn read(coverage: &Path) -> Result<Self, LoadError> {
        let mut batches = input::coverage(coverage);
        let mut days = Self::default();
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            let mut row = 0;
            while row < batch.len() {
                // A store's rows are usually adjacent, so it is looked up once for all of them.
                let store = batch.stores.value(row);
                let dates = days.of_mut(store);
                while row < batch.len() && batch.stores.value(row) == store {
                    dates.push(batch.dates.value(row));
                    row += 1;
                }
            }
        }
        for dates in days.0.values_mut() {
            dates.sort_unstable();
            dates.dedup();
        }
        Ok(days)
    }

    /// The days that are in `self` but not in `other`.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = Self::default();
        for (store, dates) in &self.0 {
            let theirs = other.of(store);
            let lacking: Vec<i32> = dates
                .iter()
                .filter(|date| theirs.binary_search(date).is_err())
                .copied()
                .collect();
            if !lacking.is_empty() {
                left.0.insert(store.clone(), lacking);
            }
        }
        left
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every store with its days. The days are in order, the stores are not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[i32])> {
        self.0
            .iter()
            .map(|(store, dates)| (store.as_str(), dates.as_slice()))
    }

    fn of(&self, store: &str) -> &[i32] {
        self.0.get(store).map_or(&[], Vec::as_slice)
    }

    fn of_mut(&mut self, store: &str) -> &mut Vec<i32> {
        if !self.0.contains_key(store) {
            self.0.insert(store.to_string(), Vec::new());
        }
        self.0.entry(store.to_string()).or_default()
    }
}

/// The days of several coverages, gathered one after the other.
#[derive(Debug, Default)]
pub struct GatheredDays(Days);

impl GatheredDays {
    /// Adds the days of a run's [coverage](crate::Load::coverage). Returns whether some of them were not there before.
    pub async fn add(&mut self, coverage: &Path) -> Result<bool, LoadError> {
        let added = Days::read(coverage).await?.without(&self.0);
        for (store, dates) in added.iter() {
            let known = self.0.of_mut(store);
            known.extend_from_slice(dates);
            known.sort_unstable();
        }
        Ok(!added.is_empty())
    }
}

/// Looks up days. It is fast in the order of the keys, because it remembers the store and the date before.
pub(crate) struct Lookup<'a> {
    days: &'a Days,
    store: String,
    dates: &'a [i32],
    next: usize,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(days: &'a Days) -> Self {
        Self {
            days,
            store: String::new(),
            dates: days.of(""),
            next: 0,
        }
    }

    /// How many rows of a batch are outside the days.
    pub(crate) fn lacking(&mut self, batch: &SummaryBatch) -> u64 {
        let lacks = |row: &usize| {
            let (store, _, date) = batch.key(*row);
            !self.has(store, date)
        };
        (0..batch.len()).filter(lacks).count() as u64
    }

    /// Whether a store's date is among the days.
    pub(crate) fn has(&mut self, store: &str, date: i32) -> bool {
        if self.store != store {
            store.clone_into(&mut self.store);
            self.dates = self.days.of(store);
            self.next = 0;
        }
        if self.dates.get(self.next) == Some(&date) {
            self.next += 1;
            return true;
        }
        match self.dates.binary_search(&date) {
            Ok(at) => {
                self.next = at + 1;
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
impl FromIterator<(String, i32)> for Days {
    fn from_iter<I: IntoIterator<Item = (String, i32)>>(days: I) -> Self {
        let mut all = Self::default();
        for (store, date) in days {
            all.of_mut(&store).push(date);
        }
        for dates in all.0.values_mut() {
            dates.sort_unstable();
            dates.dedup();
        }
        all
    }
}
