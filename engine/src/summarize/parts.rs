//! Takes over what another engine has merged: Parquet files, each sorted by store, item and date, that have no key in
//! common.
//!
//! Nothing of it is believed. Each file must have the columns and the types, sorted rows and no NULL in a key; a sum that
//! does not fit decimal(18,2) is an overflow, as it is where gristmill adds up itself; and a key that two files hold is an
//! error. What is left is written as a summary in the one form.

use std::cmp::Ordering;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type};
use arrow_array::{Array, Date32Array, Decimal128Array, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use rayon::prelude::*;
use tempfile::TempPath;

use super::{EmptiedDay, RunPartial, SummaryOutputs, SummaryReport, summarize};
use crate::amount::{ABSENT, MAX_CENTS};
use crate::date::{DAYS, from_days};
use crate::error::EngineError;
use crate::key::{Key, MOST_STORES};
use crate::layout::{Measure, SalesLayout, Supersede};
use crate::merge::Selection;
use crate::parquet_form::ROW_GROUP_ROWS;
use crate::partial::Partial;
use crate::scratch::Scratch;
use crate::sums::{PartialFile, Rows};
use crate::symbols::{Symbol, Symbols, ranked};

/// Rows that are read at once: not more than there can be stores among them.
const ROWS_AT_ONCE: usize = if ROW_GROUP_ROWS < MOST_STORES {
    ROW_GROUP_ROWS
} else {
    MOST_STORES
};

/// Writes the summary and the coverage of a run whose partials another engine has merged. The run also covers the days
/// in `emptied`.
pub fn summarize_parts(
    parts: &[PathBuf],
    emptied: &[EmptiedDay],
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
    scratch: Scratch<'_>,
) -> Result<SummaryReport, EngineError> {
    let taken = parts
        .par_iter()
        .map(|part| take_over(part, &layout.measures, scratch.folder))
        .collect::<Result<Vec<(TempPath, u64)>, _>>()?;
    // Which file counts was decided before the other engine read it.
    let layout = SalesLayout {
        supersede: Supersede::File,
        ..layout.clone()
    };
    let partials = taken.iter().map(|(path, _)| RunPartial {
        partial: Partial::stored(path.to_path_buf(), &layout),
        order: 0,
        selection: Selection::all(),
    });
    let report = summarize(partials.collect(), emptied, &layout, outputs, scratch)?;
    let rows: u64 = taken.iter().map(|(_, rows)| rows).sum();
    match parts.first() {
        Some(part) if report.rows != rows => {
            let problem = format!("all together have {rows} rows, and only {} keys", report.rows);
            Err(wrong(part, problem))
        }
        _ => Ok(report),
    }
}

/// Writes a file of the other engine in the form of a partial, and tells how many rows it has.
fn take_over(part: &Path, measures: &[Measure], folder: &Path) -> Result<(TempPath, u64), EngineError> {
    let read = "read";
    let file = File::open(part).map_err(EngineError::parquet(read, part))?;
    // What the other engine says of its own types does not matter.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(EngineError::parquet(read, part))?;
    let columns = ColumnIndexes::of(reader.schema(), measures, part)?;
    let reader = reader.with_batch_size(ROWS_AT_ONCE).build();
    let path = tempfile::Builder::new().prefix("part-").tempfile_in(folder);
    let path = path.map_err(EngineError::write(folder))?.into_temp_path();
    let mut partial = PartialFile::create(&path, measures)?;
    let (mut count, mut last) = (0, None);
    for batch in reader.map_err(EngineError::parquet(read, part))? {
        let batch = batch.map_err(EngineError::parquet(read, part))?;
        let batch = columns.take(&batch);
        partial.append(&batch.rows(measures, part, &mut last)?)?;
        count += batch.dates.len() as u64;
    }
    partial.finish()?;
    Ok((path, count))
}

/// Where the columns stand.
struct ColumnIndexes {
    keys: [usize; 3],
    measures: Vec<usize>,
}

impl ColumnIndexes {
    fn of(schema: &SchemaRef, measures: &[Measure], part: &Path) -> Result<Self, EngineError> {
        let find = |name: &str, is_right: fn(&DataType) -> bool| {
            let found = schema.column_with_name(name);
            let (at, field) = found.ok_or_else(|| wrong(part, format!("it has no column {name}")))?;
            match is_right(field.data_type()) {
                true => Ok(at),
                false => Err(wrong(part, format!("{name} is {}", field.data_type()))),
            }
        };
        let is_text = |kind: &DataType| *kind == DataType::Utf8;
        let is_date = |kind: &DataType| *kind == DataType::Date32;
        let is_sum = |kind: &DataType| matches!(kind, DataType::Decimal128(_, 2));
        Ok(Self {
            keys: [
                find("store_id", is_text)?,
                find("item_id", is_text)?,
                find("trans_date", is_date)?,
            ],
            measures: measures
                .iter()
                .map(|measure| find(&measure.name, is_sum))
                .collect::<Result<_, _>>()?,
        })
    }

    fn take<'b>(&self, batch: &'b RecordBatch) -> PartBatch<'b> {
        let [store, item, date] = self.keys;
        PartBatch {
            stores: batch.column(store).as_string(),
            items: batch.column(item).as_string(),
            dates: batch.column(date).as_primitive::<Date32Type>(),
            sums: self
                .measures
                .iter()
                .map(|at| batch.column(*at).as_primitive::<Decimal128Type>())
                .collect(),
        }
    }
}

