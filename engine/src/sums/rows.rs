//! The rows of a partial in memory: sorted by key, stored column by column.

use std::ops::Range;

use rayon::prelude::*;

use super::amounts::{Amount, TooLarge};
use super::key_table::KeyedSums;
use super::order;
use super::table::Sums;
use crate::amount::{ABSENT, MAX_CENTS, add_cents};
use crate::date::from_days;
use crate::error::EngineError;
use crate::key::{Key, KeyBits, StoreDay};
use crate::layout::Measure;
use crate::radix;
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
    pub(crate) fn of(parts: Vec<Sums>, measures: &[Measure]) -> Result<Self, EngineError> {
        let texts = |column: fn(&Sums) -> &Texts| ranked(&parts.iter().map(column).collect::<Vec<_>>());
        let (stores, store_ranks) = texts(|part| &part.stores);
        let (items, item_ranks) = texts(|part| &part.items);
        let sorted = |((part, stores), items): ((Sums, &Vec<u32>), &Vec<u32>)| {
            Gathered::of_part(part, stores, items, measures.len())
        };
        let mut gathered: Vec<Gathered> = match parts.len() {
            // This may run before the end of a unit's turn, where nothing may wait for the pool.
            1 => parts
                .into_iter()
                .zip(&store_ranks)
                .zip(&item_ranks)
                .map(sorted)
                .collect(),
            _ => parts
                .into_par_iter()
                .zip(&store_ranks)
                .zip(&item_ranks)
                .map(sorted)
                .collect(),
        };
        gathered.retain(|part| !part.keys.is_empty());
        let gathered = Gathered::merged(gathered, measures.len());
        let rows = Self {
            stores,
            items,
            keys: gathered.keys,
            sums: gathered.sums,
        };
        match gathered.too_large.or_else(|| rows.beyond_decimal()) {
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

/// A row of one of several parts.
struct Entry {
    key: Key,
    part: u32,
    row: u32,
}

/// Rows in the order of their keys, each key once.
#[derive(Default)]
struct Gathered {
    keys: Vec<Key>,
    /// See [`Rows::sums`].
    sums: Vec<Vec<i64>>,
    /// The first sum that became too large.
    too_large: Option<TooLarge>,
}

impl Gathered {
    fn with_room(rows: usize, measures: usize) -> Self {
        Self {
            keys: Vec::with_capacity(rows),
            sums: (0..measures).map(|_| Vec::with_capacity(rows)).collect(),
            too_large: None,
        }
    }

    /// Sorts what one thread has read, once its stores and items have ranks.
    fn of_part(mut part: Sums, stores: &[u32], items: &[u32], measures: usize) -> Self {
        let amounts = std::mem::take(&mut part.amounts);
        let mut gathered = match amounts.is_empty() {
            true => Self::of_rows(&part.rows, stores, items, measures),
            false => Self::of_amounts(&amounts.sorted(part.amounts_of_rows(), stores, items), measures),
        };
        let too_large = part
            .too_large
            .map(|(key, measure)| (key.renumbered(stores, items), measure));
        gathered.too_large = too_large.or(gathered.too_large);
        gathered
    }

    /// Sorts rows that have distinct keys.
    fn of_rows(rows: &KeyedSums, stores: &[u32], items: &[u32], measures: usize) -> Self {
        let key = |row| rows.key(row).renumbered(stores, items);
        let bits = KeyBits::of((0..rows.len()).map(key));
        let mut order: Vec<(Key, u32)> = (0..rows.len()).map(key).zip(0..).collect();
        radix::sort(&mut order, bits.count(), |(key, _)| bits.narrow(*key));
        let mut gathered = Self::with_room(rows.len(), measures);
        for (key, row) in order {
            gathered.push(key, rows.sums(row as usize).iter().copied());
        }
        gathered
    }

    /// Adds up amounts, which must be sorted by key.
    fn of_amounts(amounts: &[Amount], measures: usize) -> Self {
        let rows = amounts.chunk_by(|one, two| one.key == two.key).count();
        let mut gathered = Self::with_room(rows, measures);
        for amount in amounts {
            if gathered.keys.last() != Some(&amount.key) {
                gathered.push(amount.key, (0..measures).map(|_| ABSENT));
            }
            gathered.add(amount.measure as usize, amount.cents);
        }
        gathered
    }

    fn push(&mut self, key: Key, sums: impl Iterator<Item = i64>) {
        self.keys.push(key);
        for (column, sum) in self.sums.iter_mut().zip(sums) {
            column.push(sum);
        }
    }

    /// Adds to a sum of the last row.
    fn add(&mut self, measure: usize, cents: i64) {
        let last = self.keys.len() - 1;
        if !add_cents(&mut self.sums[measure][last], cents) {
            self.too_large = self.too_large.or(Some((self.keys[last], measure)));
        }
    }

    /// Adds up the rows of several threads.
    fn merged(mut parts: Vec<Self>, measures: usize) -> Self {
        if parts.len() <= 1 {
            return parts.pop().unwrap_or_else(|| Self::with_room(0, measures));
        }
        let keys: Vec<&[Key]> = parts.iter().map(|part| part.keys.as_slice()).collect();
        let pieces = order::cut(&keys, PIECES_A_THREAD * rayon::current_num_threads());
        let gather = |piece: Vec<Range<usize>>| Self::of_piece(&parts, &piece, measures);
        let pieces = pieces.into_par_iter().map(gather).collect();
        let too_large = parts.iter().find_map(|part| part.too_large);
        let mut merged = Self::one_after_another(pieces, measures);
        merged.too_large = too_large.or(merged.too_large);
        merged
    }

    /// Adds up a range of the rows of each part.
    fn of_piece(parts: &[Self], ranges: &[Range<usize>], measures: usize) -> Self {
        let entries = (0..).zip(parts).zip(ranges).flat_map(|((number, part), range)| {
            let keys = part.keys[range.clone()].iter().zip(range.clone());
            keys.map(move |(key, row)| Entry {
                key: *key,
                part: number,
                row: row as u32,
            })
        });
        let mut entries: Vec<Entry> = entries.collect();
        // A stable sort finds the parts, which are sorted, and merges them.
        entries.sort_by_key(|entry| entry.key);
        let mut piece = Self::with_room(entries.len(), measures);
        for Entry { key, part, row } in entries {
            let sums = parts[part as usize]
                .sums
                .iter()
                .map(|column| column[row as usize]);
            if piece.keys.last() == Some(&key) {
                sums.enumerate()
                    .for_each(|(measure, sum)| piece.add(measure, sum));
            } else {
                piece.push(key, sums);
            }
        }
        piece
    }

    /// Puts pieces together, whose keys must be in their order.
    fn one_after_another(pieces: Vec<Self>, measures: usize) -> Self {
        let rows = pieces.iter().map(|piece| piece.keys.len()).sum();
        let mut all = Self::with_room(rows, measures);
        for piece in pieces {
            all.keys.extend(piece.keys);
            for (column, sums) in all.sums.iter_mut().zip(piece.sums) {
                column.extend(sums);
            }
            all.too_large = all.too_large.or(piece.too_large);
        }
        all
    }
}
