//! Sorted lists of rows by key, split for parallel merging.

use super::key::Key;

/// The location of a key's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The table that has it, of several.
    pub(super) table: u32,
    /// The row in that table.
    pub(super) row: u32,
}

/// Splits sorted lists into at most `pieces` pieces in the order of keys; each piece is a range of every list.
pub(super) fn cut(lists: &[Vec<Entry>], pieces: usize) -> Vec<Vec<&[Entry]>> {
    let mut rest: Vec<&[Entry]> = lists.iter().map(Vec::as_slice).collect();
    let longest = lists
        .iter()
        .max_by_key(|list| list.len())
        .map_or(&[][..], Vec::as_slice);
    let piece = longest.len().div_ceil(pieces).max(1);
    let bounds = longest.chunks(piece).skip(1).map(|chunk| chunk[0].key);
    let mut cut: Vec<Vec<&[Entry]>> = Vec::with_capacity(pieces);
    for bound in bounds {
        let before = rest.iter_mut().map(|rest| {
            let (before, from) = rest.split_at(rest.partition_point(|entry| entry.key < bound));
            *rest = from;
            before
        });
        cut.push(before.collect());
    }
    cut.push(rest);
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_hold_all_in_the_order_of_keys(
            keys in prop::collection::vec(prop::collection::vec(0..99_u64, 0..99), 0..4),
            count in 1..9_usize,
        ) {
            let lists: Vec<Vec<Entry>> = (0..).zip(&keys).map(|(table, keys)| {
                let entry = |(row, key): (u32, &u64)| Entry { key: Key(*key), table, row };
                let mut entries: Vec<Entry> = (0..).zip(keys).map(entry).collect();
                entries.sort_by_key(|entry| entry.key);
                entries
            }).collect();
            let pieces: Vec<Vec<Entry>> = cut(&lists, count).into_iter().map(|lists| lists.concat()).collect();
            prop_assert!(pieces.len() <= count);
            for (before, after) in pieces.iter().zip(&pieces[1..]) {
                let (last, first) = (before.iter().map(|entry| entry.key).max(), after.iter().map(|entry| entry.key).min());
                prop_assert!(last.is_none() || first.is_none() || last < first);
            }
            let mut all = pieces.concat();
            all.sort_by_key(|entry| (entry.table, entry.key, entry.row));
            prop_assert_eq!(all, lists.concat());
        }
    }
}
