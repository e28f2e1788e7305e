//! Makes a partial from a converted file, for a lake that has lost the partial and kept the rows.
//!
//! The rows are summed and the sums written as conversion sums and writes them, so the partial is the one that conversion
//! made: the same bytes, or, where its sums went to scratch files, the same rows in row groups that may be cut elsewhere.

use std::path::Path;

use crate::amount::MAX_CENTS;
use crate::error::EngineError;
use crate::key::{Key, MOST_ITEMS, MOST_STORES};
use crate::layout::SalesLayout;
use crate::parquet_form::{StoredFile, damaged};
use crate::partial::Partial;
use crate::scratch::Scratch;
use crate::summing::Summing;
use crate::sums::{DayLines, symbols};

/// The columns of a converted file that are summed.
const STORES: usize = 1;
const AMOUNTS: usize = 2;
const CODES: usize = 3;
const ITEMS: usize = 4;
const DATES: usize = 5;

/// Sums the rows of a converted file by store, item and date. Returns the partial, and what the rows report of each store
/// and day. The file must have been converted with the measures of this layout. A file that is damaged, or has a row that
/// no measure sums, fails with [`EngineError::Parquet`] and its path.
pub fn partial_of_rows(
    converted: &Path,
    layout: &SalesLayout,
    scratch: Scratch<'_>,
) -> Result<(Partial, Vec<DayLines>), EngineError> {
    let file = StoredFile::open(converted)?;
    let unreadable = |what: &str| EngineError::parquet("read", converted)(damaged(what));
    let mut sums = Summing::new(&layout.measures, scratch);
    // A row group has the rows of a unit of lines, after which conversion asks the same.
    for group in file.groups(0..file.rows()) {
        let table = &mut sums.table;
        let stores = symbols(file.texts(&group, STORES, None)?, &mut table.stores);
        let items = symbols(file.texts(&group, ITEMS, None)?, &mut table.items);
        if table.stores.len() > MOST_STORES || table.items.len() > MOST_ITEMS {
            return Err(EngineError::TooManyItems);
        }
        let amounts = file.amounts(&group, AMOUNTS)?;
        let codes = file.codes(&group, CODES)?;
        let days = file.days(&group, DATES)?;
        let keys = stores.into_iter().zip(items).zip(days);
        for (((store, item), day), (code, cents)) in keys.zip(codes.into_iter().zip(amounts)) {
            let measure = layout.measures.iter().position(|measure| measure.code == code);
            let measure = measure.ok_or_else(|| unreadable("a row has a code that no measure sums"))?;
            if cents.unsigned_abs() > MAX_CENTS.unsigned_abs() {
                return Err(unreadable("an amount is too large"));
            }
            table.add(Key::new(store, item, day), measure as u8, cents, true);
        }
        if sums.is_too_large() {
            sums.spill()?;
        }
    }
    let summed = Summing::finish(vec![sums])?;
    summed.ok_or_else(|| unreadable("it cannot be summed"))
}

#[cfg(test)]
mod tests {
    use gristmill_fixtures::generate::{Dirt, FeedSpec as Feed};
    use tempfile::TempDir;

    use super::*;
    use crate::budget::Budget;
    use crate::convert::{Outputs, convert};
    use crate::layout::{FeedLayout, FeedSpec, MeasureSpec};
    use crate::read_back::rows_of;

    fn layout(measures: &[(&str, i32)]) -> FeedLayout {
        let mut spec = FeedSpec {
            max_reject_percent: 100.0,
            ..FeedSpec::default()
        };
        if !measures.is_empty() {
            let measures = measures.iter();
            let named = measures.map(|(name, code)| ((*name).to_owned(), (*code).into()));
            spec.measures = named.collect();
        }
        FeedLayout::new(&spec).unwrap()
    }

    /// Converts bytes with so much memory. Writes `converted` and `partial` to the folder, and returns the days.
    fn converted(bytes: &[u8], layout: &FeedLayout, folder: &TempDir, memory: usize) -> Vec<DayLines> {
        let path = folder.path().join("converted");
        let outputs = Outputs {
            converted: Some(&path),
            rejects: None,
        };
        let memory = &Budget::new(memory);
        let scratch = Scratch {
            folder: folder.path(),
            memory,
        };
        let conversion = convert(bytes, layout, outputs, scratch, |_| ()).unwrap();
        let partial = conversion.partial.unwrap();
        partial.write(&folder.path().join("partial"), memory).unwrap();
        conversion.report.days
    }

    /// Makes `anew` of the converted file, and returns the days.
    fn made_anew(layout: &FeedLayout, folder: &TempDir, memory: usize) -> Result<Vec<DayLines>, EngineError> {
        let memory = &Budget::new(memory);
        let scratch = Scratch {
            folder: folder.path(),
            memory,
        };
        let rows = folder.path().join("converted");
        let (partial, days) = partial_of_rows(&rows, layout.sales().unwrap(), scratch)?;
        partial.write(&folder.path().join("anew"), memory)?;
        Ok(days)
    }

