//! The sums of the lines that one thread reads: a hash table from key to row, and the rows by columns.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
use crate::amount::{ABSENT, add_cents};
use crate::symbols::{Symbols, Texts};

/// Sums amounts by key and measure.
pub(crate) struct Table {
    pub(crate) stores: Symbols,
    pub(crate) items: Symbols,
    /// Open addressing: 0 for a free place, else one more than the number of a row. A power of two of places, at most
    /// half of them taken.
    places: Vec<u32>,
    /// How far a hash is moved to be a place.
    shift: u32,
    rows: KeyedSums,
    /// Lines that are not in the sums yet.
    pending: Pending,
    /// The store's days with an ignored line.
    ignored_days: HashSet<StoreDay, FixedState>,
    /// Some of them, each in one place, which spares the set most questions.
    recent_days: Vec<Option<StoreDay>>,
    /// The first sum that grew too large.
    overflow: Option<(Key, usize)>,
}

/// Lines that wait to be added. Many are added at a time: see [`Table::add_pending`].
///
/// Whether a line's code is asked for is hard to foretell, so that nothing is decided by it here: each line is written to
/// the end of both lists, and only one of them grows.
struct Pending {
    amounts: [Amount; MOST_PENDING],
    amount_count: usize,
    ignored_days: [StoreDay; MOST_PENDING],
    ignored_count: usize,
}

/// An amount in cents that belongs to the sum of a key and measure.
#[derive(Clone, Copy)]
struct Amount {
    key: Key,
    cents: i64,
    measure: u32,
}

/// The most pending lines of either kind: they stay in the core's nearest cache.
const MOST_PENDING: usize = 256;

impl Pending {
    fn new() -> Self {
        let amount = Amount {
            key: Key::new(0, 0, 0),
            cents: 0,
            measure: 0,
        };
        Self {
            amounts: [amount; MOST_PENDING],
            amount_count: 0,
            ignored_days: [StoreDay::new(0, 0); MOST_PENDING],
            ignored_count: 0,
        }
    }
}

/// What a [`Table`] held when its lines were read.
pub(crate) struct Sums {
    pub(crate) stores: Texts,
    pub(crate) items: Texts,
    pub(crate) rows: KeyedSums,
    pub(crate) ignored_days: HashSet<StoreDay, FixedState>,
    pub(crate) overflow: Option<(Key, usize)>,
}

/// Keys and their sums, row by row: whoever has fetched a key from memory mostly has its sums, too.
pub(crate) struct KeyedSums {
    /// The key, then a sum a measure, in cents or [`ABSENT`].
    words: Vec<i64>,
    /// Words a row.
    width: usize,
}

impl KeyedSums {
    fn new(measures: usize) -> Self {
        Self {
            words: Vec::new(),
            width: 1 + measures,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len() / self.width
    }

    #[inline(always)]
    pub(crate) fn key(&self, row: usize) -> Key {
        Key(self.words[row * self.width] as u64)
    }

    /// Whether a key stands in a row, which need not be there.
    #[inline(always)]
    fn is_at(&self, row: u32, key: Key) -> bool {
        self.words.get(row as usize * self.width) == Some(&(key.0 as i64))
    }

    pub(crate) fn sums(&self, row: usize) -> &[i64] {
        &self.words[row * self.width..][1..self.width]
    }

    #[inline(always)]
    fn sum(&mut self, row: usize, measure: usize) -> &mut i64 {
        &mut self.words[row * self.width + 1 + measure]
    }

    fn push(&mut self, key: Key) {
        self.words.push(key.0 as i64);
        self.words.resize(self.words.len() + self.width - 1, ABSENT);
    }
}

/// A power of two.
const RECENT_DAYS: usize = 256;

impl Table {
    pub(crate) fn new(measures: usize) -> Self {
        Self {
            stores: Symbols::new(),
            items: Symbols::new(),
            places: vec![0; 64],
            shift: u64::BITS - 6,
            rows: KeyedSums::new(measures),
            pending: Pending::new(),
            ignored_days: HashSet::default(),
            recent_days: vec![None; RECENT_DAYS],
            overflow: None,
        }
    }

