//! Amounts of many keys: they are sorted by key and added up then, not looked up one by one.
//!
//! A hash table that outgrows a core's own cache waits for memory at every line. Writing amounts one after another, and
//! sorting them by the few bits in which their keys differ, hardly ever does.

use crate::amount::add_cents;
use crate::key::{Key, KeyBits};
use crate::radix;

/// An amount in cents that belongs to the sum of a key and measure.
#[derive(Clone, Copy)]
pub(super) struct Amount {
    pub(super) key: Key,
    pub(super) cents: i64,
    pub(super) measure: u32,
    /// The lines that it was added up from.
    pub(super) lines: u32,
}

/// Amounts in any order, of which some are added up already.
#[derive(Default)]
pub(super) struct Amounts {
    list: Vec<Amount>,
    /// How many amounts there were when they were last added up.
    added_up: usize,
}

/// So few amounts are not worth adding up before the end.
const FEW: usize = if cfg!(test) { 16 } else { 1 << 17 };

/// What came of adding up.
pub(super) struct AddedUp {
    /// The first sum that became too large.
    pub(super) too_large: Option<TooLarge>,
    /// Whether most of the amounts since the last time belong to sums that were there then, or to each other's.
    pub(super) are_mostly_known: bool,
}

/// A sum that became too large: its key and measure.
pub(super) type TooLarge = (Key, usize);

impl Amounts {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the bytes of memory in use.
    pub(super) fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Amount>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Amount> {
        self.list.iter()
    }

    pub(super) fn extend(&mut self, amounts: &[Amount]) {
        self.list.extend_from_slice(amounts);
    }

    /// Returns whether the amounts should be added up: once they are twice as many as after the last time, so that there
    /// are never many more of them than sums.
    pub(super) fn are_due(&self) -> bool {
        self.list.len() >= 2 * self.added_up.max(FEW)
    }

    /// Leaves one amount for each key and measure.
    pub(super) fn add_up(&mut self) -> AddedUp {
        let further = self.list.len() - self.added_up;
        sort(&mut self.list);
        let mut too_large = None;
        let (mut kept, mut first_of_key) = (0, 0);
        for next in 0..self.list.len() {
            let amount = self.list[next];
            if kept > 0 && self.list[first_of_key].key != amount.key {
                first_of_key = kept;
            }
            let of_key = &mut self.list[first_of_key..kept];
            match of_key.iter_mut().find(|sum| sum.measure == amount.measure) {
                Some(sum) => {
                    sum.lines = sum.lines.saturating_add(amount.lines);
                    if !add_cents(&mut sum.cents, amount.cents) {
                        too_large = too_large.or(Some((amount.key, amount.measure as usize)));
                    }
                }
                None => {
                    self.list[kept] = amount;
                    kept += 1;
                }
            }
        }
        self.list.truncate(kept);
        let new = kept - self.added_up;
        self.added_up = kept;
        AddedUp {
            too_large,
            are_mostly_known: new < further / 2,
        }
    }

    pub(super) fn into_list(self) -> Vec<Amount> {
        self.list
    }

    /// Gives the amounts other numbers for stores and items, adds more, and returns all by key.
    pub(super) fn sorted(
        self,
        more: impl Iterator<Item = Amount>,
        stores: &[u32],
        items: &[u32],
    ) -> Vec<Amount> {
        let mut list = self.list;
        list.extend(more);
        for amount in &mut list {
            amount.key = amount.key.renumbered(stores, items);
        }
        sort(&mut list);
        list
    }
}

fn sort(amounts: &mut Vec<Amount>) {
    let bits = KeyBits::of(amounts.iter().map(|amount| amount.key));
    radix::sort(amounts, bits.count(), |amount| bits.narrow(amount.key));
}
