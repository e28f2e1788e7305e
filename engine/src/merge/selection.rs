//! What of a file counts in a run: all its days, all but some, or only some.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::date::day_number;
use crate::key::StoreDay;
use crate::sums::Rows;
use crate::symbols::Texts;

/// What of a file counts. The rest is left out of the summary and of the coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether the days that are not named below count.
    others_count: bool,
    days: BTreeMap<(String, Date), DayEffect>,
}

/// What becomes of one store's day of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayEffect {
    /// It is left out.
    LeftOut,
    /// It counts as the file's days usually do.
    Counts,
    /// It is added to what other files hold of the same day, even if the feed's newest file replaces that day.
    Added,
}

impl Default for Selection {
    fn default() -> Self {
        Self::all()
    }
}

impl Selection {
    /// Selects all days.
    pub fn all() -> Self {
        Self {
            others_count: true,
            days: BTreeMap::new(),
        }
    }

    /// Selects no day.
    pub fn none() -> Self {
        Self {
            others_count: false,
            days: BTreeMap::new(),
        }
    }

    /// Sets what becomes of one store's day.
    #[must_use]
    pub fn with(mut self, store_id: &str, trans_date: Date, effect: DayEffect) -> Self {
        self.days.insert((store_id.to_owned(), trans_date), effect);
        self
    }

    /// Returns what becomes of one store's day.
    pub fn effect(&self, store_id: &str, trans_date: Date) -> DayEffect {
        match self.days.get(&(store_id.to_owned(), trans_date)) {
            Some(effect) => *effect,
            None if self.others_count => DayEffect::Counts,
            None => DayEffect::LeftOut,
        }
    }

    /// Removes the rows that do not count, and returns the days that are added, sorted. `stores` are the texts of the
    /// rows' stores, in byte order.
    pub(crate) fn apply(&self, rows: &mut Rows, stores: &Texts) -> Vec<StoreDay> {
        if self.others_count && self.days.is_empty() {
            return Vec::new();
        }
        let named = self.days.iter().filter_map(|((store, day), effect)| {
            let store = stores.rank(store)?;
            Some((StoreDay::new(store, day_number(*day)), *effect))
        });
        // Ranks sort as their texts do.
        let named: Vec<(StoreDay, DayEffect)> = named.collect();
        let effect = |day: StoreDay| match named.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(at) => named[at].1,
            Err(_) if self.others_count => DayEffect::Counts,
            Err(_) => DayEffect::LeftOut,
        };
        rows.retain(|key| effect(key.store_day()) != DayEffect::LeftOut);
        let added = named.iter().filter(|(_, effect)| *effect == DayEffect::Added);
        added.map(|(day, _)| *day).collect()
    }
}
