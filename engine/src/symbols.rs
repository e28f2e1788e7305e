//! Store and item ids as small numbers: each distinct id of a file has one, in the order of first sight.

mod ranks;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::ops::Range;

pub(crate) use self::ranks::ranked;
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
    /// Other texts that are written for ids.
    spellings: HashMap<Box<[u8]>, Symbol, FixedState>,
    /// The bytes of those.
    spelling_bytes: usize,
    hasher: FixedState,
}

/// The most spellings that are remembered: others are read again each time.
const MAX_SPELLINGS: usize = 1 << 16;

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
            spellings: HashMap::default(),
            spelling_bytes: 0,
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
                .find(self.hasher.hash_one(id), |symbol| self.texts.bytes(*symbol) == id)
                .copied(),
        }
    }

    /// Returns the symbol of the id that a text was written for before, if the text is not the id itself.
    pub(crate) fn find_spelling(&self, text: &[u8]) -> Option<Symbol> {
        self.spellings.get(text).copied()
    }

    /// Remembers that a text is written for an id.
    pub(crate) fn add_spelling(&mut self, text: &[u8], symbol: Symbol) {
        // Longer texts are damage rather than padding.
        if self.spellings.len() < MAX_SPELLINGS && text.len() <= 256 {
            self.spelling_bytes += text.len();
            self.spellings.insert(text.into(), symbol);
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
                    hasher.hash_one(texts.bytes(*symbol))
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
            + self.spellings.capacity() * (size_of::<(Box<[u8]>, Symbol)>() + 1)
            + self.spelling_bytes
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
        &self.bytes[self.range(number)]
    }

    /// Returns the bytes of a text, which is a little faster than the text.
    pub(crate) fn bytes(&self, number: u32) -> &[u8] {
        &self.bytes.as_bytes()[self.range(number)]
    }

    #[inline(always)]
    fn range(&self, number: u32) -> Range<usize> {
        let start = match number {
            0 => 0,
            _ => self.ends[number as usize - 1],
        };
        start..self.ends[number as usize]
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

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
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
    }
}
