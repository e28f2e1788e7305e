use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arrow_array::{Date32Array, Decimal128Array, StringViewArray};
use proptest::prelude::*;

use super::*;

type Key = (String, String, i32);
type Rows = BTreeMap<Key, [Option<i64>; 2]>;
type Pairs = BTreeSet<(String, i32)>;

/// Rows as batches that end at these positions.
fn batches(rows: &Rows, borders: &[usize]) -> Vec<Result<SummaryBatch, LoadError>> {
    let rows: Vec<_> = rows.iter().collect();
    let mut borders: Vec<usize> = borders.iter().map(|border| border % (rows.len() + 1)).collect();
    borders.extend([0, rows.len()]);
    borders.sort_unstable();
    borders
        .windows(2)
        .map(|ends| Ok(batch(&rows[ends[0]..ends[1]])))
        .collect()
}

fn batch(rows: &[(&Key, &[Option<i64>; 2])]) -> SummaryBatch {
    let amounts =
        |at: usize| -> Decimal128Array { rows.iter().map(|(_, a)| a[at].map(i128::from)).collect() };
    SummaryBatch {
        stores: StringViewArray::from_iter_values(rows.iter().map(|(key, _)| &key.0)),
        items: StringViewArray::from_iter_values(rows.iter().map(|(key, _)| &key.1)),
        dates: Date32Array::from_iter_values(rows.iter().map(|(key, _)| key.2)),
        amounts: vec![amounts(0), amounts(1)],
    }
}

fn days(pairs: &Pairs) -> Days {
    pairs.iter().cloned().collect()
}

fn add(to: &mut Vec<(Key, [Option<i64>; 2])>, batch: &SummaryBatch) {
    for row in 0..batch.len() {
        let (store, item, date) = batch.key(row);
        let amounts: Vec<_> = batch.amounts(row).collect();
        to.push((
            (store.to_string(), item.to_string(), date),
            [amounts[0], amounts[1]],
        ));
    }
}

#[derive(Debug, Clone)]
struct Side {
    rows: Rows,
    covered: Pairs,
    borders: Vec<usize>,
}

/// Keys of more and of less than the 12 bytes that a view holds itself.
fn side() -> impl Strategy<Value = Side> {
    let store = prop::sample::select(vec!["s", "t", "a store of a long name", "a store of a long namf"]);
    let item = prop::sample::select(vec!["i", "twelve bytes", "thirteen bytes", "thirteen bytet"]);
    let amount = || prop::option::of(0..2i64);
    let row = (store.clone(), item, 0..3i32, amount(), amount());
    let covered = prop::collection::vec((store, 0..3i32), 0..3);
    let borders = prop::collection::vec(0..100usize, 0..5);
    (prop::collection::vec(row, 0..40), covered, borders).prop_map(|(rows, covered, borders)| {
        let rows: Rows = rows
            .into_iter()
            .map(|(store, item, date, a, b)| ((store.into(), item.into(), date), [a, b]))
            .collect();
        let mut all: Pairs = rows
            .keys()
            .map(|(store, _, date)| (store.clone(), *date))
            .collect();
        all.extend(covered.into_iter().map(|(store, date)| (store.to_string(), date)));
        Side {
            rows,
            covered: all,
            borders,
        }
    })
}

/// A base and its successor, mostly with the same rows.
fn sides() -> impl Strategy<Value = (Side, Side)> {
    (side(), side(), any::<u64>(), any::<bool>()).prop_map(|(base, other, kept, mixed)| {
        if !mixed {
            return (base, other);
        }
        let mut new = other;
        for (at, (key, amounts)) in base.rows.iter().enumerate() {
            if kept >> (at % 64) & 1 == 1 {
                new.rows.insert(key.clone(), *amounts);
                new.covered.insert((key.0.clone(), key.2));
            }
        }
        (base, new)
    })
}

