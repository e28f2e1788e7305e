//! Adding up what several inputs hold of the same keys.
//!
//! The rows are cut into pieces of some stores, or of some of a store's keys, that a processor's cache holds. For each, the
//! rows are put in the order of their keys, and Polars groups them and sums the columns of each group. Threads take the pieces
//! in turn, so that only a few are in memory twice.

use polars::prelude as pl;
use polars::prelude::IntoColumn;
use polars::series::IsSorted;
use rayon::prelude::*;

use super::batch::Segment;
use crate::amount::{ABSENT, MAX_CENTS};
use crate::error::EngineError;
use crate::key::Key;
use crate::sums::Rows;
use crate::sums::order::cut;

/// The most rows of a piece: a store that has more is cut by its keys. Few in tests, so that they have such stores.
const PIECE_ROWS: usize = if cfg!(test) { 30 } else { 1 << 16 };

/// The name of the column of keys.
const KEY: &str = "key";

/// The bits in the lower half of an amount.
const HALF: u32 = 32;
const LOWER: i64 = (1 << HALF) - 1;

/// Adds up the rows in `segments`, which are ordered by store. Returns them in pieces, which are ordered by key. `overflow`
/// makes the error about the sum of a key and a measure that does not fit decimal(18,2).
pub(super) fn add_up(
    rows: &[Rows],
    segments: &[Segment],
    measures: usize,
    overflow: impl Fn(Key, usize) -> EngineError + Sync,
) -> Result<Vec<Rows>, EngineError> {
    let pieces = pieces(rows, segments).into_par_iter();
    let merged = pieces.map(|segments| Piece::of(rows, &segments).add_up(measures, &overflow));
    merged.collect()
}

/// Cuts segments into pieces.
fn pieces(rows: &[Rows], segments: &[Segment]) -> Vec<Vec<Segment>> {
    let mut pieces = vec![Vec::new()];
    let mut room = PIECE_ROWS;
    for of_store in segments.chunk_by(|one, two| one.store == two.store) {
        let count: usize = of_store.iter().map(|segment| segment.rows.len()).sum();
        if count > room {
            pieces.push(Vec::new());
            room = PIECE_ROWS;
        }
        if count > room {
            pieces.extend(pieces_of_store(rows, of_store, count.div_ceil(PIECE_ROWS)));
            room = 0;
        } else if let Some(piece) = pieces.last_mut() {
            piece.extend_from_slice(of_store);
            room -= count;
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Cuts the segments of one store by their keys.
fn pieces_of_store<'a>(
    rows: &[Rows],
    segments: &'a [Segment],
    count: usize,
) -> impl Iterator<Item = Vec<Segment>> + use<'a> {
    let keys = segments
        .iter()
        .map(|segment| &rows[segment.input].keys[segment.rows.clone()]);
    let pieces = cut(&keys.collect::<Vec<_>>(), count).into_iter();
    pieces.map(|ranges| {
        let parts = segments.iter().zip(ranges).filter(|(_, range)| !range.is_empty());
        let parts = parts.map(|(segment, range)| {
            let start = segment.rows.start;
            let rows = start + range.start..start + range.end;
            Segment {
                rows,
                ..segment.clone()
            }
        });
        parts.collect()
    })
}

/// Where a row stands.
struct Entry {
    key: Key,
    input: u32,
    row: u32,
}

/// Some rows, in the order of their keys.
struct Piece<'r> {
    rows: &'r [Rows],
    entries: Vec<Entry>,
    /// The most rows that one key can have.
    most_rows: usize,
}

impl<'r> Piece<'r> {
    fn of(rows: &'r [Rows], segments: &[Segment]) -> Self {
        let mut entries = Vec::with_capacity(segments.iter().map(|segment| segment.rows.len()).sum());
        for segment in segments {
            let keys = &rows[segment.input].keys[segment.rows.clone()];
            entries.extend(keys.iter().zip(segment.rows.clone()).map(|(key, row)| Entry {
                key: *key,
                input: segment.input as u32,
                row: row as u32,
            }));
        }
        // A stable sort finds the segments, which are sorted, and merges them.
        entries.sort_by_key(|entry| entry.key);
        Self {
            rows,
            entries,
            most_rows: segments.len(),
        }
    }