    #[test]
    fn rows_of_dirty_feeds_give_the_partials_that_conversion_wrote() {
        // In some, a code is a measure only of one layout; sums are negative where returns prevail.
        let layouts = [
            layout(&[]),
            layout(&[("returns", 13), ("net", 4)]),
            layout(&[("one", 5)]),
            layout(&[("rare", 2_147_483_647), ("odd", -4), ("net", 4)]),
        ];
        let mut seen = 0;
        // The last one has so many stores that sums always go to files: keys can tell few apart in tests.
        for (seed, stores, lines) in [(1, 3, 200), (2, 40, 3_000), (3, 200, 9_000)] {
            let feed = Feed {
                seed,
                files: 4,
                lines_per_file: lines,
                stores,
                shared_stores: true,
                dirt: Dirt::every_kind(),
                ..Feed::default()
            };
            for (number, layout) in layouts.iter().enumerate() {
                let bytes = feed.file_bytes(u32::try_from(number).unwrap()).unwrap();
                let ample = TempDir::new().unwrap();
                let days = converted(&bytes, layout, &ample, usize::MAX);
                assert_eq!(made_anew(layout, &ample, usize::MAX).unwrap(), days);
                let read = |name: &str| std::fs::read(ample.path().join(name)).unwrap();
                let rows = rows_of(&ample.path().join("partial"));
                if stores < 100 {
                    assert!(read("anew") == read("partial"), "seed {seed}, layout {number}");
                }
                assert_eq!(rows_of(&ample.path().join("anew")), rows);
                // Sums go to files in one of them, in the other, or in both.
                for (of_conversion, of_rows) in [(0, usize::MAX), (usize::MAX, 0), (0, 0), (1 << 16, 1 << 17)]
                {
                    let scarce = TempDir::new().unwrap();
                    converted(&bytes, layout, &scarce, of_conversion);
                    assert_eq!(made_anew(layout, &scarce, of_rows).unwrap(), days);
                    assert_eq!(rows_of(&scarce.path().join("anew")), rows);
                    assert_eq!(
                        scarce.path().read_dir().unwrap().count(),
                        3,
                        "scratch files stay behind"
                    );
                }
                seen += rows.len();
            }
        }
        assert!(seen > 1_000);
    }

    #[test]
    fn a_file_without_rows_gives_an_empty_partial() {
        let (layout, folder) = (layout(&[]), TempDir::new().unwrap());
        converted(b"v1\t1.00\t99\ti1\t2016-06-01\n", &layout, &folder, usize::MAX);
        assert_eq!(made_anew(&layout, &folder, usize::MAX).unwrap(), []);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read("anew") == read("partial"));
    }

    #[test]
    fn amounts_side_by_side_give_the_partial_that_conversion_wrote() {
        let field = |name: &str| {
            let field = MeasureSpec::Field { field: name.into() };
            (name.to_owned(), field)
        };
        let columns = ["store_id", "tax", "item_id", "net", "trans_date"];
        let spec = FeedSpec {
            columns: columns.map(str::to_owned).to_vec(),
            measures: ["tax", "net"].map(field).into(),
            ..FeedSpec::default()
        };
        let (layout, folder) = (FeedLayout::new(&spec).unwrap(), TempDir::new().unwrap());
        let lines = b"v2\t0.10\ti1\t-1.00\t2016-06-01\nv1\t0.20\ti1\t5.00\t2016-06-01\nv1\t0.30\ti1\t-9.00\t2016-06-01\n";
        let days = converted(lines, &layout, &folder, usize::MAX);
        assert_eq!(days[0].lines, Some(4), "one for each amount");
        assert_eq!(made_anew(&layout, &folder, usize::MAX).unwrap(), days);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read("anew") == read("partial"));
    }

    #[test]
    fn rows_of_other_measures_are_refused() {
        let folder = TempDir::new().unwrap();
        converted(
            b"v1\t1.00\t4\ti1\t2016-06-01\n",
            &layout(&[]),
            &folder,
            usize::MAX,
        );
        let refused = made_anew(&layout(&[("one", 5)]), &folder, usize::MAX).unwrap_err();
        assert!(matches!(refused, EngineError::Parquet { .. }), "{refused}");
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_path_and_never_panics() {
        let (layout, folder) = (layout(&[]), TempDir::new().unwrap());
        let feed = Feed {
            files: 1,
            lines_per_file: 400,
            stores: 20,
            ..Feed::default()
        };
        converted(&feed.file_bytes(0).unwrap(), &layout, &folder, usize::MAX);
        let path = folder.path().join("converted");
        let whole = std::fs::read(&path).unwrap();
        let try_with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            match made_anew(&layout, &folder, usize::MAX) {
                Ok(_) | Err(EngineError::Overflow { .. }) => true,
                Err(EngineError::Parquet { path: named, .. }) => {
                    assert_eq!(named, path);
                    false
                }
                Err(other) => panic!("{other}"),
            }
        };
        assert!(try_with(&whole));
        for length in (0..whole.len()).step_by(whole.len() / 40) {
            assert!(!try_with(&whole[..length]), "cut to {length} bytes");
        }
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            // What is not noticed here, the comparison with the recorded days finds, unless it hides within a day.
            try_with(&bytes);
        }
    }
}
