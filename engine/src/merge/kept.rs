//! Which days of which files count where several files hold one store's day.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;
use jiff::civil::Date;

use super::selection::{DayEffect, Selection};
use crate::layout::Supersede;

/// The days that a file of a run holds.
#[derive(Clone, Copy, Debug)]
pub struct FileDays<'f> {
    /// See [`RunPartial::order`](crate::RunPartial::order).
    pub order: i64,
    /// What of the file counts.
    pub selection: &'f Selection,
    /// Each store's day of which the file has a row.
    pub days: &'f [(&'f str, Date)],
}

/// Returns, for each day of each file, whether a merge reads its rows. It is what [`summarize`](crate::summarize) does,
/// for whoever merges elsewhere.
pub fn kept_days(files: &[FileDays<'_>], supersede: Supersede) -> Vec<Vec<bool>> {
    let effects: Vec<Vec<DayEffect>> = files
        .iter()
        .map(|file| {
            let days = file.days.iter();
            days.map(|(store, day)| file.selection.effect(store, *day))
                .collect()
        })
        .collect();
    let counting = files.iter().zip(&effects).map(|(file, effects)| {
        let days = file.days.iter().zip(effects);
        let counting = days.filter(|(_, effect)| **effect == DayEffect::Counts);
        (file.order, counting.map(|(day, _)| *day))
    });
    let newest = newest(counting);
    let kept = files.iter().zip(&effects).map(|(file, effects)| {
        let days = file.days.iter().zip(effects);
        days.map(|(day, effect)| match effect {
            DayEffect::LeftOut => false,
            DayEffect::Added => true,
            DayEffect::Counts => supersede == Supersede::File || newest[day] == file.order,
        })
        .collect()
    });
    kept.collect()
}

/// Returns the order of the newest file that holds each day. The files come with their order and those of their days
/// that are not merely added to others.
pub(super) fn newest<D: Copy + Eq + Hash>(
    files: impl Iterator<Item = (i64, impl Iterator<Item = D>)>,
) -> HashMap<D, i64, FixedState> {
    let mut newest: HashMap<D, i64, FixedState> = HashMap::default();
    for (order, days) in files {
        for day in days {
            let newest = newest.entry(day).or_insert(order);
            *newest = order.max(*newest);
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_that_counts_gives_a_day_and_what_is_added_stays() {
        let day = |day| jiff::civil::date(2016, 6, day);
        let all = Selection::all();
        let added = Selection::all().with("s", day(1), DayEffect::Added);
        let without = Selection::all().with("s", day(2), DayEffect::LeftOut);
        let days = [("s", day(1)), ("s", day(2)), ("t", day(1))];
        let file = |order, selection| FileDays {
            order,
            selection,
            days: &days,
        };
        // Not in the order of their submission: the newest takes no part on the second day, and is only added on none.
        let files = [file(1, &added), file(3, &without), file(2, &all)];
        assert_eq!(
            kept_days(&files, Supersede::StoreDay),
            [[true, false, false], [true, false, true], [false, true, false]]
        );
        assert_eq!(
            kept_days(&files, Supersede::File),
            [[true, true, true], [true, false, true], [true, true, true]]
        );
    }
}
