//! The rows of a partial in memory: sorted by key, stored column by column.

use rayon::prelude::*;

use super::key::{Key, StoreDay};
use super::order::{self, Entry};
use super::table::Sums;
use crate::amount::{ABSENT, MAX_CENTS, add_cents};
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::symbols::{Texts, ranked};

/// One row per key, sorted. The keys hold ranks: the positions of their texts in `stores` and `items`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The distinct stores in byte order.
    pub(crate) stores: Texts,
    /// The distinct items in byte order.
    pub(crate) items: Texts,
    pub(crate) keys: Vec<Key>,
    /// A column per measure: the sum in cents, or [`ABSENT`] if the key has no line of the measure.
    pub(crate) sums: Vec<Vec<i64>>,
}

/// Pieces per thread when several tables are combined: enough that threads which finish early find another piece.
const PIECES_A_THREAD: usize = 4;

/// The number of slots for recent days, a power of two.
const RECENT_DAYS: usize = 256;

impl Rows {
    /// Combines the sums of the threads that read a file.
    pub(crate) fn of(parts: &[Sums], measures: &[Measure]) -> Result<Self, EngineError> {
        let texts = |column: fn(&Sums) -> &Texts| ranked(&parts.iter().map(column).collect::<Vec<_>>());
        let (stores, store_ranks) = texts(|part| &part.stores);
        let (items, item_ranks) = texts(|part| &part.items);
        let sorted = |number: usize| {
            let (part, stores, items) = (&parts[number], &store_ranks[number], &item_ranks[number]);
            let entry = |row| Entry {
                key: part.rows.key(row).renumbered(stores, items),
                table: number as u32,
                row: row as u32,
            };
            let mut entries: Vec<Entry> = (0..part.rows.len()).map(entry).collect();
            entries.sort_unstable_by_key(|entry| entry.key);
            entries
        };
        let gathered = if parts.len() == 1 {
            // This may run before the end of a unit's turn, where nothing may wait for the pool.
            vec![Gathered::of(&sorted(0), parts, measures.len())]
        } else {
            let entries: Vec<_> = (0..parts.len()).into_par_iter().map(sorted).collect();
            let pieces = order::cut(&entries, PIECES_A_THREAD * rayon::current_num_threads());
            let gather = |piece: Vec<&[Entry]>| {
                let mut entries = piece.concat();
                entries.sort_by_key(|entry| entry.key);
                Gathered::of(&entries, parts, measures.len())
            };
            pieces.into_par_iter().map(gather).collect()
        };
        let gathered = Gathered::one_after_another(gathered);
        let mut overflow = parts.iter().zip(0..).find_map(|(part, number)| {
            let (key, measure) = part.overflow?;
            Some((key.renumbered(&store_ranks[number], &item_ranks[number]), measure))
        });
        overflow = overflow.or(gathered.overflow);
        let rows = Self {
            stores,
            items,
            keys: gathered.keys,
            sums: gathered.sums,
        };
        match overflow.or_else(|| rows.beyond_decimal()) {
            Some((key, measure)) => Err(rows.overflow(key, &measures[measure])),
            None => Ok(rows),
        }
    }

    /// Returns the first sum that does not fit decimal(18,2).
    fn beyond_decimal(&self) -> Option<(Key, usize)> {
        self.sums.iter().enumerate().find_map(|(measure, column)| {
            let is_beyond = |sum: &i64| *sum != ABSENT && sum.unsigned_abs() > MAX_CENTS.unsigned_abs();
            let row = column.iter().position(is_beyond)?;
            Some((self.keys[row], measure))
        })
    }

    pub(crate) fn overflow(&self, key: Key, measure: &Measure) -> EngineError {
        EngineError::Overflow {
            measure: measure.name.clone(),
            store_id: self.stores.get(key.store()).to_owned(),
            item_id: self.items.get(key.item()).to_owned(),
            trans_date: from_days(key.day()),
        }
    }

    /// Replaces the numbers of stores and items. The new numbers must keep the rows sorted.
    pub(crate) fn renumber(&mut self, stores: &[u32], items: &[u32]) {
        for key in &mut self.keys {
            *key = key.renumbered(stores, items);
        }
    }

    /// Returns the store-days that the file covers, sorted.
    pub(crate) fn days(&self) -> Vec<StoreDay> {
        let mut days = Vec::new();
        // A store's days recur with each of its items; most repetitions are dropped here.
        let mut recent = [None; RECENT_DAYS];
        for day in self.keys.iter().map(|key| key.store_day()) {
            let slot = &mut recent[(day.hash() >> (64 - RECENT_DAYS.trailing_zeros())) as usize];
            if *slot != Some(day) {
                *slot = Some(day);
                days.push(day);
            }
        }
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Keeps only the rows of some keys.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(Key) -> bool) {
        let kept: Vec<bool> = self.keys.iter().map(|key| is_kept(*key)).collect();
        fn filter<T: Copy>(column: &mut Vec<T>, kept: &[bool]) {
            let mut kept = kept.iter();
            column.retain(|_| kept.next() == Some(&true));
        }
        filter(&mut self.keys, &kept);
        for sums in &mut self.sums {
            filter(sums, &kept);
        }
    }

    /// Returns the bytes of memory in use, not counting texts.
    pub(crate) fn memory(&self) -> usize {
        self.keys.len() * Self::row_memory(self.sums.len())
    }

    /// Returns the bytes of memory per row.
    pub(crate) fn row_memory(measures: usize) -> usize {
        size_of::<Key>() + measures * size_of::<i64>()
    }
}

/// Rows combined from several tables.
#[derive(Default)]
struct Gathered {
    keys: Vec<Key>,
    /// See [`Rows::sums`].
    sums: Vec<Vec<i64>>,
    /// The first sum that became too large.
    overflow: Option<(Key, usize)>,
}

impl Gathered {
    /// Adds up the rows of some entries, which must be sorted by key.
    fn of(entries: &[Entry], parts: &[Sums], measures: usize) -> Self {
        let mut gathered = Self {
            keys: Vec::with_capacity(entries.len()),
            sums: (0..measures).map(|_| Vec::with_capacity(entries.len())).collect(),
            overflow: None,
        };
        for Entry { key, table, row } in entries {
            let sums = parts[*table as usize].rows.sums(*row as usize);
            if gathered.keys.last() == Some(key) {
                let last = gathered.keys.len() - 1;
                for (measure, (column, sum)) in gathered.sums.iter_mut().zip(sums).enumerate() {
                    if !add_cents(&mut column[last], *sum) {
                        gathered.overflow = gathered.overflow.or(Some((*key, measure)));
                    }
                }
            } else {
                gathered.keys.push(*key);
                for (column, sum) in gathered.sums.iter_mut().zip(sums) {
                    column.push(*sum);
                }
            }
        }
        gathered
    }

    /// Puts pieces together, whose keys must be in their order.
    fn one_after_another(mut pieces: Vec<Self>) -> Self {
        if pieces.len() <= 1 {
            return pieces.pop().unwrap_or_default();
        }
        let rows = pieces.iter().map(|piece| piece.keys.len()).sum();
        let measures = pieces.first().map_or(0, |piece| piece.sums.len());
        let mut all = Self {
            keys: Vec::with_capacity(rows),
            sums: (0..measures).map(|_| Vec::with_capacity(rows)).collect(),
            overflow: None,
        };
        for piece in pieces {
            all.keys.extend(piece.keys);
            for (column, sums) in all.sums.iter_mut().zip(piece.sums) {
                column.extend(sums);
            }
            all.overflow = all.overflow.or(piece.overflow);
        }
        all
    }
}