fn walked(base: &Side, new: &Side, deletes: bool) -> (Vec<Piece>, Tally) {
    let (covered, before) = (days(&new.covered), days(&base.covered));
    let dropped = before.without(&covered);
    let added = covered.without(&before);
    let reach = Reach {
        covered: &covered,
        dropped: &dropped,
        added: &added,
        deletes,
    };
    let walk = |side: &Side, fault| Walk::new(batches(&side.rows, &side.borders).into_iter(), fault);
    let mut pieces = Vec::new();
    let tally = merge(walk(new, Fault::Load), walk(base, Fault::Base), reach, |piece| {
        pieces.push(piece);
        true
    });
    match tally {
        Ok(Some(tally)) => (pieces, tally),
        _ => panic!("no end"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_walk_finds_what_a_comparison_key_by_key_finds((base, new) in sides(), deletes in any::<bool>()) {
        let (pieces, tally) = walked(&base, &new, deletes);
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        for piece in &pieces {
            match piece {
                Piece::Write(batch) => add(&mut written, batch),
                Piece::Remove(batch) => add(&mut removed, batch),
                Piece::End(_) => {}
            }
        }
        let expected: Vec<_> = new
            .rows
            .iter()
            .filter(|(key, amounts)| base.rows.get(*key) != Some(*amounts))
            .map(|(key, amounts)| (key.clone(), *amounts))
            .collect();
        let gone: Vec<_> = base
            .rows
            .iter()
            .filter(|(key, _)| {
                deletes && !new.rows.contains_key(*key) && new.covered.contains(&(key.0.clone(), key.2))
            })
            .map(|(key, amounts)| (key.clone(), *amounts))
            .collect();
        let inserted = new.rows.keys().filter(|key| !base.rows.contains_key(*key)).count() as u64;
        prop_assert_eq!(&tally, &Tally {
            rows: new.rows.len() as u64,
            base_rows: base.rows.len() as u64,
            inserted,
            changed: expected.len() as u64 - inserted,
            removed: gone.len() as u64,
            uncovered: 0,
            base_uncovered: 0,
        });
        prop_assert_eq!(written, expected);
        prop_assert_eq!(removed, gone);
    }

    #[test]
    fn rows_outside_of_the_coverage_are_counted((base, mut new) in sides(), lost in any::<prop::sample::Index>()) {
        if new.covered.is_empty() {
            return Ok(());
        }
        let lost = lost.get(&new.covered.iter().cloned().collect::<Vec<_>>()).clone();
        new.covered.remove(&lost);
        let outside = new.rows.keys().filter(|key| (&key.0, key.2) == (&lost.0, lost.1)).count() as u64;
        prop_assert_eq!(walked(&base, &new, true).1.uncovered, outside);
    }
}

/// How a file is laid out.
#[derive(Debug, Clone)]
struct Layout {
    /// Rows in a row group, and in a page.
    group: usize,
    page: usize,
    dictionaries: bool,
    /// Whether it records where its pages are.
    has_index: bool,
}

fn layout() -> impl Strategy<Value = Layout> {
    let numbers = (1..20usize, 1..8usize);
    (numbers, any::<bool>(), any::<bool>()).prop_map(|((group, page), dictionaries, has_index)| Layout {
        group,
        page,
        dictionaries,
        has_index,
    })
}

fn written(folder: &Path, name: &str, rows: &Rows, layout: &Layout) -> PathBuf {
    use std::fs::File;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    let amounts = |at: usize| -> ArrayRef {
        let cents: Decimal128Array = rows.values().map(|amounts| amounts[at].map(i128::from)).collect();
        Arc::new(cents.with_precision_and_scale(18, 2).unwrap())
    };
    let columns: [(&str, ArrayRef, bool); 5] = [
        (
            "store_id",
            Arc::new(StringArray::from_iter_values(rows.keys().map(|key| &key.0))),
            false,
        ),
        (
            "item_id",
            Arc::new(StringArray::from_iter_values(rows.keys().map(|key| &key.1))),
            false,
        ),
        (
            "trans_date",
            Arc::new(Date32Array::from_iter_values(rows.keys().map(|key| key.2))),
            false,
        ),
        ("a", amounts(0), true),
        ("b", amounts(1), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(layout.group))
        .set_data_page_row_count_limit(layout.page)
        .set_write_batch_size(1)
        .set_dictionary_enabled(layout.dictionaries)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(!layout.has_index)
        .build();
    let path = folder.join(name);
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn stored_keys_are_compared_only_where_they_are_the_same(
        (base, other) in sides(),
        amounts in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(0..3i64), 0..2usize), 0..6),
        layout in layout(),
        same_keys in prop::bool::weighted(0.7),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut new = if same_keys { base.rows.clone() } else { other.rows };
        if !new.is_empty() {
            let keys: Vec<Key> = new.keys().cloned().collect();
            for (at, amount, measure) in amounts {
                new.get_mut(at.get(&keys)).unwrap()[measure] = amount;
            }
        }
        let old_file = written(folder.path(), "old", &base.rows, &layout);
        let new_file = written(folder.path(), "new", &new, &layout);
        let measures = ["a".to_string(), "b".to_string()];
        let compared = aligned::changed_rows(&new_file, &old_file, &measures);
        let compared = compared.map_err(|_| TestCaseError::fail("unreadable"))?;
        if new.keys().ne(base.rows.keys()) {
            prop_assert!(compared.is_none());
            return Ok(());
        }
        let changed: Vec<_> = new
            .iter()
            .filter(|(key, amounts)| base.rows[*key] != **amounts)
            .map(|(key, amounts)| (key.clone(), *amounts))
            .collect();
        if changed.len() > aligned::MOST_CHANGED {
            prop_assert!(compared.is_none());
            return Ok(());
        }
        let compared = compared.expect("the keys are the same");
        let tally = compared.tally();
        let mut found = Vec::new();
        for batch in &compared.batches {
            add(&mut found, batch);
        }
        let rows = new.len() as u64;
        prop_assert_eq!(tally, Tally { rows, base_rows: rows, changed: changed.len() as u64, ..Tally::default() });
        prop_assert_eq!(found, changed);
    }
}
