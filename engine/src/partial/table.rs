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
    /// Measures a row.
    width: usize,
    /// Open addressing: 0 for a free place, else one more than the number of a row. A power of two of places, at most
    /// half of them taken.
    places: Vec<u32>,
    /// How far a hash is moved to be a place.
    shift: u32,
    keys: Vec<Key>,
    /// `width` sums a row, in cents or [`ABSENT`].
    sums: Vec<i64>,
    /// Lines that are not in the sums yet.
    pending: Pending,
    /// The store's days with an ignored line.
    ignored_days: HashSet<StoreDay, FixedState>,
    /// Some of them, each in one place, which spares the set most questions.
    recent_days: Vec<Option<StoreDay>>,
    /// The first sum that grew too large.
    overflow: Option<(Key, usize)>,
}

/// Lines that wait to be added. Many are added in a row, so that the processor fetches the rows of the next ones from
/// memory while it adds one.
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
    pub(crate) keys: Vec<Key>,
    /// As many a row as there are measures, in cents or [`ABSENT`].
    pub(crate) sums: Vec<i64>,
    pub(crate) ignored_days: HashSet<StoreDay, FixedState>,
    pub(crate) overflow: Option<(Key, usize)>,
}

/// A power of two.
const RECENT_DAYS: usize = 256;

impl Table {
    pub(crate) fn new(measures: usize) -> Self {
        Self {
            stores: Symbols::new(),
            items: Symbols::new(),
            width: measures,
            places: vec![0; 64],
            shift: u64::BITS - 6,
            keys: Vec::new(),
            sums: Vec::new(),
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

    #[inline(never)]
    fn add_pending(&mut self) {
        for pending in 0..self.pending.amount_count {
            let Amount { key, cents, measure } = self.pending.amounts[pending];
            let (row, measure) = (self.row(key), measure as usize);
            if !add_cents(&mut self.sums[row * self.width + measure], cents) {
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
        let row = size_of::<Key>() + self.width * size_of::<i64>();
        self.keys.capacity() * row
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
            keys,
            sums,
            ignored_days,
            overflow,
            ..
        } = self;
        Sums {
            stores: stores.into_texts(),
            items: items.into_texts(),
            keys,
            sums,
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
                taken if self.keys[taken as usize - 1] == key => return taken as usize - 1,
                _ => at = (at + 1) & (self.places.len() - 1),
            }
        }
    }

    #[inline(always)]
    fn first_place(&self, key: Key) -> usize {
        (key.hash() >> self.shift) as usize
    }

    fn insert(&mut self, key: Key, free: usize) -> usize {
        let row = self.keys.len();
        self.keys.push(key);
        self.sums.resize(self.sums.len() + self.width, ABSENT);
        self.places[free] = row as u32 + 1;
        if self.keys.len() * 2 > self.places.len() {
            self.grow();
        }
        row
    }

    #[cold]
    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 4];
        self.shift -= 2;
        for row in 0..self.keys.len() {
            let mut at = self.first_place(self.keys[row]);
            while self.places[at] != 0 {
                at = (at + 1) & (self.places.len() - 1);
            }
            self.places[at] = row as u32 + 1;
        }
    }
}
