//! Reads a partial's Parquet back.
//!
//! Earlier versions of gristmill also wrote a row with a NULL item for each store and date with an ignored line. Such a
//! day counts as covered no more, so these rows are skipped.

use std::ops::Range;
use std::path::Path;

use jiff::civil::Date;

use super::rows::Rows;
use crate::date::from_days;
use crate::error::EngineError;
use crate::key::{Key, MOST_ITEMS, MOST_STORES};
use crate::layout::Measure;
use crate::parquet_form::{NO_TEXT, StoredFile};
use crate::symbols::{Symbols, Texts, ranked};

/// The columns of a partial; the measures follow.
const STORES: usize = 0;
const ITEMS: usize = 1;
const DATES: usize = 2;
const MEASURES: usize = 3;

/// An open partial file.
pub(crate) struct PartialReader(StoredFile);

impl PartialReader {
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        StoredFile::open(path).map(Self)
    }

    /// Returns how many rows the file has.
    pub(crate) fn rows(&self) -> usize {
        self.0.rows()
    }

    /// Returns the stores of the file, in order.
    pub(crate) fn stores(&self) -> Result<Vec<StoreRows>, EngineError> {
        let mut stores: Vec<StoreRows> = Vec::new();
        let mut count = 0;
        for group in self.0.groups(0..self.rows()) {
            let (texts, numbers) = self.0.texts(&group, STORES, None)?;
            for run in numbers.chunk_by(|one, two| one == two) {
                let id = texts.get(run[0]);
                let rows = count..count + run.len();
                count = rows.end;
                match stores.last_mut() {
                    Some(last) if last.id == id => last.rows.end = rows.end,
                    _ => stores.push(StoreRows {
                        id: id.to_owned(),
                        rows,
                    }),
                }
            }
        }
        Ok(stores)
    }

    /// Reads some of the rows into memory. Returns `None` if they have more stores or items than keys can distinguish.
    pub(crate) fn read(
        &self,
        measures: &[Measure],
        wanted: Range<usize>,
    ) -> Result<Option<Rows>, EngineError> {
        let mut rows = Rows {
            keys: Vec::with_capacity(wanted.len()),
            sums: measures
                .iter()
                .map(|_| Vec::with_capacity(wanted.len()))
                .collect(),
            ..Rows::default()
        };
        let (mut stores, mut items) = (Symbols::new(), Symbols::new());
        for group in self.0.groups(wanted) {
            let store_numbers = symbols(self.0.texts(&group, STORES, None)?, &mut stores);
            let item_numbers = symbols(self.0.texts(&group, ITEMS, Some(NO_TEXT))?, &mut items);
            if stores.len() > MOST_STORES || items.len() > MOST_ITEMS {
                return Ok(None);
            }
            let dates = self.0.days(&group, DATES)?;
            let keys = store_numbers.iter().zip(&item_numbers).zip(dates);
            for ((store, item), date) in keys {
                if *item != NO_TEXT {
                    rows.keys.push(Key::new(*store, *item, date));
                }
            }
            for (measure, sums) in rows.sums.iter_mut().enumerate() {
                let mut of_group = self.0.sums(&group, MEASURES + measure)?;
                let mut items = item_numbers.iter();
                of_group.retain(|_| items.next() != Some(&NO_TEXT));
                sums.append(&mut of_group);
            }
        }
        // The file is sorted by the texts, so the rows stay sorted when ranks replace symbols.
        let (sorted_stores, store_ranks) = ranked(&[stores.texts()]);
        let (sorted_items, item_ranks) = ranked(&[items.texts()]);
        (rows.stores, rows.items) = (sorted_stores, sorted_items);
        rows.renumber(&store_ranks[0], &item_ranks[0]);
        Ok(Some(rows))
    }
}

/// The range of a store's rows in a partial's file.
pub(crate) struct StoreRows {
    pub(crate) id: String,
    pub(crate) rows: Range<usize>,
}

