//! Decodes the pages of a column chunk.

use std::ops::Range;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::Result;

use super::damaged;
use super::values::{Values, take};
use crate::parquet_form::packed;

/// Reads the values of some rows of a column chunk, which has `count` values. Skips pages that have none of the rows.
pub(super) fn read<V: Values>(
    mut pages: Box<dyn PageReader>,
    count: usize,
    rows: Range<usize>,
    is_nullable: bool,
    values: &mut V,
) -> Result<Vec<V::Value>> {
    // The values of the pages that were read, and the number of their first row.
    let (mut found, mut first) = (Vec::new(), None);
    let mut start = 0;
    while start < rows.end {
        let Some(next) = pages.peek_next_page()? else {
            return Err(damaged("it has fewer values than rows"));
        };
        if !next.is_dict {
            let of_page = next.num_rows.or(next.num_levels).unwrap_or_default();
            if of_page > count - start {
                return Err(damaged("it has more values than rows"));
            }
            start += of_page;
            if start <= rows.start {
                pages.skip_next_page()?;
                continue;
            }
            first.get_or_insert(start - of_page);
        }
        let decoded = match pages.get_next_page()? {
            Some(Page::DictionaryPage { buf, num_values, .. }) => {
                values.take_dictionary(&buf, num_values as usize)
            }
            Some(Page::DataPage {
                buf,
                num_values,
                encoding,
                ..
            }) => {
                let data = DataPage {
                    bytes: &buf,
                    count: num_values as usize,
                    encoding,
                    is_nullable,
                };
                data.append_to(&mut found, values)
            }
            _ => None,
        };
        decoded.ok_or_else(|| damaged("a page cannot be decoded"))?;
    }
    let first = first.unwrap_or_default();
    found.truncate(rows.end - first);
    found.drain(..rows.start - first);
    Ok(found)
}

/// A page with the values of some rows.
struct DataPage<'p> {
    bytes: &'p [u8],
    /// How many rows it has.
    count: usize,
    encoding: Encoding,
    is_nullable: bool,
}

impl DataPage<'_> {
    /// Appends one value for each row. Returns `None` if the page cannot be decoded.
    fn append_to<V: Values>(self, found: &mut Vec<V::Value>, values: &V) -> Option<()> {
        let mut bytes = self.bytes;
        // Which rows have a value, unless all do.
        let mut levels = None;
        if self.is_nullable {
            let length = u32::from_le_bytes(*take(&mut bytes)?) as usize;
            let (packed, rest) = bytes.split_at_checked(length)?;
            let all = packed::unpacked(packed, 1, self.count)?;
            levels = all.contains(&0).then_some(all);
            bytes = rest;
        }
        let there = levels.as_ref().map_or(self.count, |levels| {
            levels.iter().filter(|level| **level == 1).count()
        });
        let stored = match self.encoding {
            Encoding::RLE_DICTIONARY => {
                let [width] = *take(&mut bytes)?;
                values.of_dictionary(packed::unpacked(bytes, width.into(), there)?)?
            }
            Encoding::PLAIN => values.plain(bytes)?,
            _ => return None,
        };
        if stored.len() != there {
            return None;
        }
        let Some(levels) = levels else {
            found.extend(stored);
            return Some(());
        };
        let absent = values.absent()?;
        let mut at = 0;
        // The processor cannot predict which rows have none, so both candidates are ready before one is chosen.
        found.extend(levels.into_iter().map(|level| {
            let value = stored.get(at).copied().unwrap_or(absent);
            at += level as usize;
            if level == 1 { value } else { absent }
        }));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use parquet::basic::Type;
    use proptest::prelude::*;

    use super::*;
    use crate::amount::ABSENT;
    use crate::parquet_form::stored::values::Sums;

    /// Bytes, many of which look like lengths and headers of pages.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => 0..8_u8, 1 => any::<u8>()];
        prop::collection::vec(byte, 0..40)
    }

    /// Whole numbers, with a dictionary that has all of them.
    struct Numbers;

    impl Values for Numbers {
        type Value = i32;

        const STORED_AS: Type = Type::INT32;

        fn absent(&self) -> Option<i32> {
            Some(0)
        }

        fn take_dictionary(&mut self, _: &[u8], _: usize) -> Option<()> {
            None
        }

        fn of_dictionary(&self, indices: Vec<u32>) -> Option<Vec<i32>> {
            Some(indices.into_iter().map(u32::cast_signed).collect())
        }

        fn plain(&self, page: &[u8]) -> Option<Vec<i32>> {
            let (values, rest) = page.as_chunks();
            let values = values.iter().map(|value| i32::from_le_bytes(*value));
            rest.is_empty().then(|| values.collect())
        }
    }

    #[test]
    fn a_level_other_than_present_or_absent_is_rejected() {
        let sums = |level| {
            let levels = [5 << 1, level, 3 << 1, 1];
            let mut bytes = (levels.len() as u32).to_le_bytes().to_vec();
            bytes.extend(levels);
            bytes.extend([7_i64, 8, 9].into_iter().flat_map(i64::to_le_bytes));
            let page = DataPage {
                bytes: &bytes,
                count: 8,
                encoding: Encoding::PLAIN,
                is_nullable: true,
            };
            let mut found = Vec::new();
            page.append_to(&mut found, &Sums)?;
            Some(found)
        };
        let absent = [ABSENT; 5];
        assert_eq!(sums(0), Some([&absent[..], &[7, 8, 9]].concat()));
        assert_eq!(sums(2), None);
    }

    proptest! {
        #[test]
        fn a_damaged_page_is_rejected_or_read(
            bytes in bytes(),
            count in 0..100_usize,
            is_nullable in any::<bool>(),
            encoding in prop::sample::select(vec![Encoding::PLAIN, Encoding::RLE_DICTIONARY, Encoding::RLE]),
        ) {
            let page = DataPage { bytes: &bytes, count, encoding, is_nullable };
            let mut found = Vec::new();
            if page.append_to(&mut found, &Numbers).is_some() {
                prop_assert_eq!(found.len(), count);
            }
        }
    }
}