    /// Has Polars group the rows by their keys, and sum the columns of each group.
    fn add_up(
        &self,
        measures: usize,
        overflow: &impl Fn(Key, usize) -> EngineError,
    ) -> Result<Rows, EngineError> {
        let keys = self.entries.iter().map(|entry| entry.key.0).collect();
        let mut keys = pl::UInt64Chunked::from_vec(KEY.into(), keys);
        // Sorted keys are grouped without a hash table.
        keys.set_sorted_flag(IsSorted::Ascending);
        let mut columns = vec![keys.into_column()];
        let forms: Vec<Form> = (0..measures).map(|measure| self.form(measure)).collect();
        for (measure, form) in forms.iter().enumerate() {
            for part in 0..form.columns() {
                let name = columns.len().to_string().into();
                let parts = self.amounts(measure).map(|amount| form.part(part, amount));
                columns.push(pl::Int64Chunked::from_vec(name, parts.collect()).into_column());
            }
        }
        let frame = pl::DataFrame::new(self.entries.len(), columns)?;
        #[expect(
            deprecated,
            reason = "the lazy engine that replaces it takes minutes to compile"
        )]
        let summed = frame.group_by([KEY])?.sum()?;
        let (keys, mut columns) = summed.columns().split_at(1);
        let keys: Vec<Key> = keys[0].u64()?.iter().flatten().map(Key).collect();
        let mut sums = Vec::with_capacity(measures);
        for (measure, form) in forms.iter().enumerate() {
            let (parts, others) = columns.split_at(form.columns());
            columns = others;
            let of_measure = form.sums(parts)?;
            if let Some(at) = of_measure.iter().position(Option::is_none) {
                return Err(overflow(keys[at], measure));
            }
            sums.push(of_measure.into_iter().flatten().collect());
        }
        Ok(Rows {
            keys,
            sums,
            ..Rows::default()
        })
    }

    /// The amounts of a measure, [`ABSENT`] among them.
    fn amounts(&self, measure: usize) -> impl Iterator<Item = i64> {
        let amount = move |entry: &Entry| self.rows[entry.input as usize].sums[measure][entry.row as usize];
        self.entries.iter().map(amount)
    }

    fn form(&self, measure: usize) -> Form {
        let amounts = self.amounts(measure).filter(|amount| *amount != ABSENT);
        let most = amounts.map(i64::unsigned_abs).max().unwrap_or(0);
        let bits = usize::BITS - self.most_rows.leading_zeros();
        let most = (u128::from(most) + 1) * self.most_rows as u128;
        match most << bits <= i64::MAX as u128 {
            true => Form::Together { bits },
            false => Form::Apart,
        }
    }
}

/// How Polars gets the amounts of a measure, so that no sum leaves 64 bits, and that of no amount is none.
enum Form {
    /// In one column: the cents, and below them, in so many bits, 1 for an amount.
    Together { bits: u32 },
    /// In three: the upper and the lower half of the cents, and 1 for an amount.
    Apart,
}

impl Form {
    fn columns(&self) -> usize {
        match self {
            Self::Together { .. } => 1,
            Self::Apart => 3,
        }
    }

    /// What a column has of an amount.
    #[inline(always)]
    fn part(&self, column: usize, amount: i64) -> i64 {
        match (self, column) {
            _ if amount == ABSENT => 0,
            (Self::Together { bits }, _) => (amount << bits) | 1,
            (Self::Apart, 0) => amount >> HALF,
            (Self::Apart, 1) => amount & LOWER,
            (Self::Apart, _) => 1,
        }
    }

