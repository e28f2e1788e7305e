//! Keys and their sums in memory: the rows, and a hash table that finds them.

use crate::amount::ABSENT;
use crate::key::Key;

/// Keys and their sums, row by row: fetching a key from memory usually fetches its sums, too.
pub(crate) struct KeyedSums {
    /// For each row: the key, then one sum per measure, in cents or [`ABSENT`].
    words: Vec<i64>,
    /// Words per row.
    width: usize,
    /// For each row: how many lines were added to it.
    lines: Vec<u32>,
}

impl KeyedSums {
    fn new(measures: usize) -> Self {
        Self {
            words: Vec::new(),
            width: 1 + measures,
            lines: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len() / self.width
    }

    #[inline(always)]
    pub(crate) fn key(&self, row: usize) -> Key {
        Key(self.words[row * self.width] as u64)
    }

    /// Returns whether a row exists and has this key.
    #[inline(always)]
    pub(super) fn is_at(&self, row: u32, key: Key) -> bool {
        self.words.get(row as usize * self.width) == Some(&(key.0 as i64))
    }

    pub(crate) fn sums(&self, row: usize) -> &[i64] {
        &self.words[row * self.width..][1..self.width]
    }

    #[inline(always)]
    pub(super) fn sum(&mut self, row: usize, measure: usize) -> &mut i64 {
        &mut self.words[row * self.width + 1 + measure]
    }

    pub(crate) fn lines(&self, row: usize) -> u32 {
        self.lines[row]
    }

    #[inline(always)]
    pub(super) fn count_lines(&mut self, row: usize, lines: u32) {
        self.lines[row] = self.lines[row].saturating_add(lines);
    }

    /// Returns how many sums a row has.
    pub(super) fn measures(&self) -> usize {
        self.width - 1
    }

    fn push(&mut self, key: Key) {
        self.words.push(key.0 as i64);
        self.words.resize(self.words.len() + self.width - 1, ABSENT);
        self.lines.push(0);
    }
}

/// A hash table of keys, with open addressing.
pub(super) struct KeyTable {
    /// 0 is a free slot, other values are a row's number plus 1. The number of slots is a power of two, and at most half
    /// are in use.
    slots: Vec<u32>,
    /// How far a hash is shifted right to give a slot.
    shift: u32,
    pub(super) rows: KeyedSums,
}

impl KeyTable {
    pub(super) fn new(sums: usize) -> Self {
        Self {
            slots: vec![0; 64],
            shift: u64::BITS - 6,
            rows: KeyedSums::new(sums),
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.rows.words.capacity() * size_of::<i64>()
            + (self.rows.lines.capacity() + self.slots.len()) * size_of::<u32>()
    }

    /// Returns the row of a key, which is added if it is new.
    #[inline(always)]
    pub(super) fn row(&mut self, key: Key) -> usize {
        let mut at = self.first_slot(key);
        loop {
            match self.slots[at] {
                0 => return self.insert(key, at),
                taken if self.rows.key(taken as usize - 1) == key => return taken as usize - 1,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Returns the row that a key mostly has: the one that is found first. It may be another key's, or not exist:
    /// [`KeyedSums::is_at`] tells.
    #[inline(always)]
    pub(super) fn guess(&self, key: Key) -> u32 {
        self.slots[self.first_slot(key)].wrapping_sub(1)
    }

    #[inline(always)]
    fn first_slot(&self, key: Key) -> usize {
        (key.hash() >> self.shift) as usize
    }

    fn insert(&mut self, key: Key, free: usize) -> usize {
        let row = self.rows.len();
        self.rows.push(key);
        self.slots[free] = row as u32 + 1;
        if self.rows.len() * 2 > self.slots.len() {
            self.grow();
        }
        row
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        self.shift -= 2;
        for row in 0..self.rows.len() {
            let mut at = self.first_slot(self.rows.key(row));
            while self.slots[at] != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = row as u32 + 1;
        }
    }
}