/// Returns the symbols of a column's texts, [`NO_TEXT`] for NULL. Looks up only the texts that are used, once each:
/// others belong to other rows of the row group.
pub(crate) fn symbols((texts, mut numbers): (Texts, Vec<u32>), symbols: &mut Symbols) -> Vec<u32> {
    let mut symbol_of = vec![NO_TEXT; texts.len()];
    for number in numbers.iter_mut().filter(|number| **number != NO_TEXT) {
        let symbol = &mut symbol_of[*number as usize];
        if *symbol == NO_TEXT {
            let text = texts.get(*number);
            *symbol = symbols
                .find(text.as_bytes())
                .unwrap_or_else(|| symbols.insert(text));
        }
        *number = *symbol;
    }
    numbers
}

/// Returns whether a file covers a store's day, by its partial: it has at least one line of it with a code that is asked
/// for.
pub fn covers_day(path: &Path, store_id: &str, trans_date: Date) -> Result<bool, EngineError> {
    let PartialReader(file) = PartialReader::open(path)?;
    for group in file.groups(0..file.rows()) {
        let (texts, stores) = file.texts(&group, STORES, None)?;
        let (_, items) = file.texts(&group, ITEMS, Some(NO_TEXT))?;
        let dates = file.days(&group, DATES)?;
        let mut rows = stores.iter().zip(items).zip(dates);
        if rows.any(|((store, item), date)| {
            item != NO_TEXT && texts.get(*store) == store_id && from_days(date) == trans_date
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::layout::{FeedLayout, FeedSpec};
    use crate::parquet_form::{Column, Form};
    use crate::sums::{DayLines, stored_days};

    /// Writes a partial as earlier versions did: store v1 has an ignored line on the first and on the third of June.
    fn write_old(path: &Path, measures: &[Measure]) {
        let texts = |all: &[&str]| {
            let mut texts = Texts::default();
            all.iter().for_each(|text| {
                texts.push(text);
            });
            texts
        };
        let (stores, items) = (texts(&["v1", "v2"]), texts(&["i1", "i2"]));
        let sums = [[i64::MIN, i64::MIN, 250, -100, 70].as_slice()];
        let absent = [[i64::MIN; 5].as_slice()];
        let mut columns = vec![
            Column::Texts {
                texts: &stores,
                numbers: &[0, 0, 0, 0, 1],
            },
            Column::Texts {
                texts: &items,
                numbers: &[NO_TEXT, NO_TEXT, 0, 1, 0],
            },
            Column::Few(&[16_953, 16_955, 16_953, 16_954, 16_953]),
            Column::Sums(&sums),
        ];
        columns.extend(measures[1..].iter().map(|_| Column::Sums(&absent)));
        let form = Form::new(&super::super::file::schema(measures)).unwrap();
        let mut file = form.create(path).unwrap();
        file.append(form.encode(0, &columns, path).unwrap()).unwrap();
        file.finish().unwrap();
    }

    #[test]
    fn ignored_days_of_an_old_partial_do_not_count() {
        let layout = FeedLayout::new(&FeedSpec::default()).unwrap();
        let sales = layout.sales().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial");
        write_old(&path, &sales.measures);
        let covers = |store, day| covers_day(&path, store, date(2016, 6, day)).unwrap();
        assert!(covers("v1", 1) && covers("v1", 2) && covers("v2", 1));
        assert!(!covers("v1", 3), "only an ignored line");
        let rows = PartialReader::open(&path).unwrap().read(&sales.measures, 0..5);
        let rows = rows.unwrap().unwrap();
        assert_eq!(
            (rows.keys.len(), rows.sums[0].as_slice()),
            (3, [250, -100, 70].as_slice())
        );
        let day = |store: &str, day, turnover| DayLines {
            store_id: store.to_owned(),
            trans_date: date(2016, 6, day),
            lines: None,
            turnover,
        };
        assert_eq!(
            stored_days(&path, sales).unwrap(),
            [day("v1", 1, 250), day("v1", 2, 100), day("v2", 1, 70)]
        );
    }
}
