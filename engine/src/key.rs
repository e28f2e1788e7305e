//! Store, item and date of a summary row as one word, so that they are compared, hashed and sorted as one.

use crate::date::DAYS;

/// Bits of a day: enough for every day of the years 1 to 9999.
const DAY_BITS: u32 = 22;
/// Bits of an item's number.
const ITEM_BITS: u32 = 24;

/// The day that a key stores as zero.
const FIRST_DAY: i32 = *DAYS.start();

/// Bits of a store's number.
const STORE_BITS: u32 = 64 - DAY_BITS - ITEM_BITS;

/// How many stores keys can distinguish. The limit is low in tests, so that they can exceed it.
pub(crate) const MOST_STORES: usize = if cfg!(test) { 300 } else { 1 << STORE_BITS };
/// How many items keys can distinguish.
pub(crate) const MOST_ITEMS: usize = 1 << ITEM_BITS;

/// Store, item and day, from the highest bits to the lowest. Stores and items are numbers: symbols while lines are
/// read; later ranks, with which keys sort as their texts do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u64);

/// Store and day of a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StoreDay(u64);

impl Key {
    /// Creates a key. `store` must be below [`MOST_STORES`], `item` below [`MOST_ITEMS`], `day` in the years 1 to 9999.
    #[inline(always)]
    pub(crate) fn new(store: u32, item: u32, day: i32) -> Self {
        debug_assert!(store < 1 << STORE_BITS && item < 1 << ITEM_BITS);
        let item = u64::from(item) << DAY_BITS;
        Self(StoreDay::new(store, day).0 | item)
    }

    pub(crate) fn store(self) -> u32 {
        self.store_day().store()
    }

    pub(crate) fn item(self) -> u32 {
        (self.0 >> DAY_BITS) as u32 & (MOST_ITEMS as u32 - 1)
    }

    pub(crate) fn day(self) -> i32 {
        self.store_day().day()
    }

    pub(crate) fn store_day(self) -> StoreDay {
        StoreDay(self.without_item().0)
    }

    /// Returns the key of the same store and day with item 0.
    #[inline(always)]
    pub(crate) fn without_item(self) -> Self {
        let item = ((1 << ITEM_BITS) - 1) << DAY_BITS;
        Self(self.0 & !item)
    }

    /// Returns the key with other numbers for store and item.
    #[inline(always)]
    pub(crate) fn renumbered(self, stores: &[u32], items: &[u32]) -> Self {
        Self::new(
            stores[self.store() as usize],
            items[self.item() as usize],
            self.day(),
        )
    }
}

impl StoreDay {
    #[inline(always)]
    pub(crate) fn new(store: u32, day: i32) -> Self {
        let store = u64::from(store) << (DAY_BITS + ITEM_BITS);
        Self(store | (day - FIRST_DAY) as u64)
    }

    pub(crate) fn store(self) -> u32 {
        (self.0 >> (DAY_BITS + ITEM_BITS)) as u32
    }

    pub(crate) fn day(self) -> i32 {
        (self.0 & ((1 << DAY_BITS) - 1)) as i32 + FIRST_DAY
    }

    /// Returns a hash whose upper bits depend on all bits.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        Key(self.0).hash()
    }
}

/// How some keys are written with as few bits as they need, in the same order: each part as its distance from the least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyBits {
    /// The least store, item and day of all.
    least: u64,
    stores: u32,
    items: u32,
    days: u32,
}

impl KeyBits {
    pub(crate) fn of(keys: impl Iterator<Item = Key>) -> Self {
        let parts = |key: Key| (key.store(), key.item(), key.0 & DAY_MASK);
        let (mut least, mut most) = ((u32::MAX, u32::MAX, u64::MAX), (0, 0, 0));
        for (store, item, day) in keys.map(parts) {
            least = (least.0.min(store), least.1.min(item), least.2.min(day));
            most = (most.0.max(store), most.1.max(item), most.2.max(day));
        }
        if least.0 > most.0 {
            // There is no key.
            least = most;
        }
        Self {
            least: (u64::from(least.0) << (DAY_BITS + ITEM_BITS))
                | (u64::from(least.1) << DAY_BITS)
                | least.2,
            stores: u32::BITS - (most.0 - least.0).leading_zeros(),
            items: u32::BITS - (most.1 - least.1).leading_zeros(),
            days: u64::BITS - (most.2 - least.2).leading_zeros(),
        }
    }

    /// Returns how many bits a key takes.
    pub(crate) fn count(self) -> u32 {
        self.stores + self.items + self.days
    }

    /// Returns these bits of a key.
    #[inline(always)]
    pub(crate) fn narrow(self, key: Key) -> u64 {
        // No part is below the least, so none takes from another.
        let distance = Key(key.0 - self.least);
        let (store, item) = (u64::from(distance.store()), u64::from(distance.item()));
        (((store << self.items) | item) << self.days) | (distance.0 & DAY_MASK)
    }
}

/// The bits of a key that stand for the day.
const DAY_MASK: u64 = (1 << DAY_BITS) - 1;

impl Key {
    /// Returns a hash whose upper bits depend on all bits.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_gives_back_what_it_was_made_of_and_sorts_likewise(
            one in (0..1_u32 << STORE_BITS, 0..MOST_ITEMS as u32, DAYS),
            two in (0..1_u32 << STORE_BITS, 0..MOST_ITEMS as u32, DAYS),
        ) {
            let key = |(store, item, day)| Key::new(store, item, day);
            let given_back = |key: Key| (key.store(), key.item(), key.day());
            prop_assert_eq!(given_back(key(one)), one);
            prop_assert_eq!(key(one).cmp(&key(two)), one.cmp(&two));
            let day = key(one).store_day();
            prop_assert_eq!((day.store(), day.day()), (one.0, one.2));
            prop_assert_eq!(day, StoreDay::new(one.0, one.2));
        }

        #[test]
        fn the_bits_that_keys_need_keep_their_order(
            parts in prop::collection::vec((5..9_u32, 1000..1100_u32, 7_000..7_400_i32), 1..20),
        ) {
            let mut keys: Vec<Key> = parts.iter().map(|(store, item, day)| Key::new(*store, *item, *day)).collect();
            let bits = KeyBits::of(keys.iter().copied());
            prop_assert!(bits.count() <= 2 + 7 + 9);
            keys.sort();
            for pair in keys.windows(2) {
                prop_assert_eq!(bits.narrow(pair[0]).cmp(&bits.narrow(pair[1])), pair[0].cmp(&pair[1]));
                prop_assert!(bits.narrow(pair[1]) >> bits.count() == 0);
            }
        }
    }
}