/// Some rows of the other engine.
struct PartBatch<'b> {
    stores: &'b StringArray,
    items: &'b StringArray,
    dates: &'b Date32Array,
    sums: Vec<&'b Decimal128Array>,
}

/// The key of the row before.
type Last = Option<(String, String, i32)>;

impl PartBatch<'_> {
    /// Returns the rows as they are held in memory. `last` is the key before the first of them, and becomes the last.
    fn rows(&self, measures: &[Measure], part: &Path, last: &mut Last) -> Result<Rows, EngineError> {
        let keys: [&dyn Array; 3] = [self.stores, self.items, self.dates];
        if keys.iter().any(|column| column.null_count() > 0) {
            return Err(wrong(part, "a key is NULL"));
        }
        let (mut stores, mut items) = (Symbols::new(), Symbols::new());
        let mut rows = Rows::default();
        for row in 0..self.dates.len() {
            let (store, item, date) = (
                self.stores.value(row),
                self.items.value(row),
                self.dates.value(row),
            );
            let before = match row.checked_sub(1) {
                Some(before) => Some((
                    self.stores.value(before),
                    self.items.value(before),
                    self.dates.value(before),
                )),
                None => last
                    .as_ref()
                    .map(|(store, item, date)| (store.as_str(), item.as_str(), *date)),
            };
            if before.is_some_and(|before| before.cmp(&(store, item, date)) != Ordering::Less) {
                return Err(wrong(
                    part,
                    "its rows are not sorted by store, item and date, each once",
                ));
            }
            if !DAYS.contains(&date) {
                return Err(wrong(part, "a date is not of the years 1 to 9999"));
            }
            let key = Key::new(symbol(&mut stores, store), symbol(&mut items, item), date);
            rows.keys.push(key);
        }
        for (measure, sums) in measures.iter().zip(&self.sums) {
            let sums = (0..sums.len()).map(|row| match sums.is_null(row) {
                true => Ok(ABSENT),
                false => cents(sums.value(row)).ok_or_else(|| self.overflow(row, measure)),
            });
            rows.sums.push(sums.collect::<Result<_, _>>()?);
        }
        if let Some(row) = self.dates.len().checked_sub(1) {
            let (store, item) = (self.stores.value(row), self.items.value(row));
            *last = Some((store.to_owned(), item.to_owned(), self.dates.value(row)));
        }
        // Rows are sorted by the texts, so they stay sorted when ranks replace symbols.
        let (sorted_stores, store_ranks) = ranked(&[stores.texts()]);
        let (sorted_items, item_ranks) = ranked(&[items.texts()]);
        (rows.stores, rows.items) = (sorted_stores, sorted_items);
        rows.renumber(&store_ranks[0], &item_ranks[0]);
        Ok(rows)
    }

    fn overflow(&self, row: usize, measure: &Measure) -> EngineError {
        EngineError::Overflow {
            measure: measure.name.clone(),
            store_id: self.stores.value(row).to_owned(),
            item_id: self.items.value(row).to_owned(),
            trans_date: from_days(self.dates.value(row)),
        }
    }
}

fn symbol(symbols: &mut Symbols, text: &str) -> Symbol {
    symbols
        .find(text.as_bytes())
        .unwrap_or_else(|| symbols.insert(text))
}

/// Returns a sum with two places as cents, if it fits decimal(18,2).
fn cents(sum: i128) -> Option<i64> {
    let sum = i64::try_from(sum).ok()?;
    (sum.unsigned_abs() <= MAX_CENTS.unsigned_abs()).then_some(sum)
}