    /// Adds a line: an amount in cents to the sum of a key and measure, or, if its code is not asked for, only the note
    /// that the store's day has such a line.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: Key, measure: u8, cents: i64, is_asked: bool) {
        let Pending {
            amounts,
            amount_count,
            ignored_days,
            ignored_count,
        } = &mut self.pending;
        amounts[*amount_count] = Amount {
            key,
            cents,
            measure: u32::from(measure),
        };
        ignored_days[*ignored_count] = key.store_day();
        *amount_count += usize::from(is_asked);
        *ignored_count += usize::from(!is_asked);
        if *amount_count == MOST_PENDING || *ignored_count == MOST_PENDING {
            self.add_pending();
        }
    }

    /// Adds what is pending, in steps that each go over all amounts: what a step asks of memory for one of them depends on
    /// nothing that it asks for another, so that the processor waits for many answers at a time.
    #[inline(never)]
    fn add_pending(&mut self) {
        let count = self.pending.amount_count;
        let mut guesses = [0; MOST_PENDING];
        for (guess, amount) in guesses.iter_mut().zip(&self.pending.amounts[..count]) {
            *guess = self.places[self.first_place(amount.key)];
        }
        let mut are_right = [false; MOST_PENDING];
        let guessed = are_right.iter_mut().zip(guesses);
        for ((is_right, guess), amount) in guessed.zip(&self.pending.amounts[..count]) {
            *is_right = self.rows.is_at(guess.wrapping_sub(1), amount.key);
        }
        for (pending, (guess, is_right)) in guesses.into_iter().zip(are_right).take(count).enumerate() {
            let Amount { key, cents, measure } = self.pending.amounts[pending];
            let row = match is_right {
                true => guess as usize - 1,
                false => self.row(key),
            };
            let measure = measure as usize;
            if !add_cents(self.rows.sum(row, measure), cents) {
                self.overflow = self.overflow.or(Some((key, measure)));
            }
        }
        for day in &self.pending.ignored_days[..self.pending.ignored_count] {
            let recent = &mut self.recent_days[(day.hash() >> (64 - RECENT_DAYS.trailing_zeros())) as usize];
            if *recent != Some(*day) {
                *recent = Some(*day);
                self.ignored_days.insert(*day);
            }
        }
        self.pending.amount_count = 0;
        self.pending.ignored_count = 0;
    }

    /// The bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.rows.words.capacity() * size_of::<i64>()
            + self.places.len() * size_of::<u32>()
            + self.ignored_days.capacity() * size_of::<StoreDay>()
            + self.stores.memory()
            + self.items.memory()
    }

    /// Whether half of the numbers that keys have for stores or items are taken. A unit of lines never takes the others.
    pub(crate) fn is_short_of_numbers(&self) -> bool {
        self.stores.len() >= MOST_STORES / 2 || self.items.len() >= MOST_ITEMS / 2
    }

    pub(crate) fn into_sums(mut self) -> Sums {
        self.add_pending();
        let Self {
            stores,
            items,
            rows,
            ignored_days,
            overflow,
            ..
        } = self;
        Sums {
            stores: stores.into_texts(),
            items: items.into_texts(),
            rows,
            ignored_days,
            overflow,
        }
    }

    #[inline(always)]
    fn row(&mut self, key: Key) -> usize {
        let mut at = self.first_place(key);
        loop {
            match self.places[at] {
                0 => return self.insert(key, at),
                taken if self.rows.key(taken as usize - 1) == key => return taken as usize - 1,
                _ => at = (at + 1) & (self.places.len() - 1),
            }
        }
    }

    #[inline(always)]
    fn first_place(&self, key: Key) -> usize {
        (key.hash() >> self.shift) as usize
    }

    fn insert(&mut self, key: Key, free: usize) -> usize {
        let row = self.rows.len();
        self.rows.push(key);
        self.places[free] = row as u32 + 1;
        if self.rows.len() * 2 > self.places.len() {
            self.grow();
        }
        row
    }

    #[cold]
    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 4];
        self.shift -= 2;
        for row in 0..self.rows.len() {
            let mut at = self.first_place(self.rows.key(row));
            while self.places[at] != 0 {
                at = (at + 1) & (self.places.len() - 1);
            }
            self.places[at] = row as u32 + 1;
        }
    }
}
