//! The exact totals of some stores' days, by which a summary is compared with the partials that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::civil::Date;

use super::read::PartialReader;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::SalesLayout;

/// Stores with some of their days.
pub type StoreDays = BTreeMap<String, BTreeSet<Date>>;

/// The total of each measure in cents, with its sign, in the order of the layout, by store and day. Totals may be larger
/// than an amount.
pub type ExactTotals = BTreeMap<(String, Date), Vec<i128>>;

/// Adds to `totals` what a stored partial, or a summary, holds of the days in `wanted`. It holds one store's rows at a
/// time.
pub fn add_exact_totals(
    path: &Path,
    layout: &SalesLayout,
    wanted: &StoreDays,
    totals: &mut ExactTotals,
) -> Result<(), EngineError> {
    let file = PartialReader::open(path)?;
    for store in file.stores()? {
        let Some(days) = wanted.get(&store.id) else {
            continue;
        };
        let rows = file.read(&layout.measures, store.rows)?;
        let rows = rows.ok_or(EngineError::TooManyItems)?;
        let mut of_store: BTreeMap<i32, Vec<i128>> = BTreeMap::new();
        for (row, key) in rows.keys.iter().enumerate() {
            let totals = of_store.entry(key.day());
            let totals = totals.or_insert_with(|| vec![0; rows.sums.len()]);
            for (total, sums) in totals.iter_mut().zip(&rows.sums) {
                if sums[row] != ABSENT {
                    *total += i128::from(sums[row]);
                }
            }
        }
        for (day, sums) in of_store {
            let day = from_days(day);
            if !days.contains(&day) {
                continue;
            }
            let totals = totals.entry((store.id.clone(), day));
            let totals = totals.or_insert_with(|| vec![0; sums.len()]);
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::MAX_CENTS;
    use crate::key::Key;
    use crate::layout::{FeedLayout, FeedSpec};
    use crate::sums::{Rows, write};
    use crate::symbols::Texts;

    fn texts(all: &[&str]) -> Texts {
        let mut texts = Texts::default();
        all.iter().for_each(|text| {
            texts.push(text);
        });
        texts
    }

    #[test]
    fn only_what_is_asked_for_is_added_up_and_nothing_is_cut_off() {
        let layout = FeedLayout::new(&FeedSpec::default()).unwrap();
        let sales = layout.sales().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial");
        // Store one has eleven items on the first day, whose sum is more than an i64 holds, and another day.
        let items: Vec<String> = (0..11).map(|item| format!("i{item:02}")).collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        let mut keys: Vec<Key> = (0..11).map(|item| Key::new(0, item, 10)).collect();
        keys.extend([Key::new(1, 0, 10), Key::new(1, 0, 11), Key::new(2, 0, 10)]);
        let mut sums = vec![MAX_CENTS; 11];
        sums.extend([-500, 7, 9]);
        let rows = Rows {
            stores: texts(&["one", "three", "two"]),
            items: texts(&items),
            sums: vec![sums, vec![ABSENT; keys.len()], vec![-1; keys.len()]],
            keys,
        };
        write(&rows, &sales.measures, &path).unwrap();
        let day = from_days(10);
        let days = BTreeSet::from([day]);
        let wanted = ["one", "three", "none"].map(|store| (store.to_owned(), days.clone()));
        let mut totals = ExactTotals::from([(("three".to_owned(), day), vec![100, 20, 3])]);
        add_exact_totals(&path, sales, &StoreDays::from(wanted), &mut totals).unwrap();
        let expected = ExactTotals::from([
            (("one".to_owned(), day), vec![11 * i128::from(MAX_CENTS), 0, -11]),
            (("three".to_owned(), day), vec![-400, 20, 2]),
        ]);
        assert_eq!(totals, expected);
    }
}