fn wrong(part: &Path, problem: impl Into<String>) -> EngineError {
    EngineError::Part {
        path: part.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::ArrayRef;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::budget::Budget;
    use crate::layout::{FeedLayout, FeedSpec};
    use crate::read_back::rows_of;

    type Row<'r> = (&'r str, &'r str, i32, [Option<i128>; 3]);

    /// Writes rows as another engine would, with sums of a higher precision.
    fn write(path: &Path, rows: &[Row<'_>]) {
        let texts = |text: fn(&Row<'_>) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>())
        };
        let mut columns = vec![
            ("item_id", texts(|row| row.1.to_owned())),
            ("store_id", texts(|row| row.0.to_owned())),
            (
                "trans_date",
                Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Date32Array>()) as ArrayRef,
            ),
        ];
        for (number, name) in ["sale_amount", "tax_amount", "discount_amount"]
            .iter()
            .enumerate()
        {
            let sums = rows.iter().map(|row| row.3[number]).collect::<Decimal128Array>();
            let sums = sums.with_precision_and_scale(28, 2).unwrap();
            columns.push((name, Arc::new(sums) as ArrayRef));
        }
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn merged(parts: &[&[Row<'_>]]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..parts.len())
            .map(|number| folder.path().join(format!("{number}.parquet")))
            .collect();
        for (path, rows) in paths.iter().zip(parts) {
            write(path, rows);
        }
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let (summary, coverage) = (folder.path().join("summary"), folder.path().join("coverage"));
        let layout = FeedLayout::new(&FeedSpec::default()).unwrap();
        let outputs = SummaryOutputs {
            summary: &summary,
            coverage: &coverage,
        };
        let emptied = [("s2".to_owned(), from_days(1))];
        let report = summarize_parts(
            &paths,
            &emptied,
            layout.sales().unwrap(),
            outputs,
            Scratch {
                folder: &scratch,
                memory: &Budget::new(usize::MAX),
            },
        );
        assert_eq!(
            scratch.read_dir().unwrap().count(),
            0,
            "scratch files stay behind"
        );
        let report = report.map_err(|error| error.to_string())?;
        let rows = rows_of(&summary);
        assert_eq!(rows.len() as u64, report.rows);
        let line = |cells: Vec<Option<String>>| {
            let cells = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "NULL".to_owned()));
            cells.collect::<Vec<_>>().join(" ")
        };
        let rows = rows.into_iter().chain(rows_of(&coverage));
        Ok(rows.map(line).collect())
    }

    #[test]
    fn parts_become_one_summary() {
        let most = i128::from(MAX_CENTS);
        let rows = merged(&[
            &[
                ("s1", "b", 0, [Some(-5), None, Some(0)]),
                ("s3", "a", 2, [None, Some(-most), None]),
            ],
            &[],
            &[
                ("s1", "a", 1, [Some(most), None, None]),
                ("s1", "b", -1, [Some(1), Some(2), Some(3)]),
            ],
        ]);
        let expected = [
            "s1 a 1970-01-02 9999999999999999.99 NULL NULL",
            "s1 b 1969-12-31 0.01 0.02 0.03",
            "s1 b 1970-01-01 -0.05 NULL 0.00",
            "s3 a 1970-01-03 NULL -9999999999999999.99 NULL",
            "s1 1969-12-31",
            "s1 1970-01-01",
            "s1 1970-01-02",
            "s2 1970-01-02",
            "s3 1970-01-03",
        ];
        assert_eq!(rows.unwrap(), expected);
        assert_eq!(merged(&[]).unwrap(), ["s2 1970-01-02"]);
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let one = [Some(1), None, None];
        let over = [None, None, Some(-i128::from(MAX_CENTS) - 1)];
        for (parts, told) in [
            (
                vec![[("s", "a", 1, one)].as_slice(), [("s", "a", 1, one)].as_slice()],
                "have 2 rows, and only 1 keys",
            ),
            (
                vec![[("s", "a", 1, one), ("s", "a", 1, one)].as_slice()],
                "not sorted",
            ),
            (
                vec![[("s", "a", 1, one), ("r", "a", 1, one)].as_slice()],
                "not sorted",
            ),
            (vec![[("s", "a", i32::MIN, one)].as_slice()], "years 1 to 9999"),
            (
                vec![[("s", "a", 1, over)].as_slice()],
                "the sum of discount_amount for store s, item a, date 1970-01-02 does not fit",
            ),
        ] {
            let error = merged(&parts).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_file_of_other_columns_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let texts = Arc::new(StringArray::from(vec!["1"])) as ArrayRef;
        for (columns, told) in [
            (vec![("store_id", texts.clone())], "no column item_id"),
            (
                vec![
                    ("store_id", texts.clone()),
                    ("item_id", texts.clone()),
                    ("trans_date", texts.clone()),
                ],
                "trans_date is Utf8",
            ),
        ] {
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let mut writer =
                ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let layout = FeedLayout::new(&FeedSpec::default()).unwrap();
            let error = take_over(&path, &layout.sales().unwrap().measures, folder.path()).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
