//! The sums of the lines that one thread reads. Amounts of more keys than a core's own cache holds are kept aside: see
//! [`Amounts`].

use super::amounts::{AddedUp, Amount, Amounts, TooLarge};
use super::key_table::{KeyTable, KeyedSums};
use crate::amount::{ABSENT, add_cents};
use crate::key::{Key, MOST_ITEMS, MOST_STORES};
use crate::symbols::{Symbols, Texts};

/// Sums amounts by key and measure.
pub(crate) struct SumTable {
    pub(crate) stores: Symbols,
    pub(crate) items: Symbols,
    keys: KeyTable,
    /// Lines that are not added yet.
    pending: Pending,
    /// Once there are so many keys, the amounts of further lines are kept aside.
    most_keys: usize,
    /// The amounts that are kept aside.
    amounts: Amounts,
    /// The first sum that became too large.
    too_large: Option<TooLarge>,
}

/// So many keys, with their slots and sums, fit a core's own cache.
const MOST_KEYS: usize = if cfg!(test) { 20 } else { 1 << 15 };

/// Lines that wait to be added, many at a time: see [`SumTable::add_to_rows`].
///
/// The processor cannot predict well whether a line is a row or ignored, so there is no branch on it: each line is
/// written to the end of the list, which grows only by rows.
struct Pending {
    amounts: [Amount; MAX_PENDING],
    count: usize,
}

/// The most pending lines: they stay in the core's nearest cache.
const MAX_PENDING: usize = 256;

impl Pending {
    fn new() -> Self {
        let amount = Amount {
            key: Key::new(0, 0, 0),
            cents: 0,
            measure: 0,
            lines: 1,
        };
        Self {
            amounts: [amount; MAX_PENDING],
            count: 0,
        }
    }
}

/// What a [`SumTable`] held when all its lines had been read.
pub(crate) struct Sums {
    pub(crate) stores: Texts,
    pub(crate) items: Texts,
    pub(super) rows: KeyedSums,
    pub(super) amounts: Amounts,
    pub(super) too_large: Option<TooLarge>,
}

impl SumTable {
    pub(crate) fn new(measures: usize) -> Self {
        Self {
            stores: Symbols::new(),
            items: Symbols::new(),
            keys: KeyTable::new(measures),
            pending: Pending::new(),
            most_keys: MOST_KEYS,
            amounts: Amounts::default(),
            too_large: None,
        }
    }

    /// Adds a line. A row adds its amount in cents to the sum of its key and measure; an ignored line leaves no trace.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: Key, measure: u8, cents: i64, is_row: bool) {
        let Pending { amounts, count } = &mut self.pending;
        amounts[*count] = Amount {
            key,
            cents,
            measure: u32::from(measure),
            lines: 1,
        };
        *count += usize::from(is_row);
        if *count == MAX_PENDING {
            self.add_pending();
        }
    }

    /// Adds the pending lines to the sums, or keeps their amounts aside once there are too many keys.
    #[inline(never)]
    fn add_pending(&mut self) {
        let count = std::mem::take(&mut self.pending.count);
        if self.keys.rows.len() < self.most_keys {
            self.add_to_rows(count);
        } else {
            self.amounts.extend(&self.pending.amounts[..count]);
            if self.amounts.are_due() {
                self.add_up_amounts();
            }
        }
    }

    /// Adds pending lines to the rows of their keys, in steps that each go over all of them. Within a step, the memory
    /// accesses of the lines do not depend on each other, so the processor can wait for many of them at once.
    #[inline(always)]
    fn add_to_rows(&mut self, count: usize) {
        let mut guesses = [0; MAX_PENDING];
        for (guess, amount) in guesses.iter_mut().zip(&self.pending.amounts[..count]) {
            *guess = self.keys.guess(amount.key);
        }
        let mut are_right = [false; MAX_PENDING];
        let guessed = are_right.iter_mut().zip(guesses);
        for ((is_right, guess), amount) in guessed.zip(&self.pending.amounts[..count]) {
            *is_right = self.keys.rows.is_at(guess, amount.key);
        }
        let guessed = guesses.into_iter().zip(are_right);
        for (at, (guess, is_right)) in guessed.take(count).enumerate() {
            let amount = self.pending.amounts[at];
            let row = match is_right {
                true => guess as usize,
                false => self.keys.row(amount.key),
            };
            self.add_to(row, amount);
        }
    }

    #[inline(always)]
    fn add_to(&mut self, row: usize, amount: Amount) {
        let measure = amount.measure as usize;
        self.keys.rows.count_lines(row, amount.lines);
        if !add_cents(self.keys.rows.sum(row, measure), amount.cents) {
            self.too_large = self.too_large.or(Some((amount.key, measure)));
        }
    }

    /// Adds up the amounts that were kept aside. If keys recur often, it is quicker to look them up after all.
    #[cold]
    fn add_up_amounts(&mut self) {
        let AddedUp {
            too_large,
            are_mostly_known,
        } = self.amounts.add_up();
        self.too_large = self.too_large.or(too_large);
        if are_mostly_known {
            self.most_keys = usize::MAX;
            for amount in std::mem::take(&mut self.amounts).into_list() {
                let row = self.keys.row(amount.key);
                self.add_to(row, amount);
            }
        }
    }

    /// Returns the bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.keys.memory() + self.amounts.memory() + self.stores.memory() + self.items.memory()
    }

    /// Returns whether half of the numbers that keys have for stores or items are used up. One unit of lines cannot
    /// use up the other half.
    pub(crate) fn is_short_of_numbers(&self) -> bool {
        self.stores.len() >= MOST_STORES / 2 || self.items.len() >= MOST_ITEMS / 2
    }

    pub(crate) fn into_sums(mut self) -> Sums {
        self.add_pending();
        Sums {
            stores: self.stores.into_texts(),
            items: self.items.into_texts(),
            rows: self.keys.rows,
            amounts: self.amounts,
            too_large: self.too_large,
        }
    }
}

impl Sums {
    /// Returns the amounts of the rows, one for each sum that is there.
    pub(super) fn amounts_of_rows(&self) -> impl Iterator<Item = Amount> {
        (0..self.rows.len()).flat_map(move |row| {
            let sums = (0..).zip(self.rows.sums(row)).filter(|(_, sum)| **sum != ABSENT);
            sums.map(move |(measure, sum)| Amount {
                key: self.rows.key(row),
                cents: *sum,
                measure,
                // Those of the row are not known apart.
                lines: 0,
            })
        })
    }

    /// Returns the lines and totals of each store and day, whose keys have item 0. The total of a measure that would
    /// become too large stays as it is: the sums tell of that.
    pub(crate) fn days(&self) -> KeyedSums {
        let measures = self.rows.measures();
        let mut days = KeyTable::new(measures);
        for row in 0..self.rows.len() {
            let day = days.row(self.rows.key(row).without_item());
            days.rows.count_lines(day, self.rows.lines(row));
            for (measure, sum) in self.rows.sums(row).iter().enumerate() {
                add_cents(days.rows.sum(day, measure), *sum);
            }
        }
        for amount in self.amounts.iter() {
            let day = days.row(amount.key.without_item());
            days.rows.count_lines(day, amount.lines);
            add_cents(days.rows.sum(day, amount.measure as usize), amount.cents);
        }
        days.rows
    }
}
