//! Sorting by the digits of whole numbers, which takes a few passes over memory however many elements there are.

/// The most bits of a key that one pass sorts by: so many places fit a core's nearest cache.
const DIGIT: u32 = 11;

/// So few elements are sorted faster by comparing.
const FEW: usize = if cfg!(test) { 8 } else { 1 << 10 };

/// Sorts elements by the lowest `bits` bits of their keys, which must have no others. Elements with equal keys keep their
/// order. Needs as much memory again as the elements take.
pub(crate) fn sort<T: Copy>(elements: &mut Vec<T>, bits: u32, key: impl Fn(&T) -> u64) {
    if elements.len() < FEW {
        elements.sort_by_key(key);
        return;
    }
    let passes = bits.div_ceil(DIGIT);
    if passes == 0 {
        return;
    }
    let width = bits.div_ceil(passes);
    let mut sorted = elements.clone();
    for pass in 0..passes {
        let digit = |element: &T| (key(element) >> (pass * width)) as usize & ((1 << width) - 1);
        let mut places = vec![0; 1 << width];
        for element in elements.iter() {
            places[digit(element)] += 1;
        }
        let mut start = 0;
        for place in &mut places {
            start += std::mem::replace(place, start);
        }
        for element in elements.iter() {
            let place = &mut places[digit(element)];
            sorted[*place] = *element;
            *place += 1;
        }
        std::mem::swap(elements, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn elements_are_sorted_and_equal_ones_keep_their_order(
            bits in 0..=64_u32,
            keys in prop::collection::vec(any::<u64>(), 0..400),
        ) {
            // Some keys occur twice and more.
            let keys = keys.iter().map(|key| (key & key.rotate_left(7)).checked_shr(64 - bits).unwrap_or(0));
            let mut elements: Vec<(u64, usize)> = keys.zip(0..).collect();
            let mut expected = elements.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort(&mut elements, bits, |(key, _)| *key);
            prop_assert_eq!(elements, expected);
        }
    }
}
