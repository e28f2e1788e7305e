//! Store and item ids as small numbers: each distinct id of a file has one, in the order of first sight.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::cmp::Ordering;
use std::hash::BuildHasher;

use crate::short_text::ShortText;

/// The number of an id.
pub(crate) type Symbol = u32;

/// No symbol.
pub(crate) const UNKNOWN: Symbol = Symbol::MAX;

/// So many ids and their places do not fit a core's nearest cache. The number is low in tests.
const MANY: usize = if cfg!(test) { 4 } else { 2_000 };

/// The distinct ids of one column.
pub(crate) struct Symbols {
    texts: Texts,
    /// The ids by symbol, where they are [`ShortText`]s; otherwise the default.
    words: Vec<ShortText>,
    /// A hash table of short ids with open addressing: 0 is a free slot, other values are a symbol plus 1. The number
    /// of slots is a power of two, and at most a quarter are in use: a collision costs a branch that the processor
    /// cannot predict.
    slots: Vec<u32>,
    /// How far a hash is shifted right to give a slot.
    shift: u32,
    long: HashTable<Symbol>,
    hasher: FixedState,
}

/// Texts stored one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    bytes: String,
    /// The end of each text, which is the start of the next.
    ends: Vec<usize>,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        Self {
            texts: Texts::default(),
            words: Vec::new(),
            slots: vec![0; 64],
            shift: u64::BITS - 6,
            long: HashTable::new(),
            hasher: FixedState::default(),
        }
    }

    /// Returns the symbol of a short id, if the id was seen before.
    #[inline(always)]
    pub(crate) fn find_short(&self, id: ShortText) -> Option<Symbol> {
        let mut at = self.first_slot(id);
        loop {
            let symbol = self.slots[at].checked_sub(1)?;
            if self.words[symbol as usize] == id {
                return Some(symbol);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Looks up many short ids, in steps that each go over all of them: within a step the memory accesses do not depend on
    /// each other, so the processor can wait for many of them at once. `found` gets the symbol of each, or [`UNKNOWN`] if
    /// it takes [`Symbols::find`] to tell whether the id was seen before.
    pub(crate) fn find_many(&self, ids: &[ShortText], found: &mut Vec<Symbol>) {
        found.clear();
        found.extend(
            ids.iter()
                .map(|id| self.slots[self.first_slot(*id)].wrapping_sub(1)),
        );
        for (symbol, id) in found.iter_mut().zip(ids) {
            if self.words.get(*symbol as usize) != Some(id) {
                *symbol = UNKNOWN;
            }
        }
    }

    /// Returns whether the ids take so much memory that looking up many at a time is worthwhile.
    pub(crate) fn are_many(&self) -> bool {
        self.words.len() >= MANY
    }

    /// Returns the symbol of an id, if the id was seen before.
    pub(crate) fn find(&self, id: &[u8]) -> Option<Symbol> {
        match ShortText::of(id) {
            Some(short) => self.find_short(short),
            None => self
                .long
                .find(self.hasher.hash_one(id), |symbol| {
                    self.texts.get(*symbol).as_bytes() == id
                })
                .copied(),
        }
    }

    /// Adds an id that [`Symbols::find`] did not find, and returns its symbol.
    pub(crate) fn insert(&mut self, id: &str) -> Symbol {
        let symbol = self.texts.push(id);
        let word = ShortText::of(id.as_bytes());
        self.words.push(word.unwrap_or_default());
        match word {
            Some(_) if self.words.len() * 4 > self.slots.len() => self.grow(),
            Some(word) => self.put(word, symbol),
            None => {
                let Self {
                    texts, long, hasher, ..
                } = self;
                long.insert_unique(hasher.hash_one(id.as_bytes()), symbol, |symbol| {
                    hasher.hash_one(texts.get(*symbol).as_bytes())
                });
            }
        }
        symbol
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns all ids, by symbol.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Returns all ids, by symbol.
    pub(crate) fn into_texts(self) -> Texts {
        self.texts
    }

    /// Returns the bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.texts.bytes.capacity()
            + self.texts.ends.capacity() * size_of::<usize>()
            + self.words.capacity() * size_of::<ShortText>()
            + self.slots.len() * size_of::<u32>()
            + self.long.capacity() * (size_of::<Symbol>() + 1)
    }

    #[inline(always)]
    fn first_slot(&self, id: ShortText) -> usize {
        (id.hash() >> self.shift) as usize
    }

    fn put(&mut self, id: ShortText, symbol: Symbol) {
        let mut at = self.first_slot(id);
        while self.slots[at] != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = symbol + 1;
    }

    /// Enlarges the table, and inserts all ids again.
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        self.shift -= 2;
        for symbol in 0..self.words.len() {
            let word = self.words[symbol];
            if word != ShortText::default() {
                self.put(word, symbol as Symbol);
            }
        }
    }
}

impl Texts {
    /// Appends a text and returns its number.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        self.ends.len() as u32 - 1
    }

    pub(crate) fn get(&self, number: u32) -> &str {
        let start = match number {
            0 => 0,
            _ => self.ends[number as usize - 1],
        };
        &self.bytes[start..self.ends[number as usize]]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the number of a text, if the texts are in byte order and it is one of them.
    pub(crate) fn rank(&self, text: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(text) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
    }
}

/// Merges several collections of texts: returns the distinct texts in byte order, and for each collection the rank of
/// each of its texts among them. It is quick for collections that are in byte order already.
pub(crate) fn ranked(collections: &[&Texts]) -> (Texts, Vec<Vec<u32>>) {
    let mut order: Vec<Place> = Vec::with_capacity(collections.iter().map(|texts| texts.len()).sum());
    for (collection, texts) in (0..).zip(collections) {
        let place = |(number, text)| Place {
            start: Start::of(text),
            collection,
            number,
        };
        order.extend((0..).zip(texts.iter()).map(place));
    }
    let text = |place: &Place| collections[place.collection as usize].get(place.number);
    let compare = |one: &Place, two: &Place| match one.start.cmp(&two.start) {
        Ordering::Equal if one.start.is_cut() => text(one).cmp(text(two)),
        order => order,
    };
    // A stable sort finds the collections that are in order already, and merges them.
    order.sort_by(compare);
    let mut distinct = Texts::default();
    let mut ranks: Vec<Vec<u32>> = collections.iter().map(|texts| vec![0; texts.len()]).collect();
    let mut last: Option<Place> = None;
    for place in order {
        if last.is_none_or(|last| compare(&last, &place) != Ordering::Equal) {
            distinct.push(text(&place));
            last = Some(place);
        }
        ranks[place.collection as usize][place.number as usize] = distinct.len() as u32 - 1;
    }
    (distinct, ranks)
}

/// Where a text is, and how it starts: most comparisons need not fetch the text itself.
#[derive(Clone, Copy)]
struct Place {
    start: Start,
    collection: u32,
    number: u32,
}

/// The first bytes of a text, the first one uppermost, and in the lowest byte their number, or one more if there are
/// more. Starts are in the order of their texts; equal ones have equal texts unless they are cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Start(u128);

impl Start {
    /// The most bytes of a text.
    const BYTES: usize = 15;

    fn of(text: &str) -> Self {
        let kept = text.len().min(Self::BYTES);
        let mut start = [0; Self::BYTES + 1];
        start[..kept].copy_from_slice(&text.as_bytes()[..kept]);
        start[Self::BYTES] = text.len().min(Self::BYTES + 1) as u8;
        Self(u128::from_be_bytes(start))
    }

    fn is_cut(self) -> bool {
        self.0 as u8 as usize > Self::BYTES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_distinct_id_has_one_symbol(ids in prop::collection::vec("[ab]{0,3}|[ab]{14,18}", 0..300)) {
            let mut symbols = Symbols::new();
            let mut known: Vec<&str> = Vec::new();
            for id in &ids {
                let expected = known.iter().position(|text| text == id);
                prop_assert_eq!(symbols.find(id.as_bytes()).map(|symbol| symbol as usize), expected);
                if expected.is_none() {
                    symbols.insert(id);
                    known.push(id);
                }
            }
            prop_assert_eq!(symbols.texts().iter().collect::<Vec<_>>(), known);
            let short: Vec<ShortText> = ids.iter().map(|id| ShortText::of(id.as_bytes()).unwrap_or_default()).collect();
            let mut found = Vec::new();
            symbols.find_many(&short, &mut found);
            for (id, found) in short.iter().zip(found).filter(|(_, found)| *found != UNKNOWN) {
                prop_assert_eq!(symbols.find_short(*id), Some(found));
            }
        }

        #[test]
        fn ranks_are_in_the_order_of_bytes(
            collections in prop::collection::vec(
                prop::collection::hash_set("[abé]{0,3}|a{13,14}[ab\0]{0,4}", 0..20), 0..4),
        ) {
            let texts: Vec<Texts> = collections.iter().map(|ids| {
                let mut texts = Texts::default();
                ids.iter().for_each(|id| { texts.push(id); });
                texts
            }).collect();
            let (distinct, ranks) = ranked(&texts.iter().collect::<Vec<_>>());
            let expected: std::collections::BTreeSet<&str> = collections.iter().flatten().map(String::as_str).collect();
            prop_assert_eq!(distinct.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            for (rank, text) in (0..).zip(&expected) {
                prop_assert_eq!(distinct.rank(text), Some(rank));
            }
            for text in ["", "aaaaa", "c", "é"].into_iter().filter(|text| !expected.contains(text)) {
                prop_assert_eq!(distinct.rank(text), None);
            }
            for (texts, ranks) in texts.iter().zip(&ranks) {
                for (text, rank) in texts.iter().zip(ranks) {
                    prop_assert_eq!(distinct.get(*rank), text);
                }
            }
        }
    }
}
