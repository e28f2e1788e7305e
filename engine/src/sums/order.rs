//! Sorted lists of keys, split for parallel merging.

use std::ops::Range;

use crate::key::Key;

/// Splits sorted lists into at most `pieces` pieces in the order of keys; each piece is a range of every list.
pub(crate) fn cut(lists: &[&[Key]], pieces: usize) -> Vec<Vec<Range<usize>>> {
    let longest = lists
        .iter()
        .max_by_key(|list| list.len())
        .copied()
        .unwrap_or_default();
    let piece = longest.len().div_ceil(pieces).max(1);
    let bounds = longest.chunks(piece).skip(1).map(|chunk| chunk[0]);
    let mut starts = vec![0; lists.len()];
    let mut cut: Vec<Vec<Range<usize>>> = Vec::with_capacity(pieces);
    for bound in bounds {
        let before = starts.iter_mut().zip(lists).map(|(start, list)| {
            let from = *start;
            *start += list[from..].partition_point(|key| *key < bound);
            from..*start
        });
        cut.push(before.collect());
    }
    cut.push(
        starts
            .into_iter()
            .zip(lists)
            .map(|(start, list)| start..list.len())
            .collect(),
    );
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
            let lists: Vec<Vec<Key>> = keys.iter().map(|keys| {
                let mut keys: Vec<Key> = keys.iter().map(|key| Key(*key)).collect();
                keys.sort();
                keys
            }).collect();
            let lists: Vec<&[Key]> = lists.iter().map(Vec::as_slice).collect();
            let pieces = cut(&lists, count);
            prop_assert!(pieces.len() <= count);
            let of_piece = |piece: &Vec<Range<usize>>| -> Vec<Key> {
                piece.iter().zip(&lists).flat_map(|(range, list)| list[range.clone()].to_vec()).collect()
            };
            for (before, after) in pieces.iter().zip(&pieces[1..]) {
                let (last, first) = (of_piece(before).into_iter().max(), of_piece(after).into_iter().min());
                prop_assert!(last.is_none() || first.is_none() || last < first);
            }
            for (number, list) in lists.iter().enumerate() {
                let rows: Vec<usize> = pieces.iter().flat_map(|piece| piece[number].clone()).collect();
                prop_assert_eq!(rows, (0..list.len()).collect::<Vec<_>>());
            }
        }
    }
}
