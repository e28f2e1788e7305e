//! What the stored values of a column become: numbers of texts, days, codes, sums.

use std::ops::RangeInclusive;

use parquet::basic::Type;

use crate::amount::ABSENT;
use crate::symbols::Texts;

/// The values of a column, while its pages are read. Each function returns `None` if what it is given is damaged.
pub(super) trait Values {
    /// What a row has.
    type Value: Copy;

    /// How files store it.
    const STORED_AS: Type;

    /// Returns what a row has that is NULL. `None`: no row may be.
    fn absent(&self) -> Option<Self::Value>;

    /// Decodes the dictionary, which has `count` values.
    fn take_dictionary(&mut self, dictionary: &[u8], count: usize) -> Option<()>;

    /// Returns the values that have these indices in the dictionary.
    fn of_dictionary(&self, indices: Vec<u32>) -> Option<Vec<Self::Value>>;

    /// Decodes values that are stored one by one.
    fn plain(&self, page: &[u8]) -> Option<Vec<Self::Value>>;
}

/// Texts: each row has the number of its text among those of the dictionary.
pub(super) struct TextNumbers {
    pub(super) texts: Texts,
    /// The number of NULL, if rows may be NULL.
    pub(super) absent: Option<u32>,
}

/// Days or codes, of which each row has one.
pub(super) struct Few {
    dictionary: Vec<i32>,
    /// Those that there can be.
    possible: RangeInclusive<i32>,
}

impl Few {
    pub(super) fn of(possible: RangeInclusive<i32>) -> Self {
        Self {
            dictionary: Vec::new(),
            possible,
        }
    }
}

/// Sums in cents, [`ABSENT`] for NULL.
pub(super) struct Sums;

impl Values for TextNumbers {
    type Value = u32;

    const STORED_AS: Type = Type::BYTE_ARRAY;

    fn absent(&self) -> Option<u32> {
        self.absent
    }

    fn take_dictionary(&mut self, mut dictionary: &[u8], count: usize) -> Option<()> {
        for _ in 0..count {
            let length = u32::from_le_bytes(*take(&mut dictionary)?) as usize;
            let (text, rest) = dictionary.split_at_checked(length)?;
            self.texts.push(std::str::from_utf8(text).ok()?);
            dictionary = rest;
        }
        Some(())
    }

    fn of_dictionary(&self, indices: Vec<u32>) -> Option<Vec<u32>> {
        let known = self.texts.len() as u32;
        indices.iter().all(|index| *index < known).then_some(indices)
    }

    fn plain(&self, _: &[u8]) -> Option<Vec<u32>> {
        None
    }
}

impl Values for Few {
    type Value = i32;

    const STORED_AS: Type = Type::INT32;

    fn absent(&self) -> Option<i32> {
        None
    }

    fn take_dictionary(&mut self, dictionary: &[u8], _: usize) -> Option<()> {
        self.dictionary = self.plain(dictionary)?;
        Some(())
    }

    fn of_dictionary(&self, indices: Vec<u32>) -> Option<Vec<i32>> {
        let values = indices
            .iter()
            .map(|index| self.dictionary.get(*index as usize).copied());
        values.collect()
    }

    fn plain(&self, page: &[u8]) -> Option<Vec<i32>> {
        let values = plain(page, i32::from_le_bytes)?;
        let are_possible = values.iter().all(|value| self.possible.contains(value));
        are_possible.then_some(values)
    }
}

impl Values for Sums {
    type Value = i64;

    const STORED_AS: Type = Type::INT64;

    fn absent(&self) -> Option<i64> {
        Some(ABSENT)
    }

    fn take_dictionary(&mut self, _: &[u8], _: usize) -> Option<()> {
        None
    }

    fn of_dictionary(&self, _: Vec<u32>) -> Option<Vec<i64>> {
        None
    }

    fn plain(&self, page: &[u8]) -> Option<Vec<i64>> {
        plain(page, i64::from_le_bytes)
    }
}

/// Decodes values of a fixed length.
fn plain<T, const N: usize>(page: &[u8], value: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (values, rest) = page.as_chunks();
    rest.is_empty()
        .then(|| values.iter().copied().map(value).collect())
}

/// Removes the first bytes and returns them.
pub(super) fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}