    /// Returns the sums in cents, from the sums of the columns; `None` where one does not fit decimal(18,2).
    fn sums(&self, columns: &[pl::Column]) -> Result<Vec<Option<i64>>, EngineError> {
        let column = |at: usize| -> Result<_, EngineError> {
            Ok(columns[at].i64()?.iter().map(Option::unwrap_or_default))
        };
        let fitting = |cents: i128, amounts: i64| match amounts {
            0 => Some(ABSENT),
            _ => i64::try_from(cents)
                .ok()
                .filter(|cents| cents.unsigned_abs() <= MAX_CENTS.unsigned_abs()),
        };
        Ok(match self {
            Self::Together { bits } => {
                let sums = column(0)?.map(|sum| fitting((sum >> bits).into(), sum & ((1 << bits) - 1)));
                sums.collect()
            }
            Self::Apart => {
                let sums = column(0)?.zip(column(1)?).zip(column(2)?);
                let cents = |upper, lower| (i128::from(upper) << HALF) + i128::from(lower);
                sums.map(|((upper, lower), amounts)| fitting(cents(upper, lower), amounts))
                    .collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::date::day_number;
    use crate::merge::batch::segments;

    /// Amounts of two measures: usual ones, and now and then one of which two, or a few, leave decimal(18,2).
    fn amounts() -> impl Strategy<Value = [i64; 2]> {
        let amount = prop_oneof![
            2 => Just(ABSENT),
            6 => -999..999_i64,
            1 => prop_oneof![Just(MAX_CENTS), Just(-MAX_CENTS), Just(MAX_CENTS / 3)],
        ];
        [amount.clone(), amount]
    }

    fn key() -> impl Strategy<Value = Key> {
        let day = day_number(jiff::civil::date(2026, 11, 28));
        (0..3_u32, 0..40_u32, 0..3).prop_map(move |(store, item, later)| Key::new(store, item, day + later))
    }

    proptest! {
        #[test]
        fn sums_are_those_of_all_rows(
            files in prop::collection::vec(prop::collection::btree_map(key(), amounts(), 0..120), 1..6),
        ) {
            let rows: Vec<Rows> = files.iter().map(|file| Rows {
                keys: file.keys().copied().collect(),
                sums: (0..2).map(|measure| file.values().map(|amounts| amounts[measure]).collect()).collect(),
                ..Rows::default()
            }).collect();
            let mut shared: Vec<Segment> = (0..).zip(&rows).flat_map(|(number, rows)| segments(number, rows)).collect();
            shared.sort_by_key(|segment| segment.store);
            let mut expected: BTreeMap<Key, [Option<i128>; 2]> = BTreeMap::new();
            for (key, amounts) in files.iter().flatten() {
                let sums = expected.entry(*key).or_default();
                for (sum, amount) in sums.iter_mut().zip(amounts).filter(|(_, amount)| **amount != ABSENT) {
                    *sum = Some(sum.unwrap_or(0) + i128::from(*amount));
                }
            }
            let is_beyond = |sum: &Option<i128>| sum.is_some_and(|sum| sum.unsigned_abs() > u128::from(MAX_CENTS.unsigned_abs()));
            let fits = !expected.values().flatten().any(is_beyond);
            let told = |key: Key, measure: usize| {
                assert!(is_beyond(&expected[&key][measure]));
                EngineError::TooManyItems
            };
            let merged = add_up(&rows, &shared, 2, told);
            prop_assert_eq!(merged.is_ok(), fits);
            let Ok(merged) = merged else { return Ok(()) };
            let all = merged.iter().flat_map(|piece| {
                piece.keys.iter().zip(piece.sums[0].iter().zip(&piece.sums[1]))
            });
            let all = all.map(|(key, (one, other))| {
                (*key, [*one, *other].map(|sum| (sum != ABSENT).then(|| i128::from(sum))))
            });
            prop_assert_eq!(all.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
