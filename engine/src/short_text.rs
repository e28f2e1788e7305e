//! Short texts as numbers: ids, dates and codes of up to 16 bytes are read, compared and looked up as one word of 128
//! bits. Nearly all values of a point-of-sale line are that short.

use std::ops::Range;

/// A text of one to [`ShortText::MAX`] bytes without NUL, followed by zeros. Two are equal just if their bytes are. The
/// default is no text, and equals none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortText(u128);

/// For each length less one, the places that hold the text.
const MASKS: [u128; ShortText::MAX] = {
    let mut masks = [0; ShortText::MAX];
    let mut length = 1;
    while length <= masks.len() {
        masks[length - 1] = u128::MAX >> (128 - 8 * length);
        length += 1;
    }
    masks
};

impl ShortText {
    /// The greatest length in bytes.
    pub(crate) const MAX: usize = 16;

    /// A field of a text that has no NUL, or `None` if the field is empty or longer. Sixteen bytes from its start must be
    /// there to read.
    #[inline(always)]
    pub(crate) fn within(text: &[u8], field: &Range<usize>) -> Option<Self> {
        let mask = MASKS.get(field.len().wrapping_sub(1))?;
        let bytes = text.get(field.start..field.start + 16)?.try_into().ok()?;
        Some(Self(u128::from_le_bytes(bytes) & mask))
    }

    /// A whole slice, or `None` if it is empty, longer, or has a NUL.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let is_short = (1..=Self::MAX).contains(&bytes.len()) && !bytes.contains(&0);
        is_short.then(|| {
            let mut places = [0; 16];
            places[..bytes.len()].copy_from_slice(bytes);
            Self(u128::from_le_bytes(places))
        })
    }

    /// Mixes all bits into the upper ones.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
        (low ^ high.rotate_left(31)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// Whether all characters are ASCII that is printed, and none is a space.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        // In the places behind the text stand zeros, which count here as what is printed: `!` is put there.
        let length = 16 - self.0.leading_zeros() / 8;
        let bytes = self.0 | FILLED & !MASKS[length as usize - 1];
        let below = bytes.wrapping_sub(FILLED) & !bytes & HIGH;
        bytes & HIGH == 0 && below == 0
    }
}

/// `!` in every place: the first character that is printed.
const FILLED: u128 = u128::from_le_bytes([b'!'; 16]);

/// The upper bit of every place.
const HIGH: u128 = u128::from_le_bytes([0x80; 16]);

/// Remembers what short texts mean: a feed has few days and few codes, and each is parsed once in a while.
///
/// Each text has one place, and the newest text has it.
pub(crate) struct Memo<V> {
    places: Vec<(ShortText, V)>,
}

impl<V: Copy + Default> Memo<V> {
    /// A power of two.
    const PLACES: usize = 256;

    pub(crate) fn new() -> Self {
        Self {
            places: vec![Default::default(); Self::PLACES],
        }
    }

    /// What a text means, which `meaning` says if it is not known.
    #[inline(always)]
    pub(crate) fn get(&mut self, text: ShortText, meaning: impl FnOnce() -> V) -> V {
        let place = &mut self.places[(text.hash() >> (64 - Self::PLACES.trailing_zeros())) as usize];
        if place.0 != text {
            *place = (text, meaning());
        }
        place.1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_equal_just_if_their_bytes_are(one in "[a ]{1,16}", two in "[a ]{1,16}") {
            let text = |bytes: &str| ShortText::of(bytes.as_bytes()).unwrap();
            prop_assert_eq!(text(&one) == text(&two), one == two);
            prop_assert_ne!(text(&one), ShortText::default());
        }

        #[test]
        fn a_field_is_the_same_as_its_slice(
            text in prop::collection::vec(1..=255_u8, 16..60),
            start in 0..44_usize,
            length in 0..20_usize,
        ) {
            let start = start.min(text.len() - 16);
            let end = (start + length).min(text.len());
            prop_assert_eq!(ShortText::within(&text, &(start..end)), ShortText::of(&text[start..end]));
        }

        #[test]
        fn plain_is_printed_ascii_without_spaces(
            bytes in prop::collection::vec(prop::sample::select(b"\x01\x1f !a~\x7f\x80\xff".to_vec()), 1..=16),
        ) {
            let plain = bytes.iter().all(|byte| (0x21..0x80).contains(byte));
            prop_assert_eq!(ShortText::of(&bytes).unwrap().is_plain(), plain);
        }
    }

    #[test]
    fn what_is_empty_or_long_or_has_a_nul_is_no_short_text() {
        for bytes in [&b""[..], b"seventeen letters", b"NUL\0", b"\0"] {
            assert_eq!(ShortText::of(bytes), None);
        }
    }

    #[test]
    fn a_memo_asks_once_for_what_it_knows() {
        let mut memo = Memo::<i32>::new();
        let text = ShortText::of(b"2026-03-01").unwrap();
        assert_eq!(memo.get(text, || 7), 7);
        assert_eq!(memo.get(text, || unreachable!("it is known")), 7);
        for other in 0..2000 {
            let text = ShortText::of(format!("{other}").as_bytes()).unwrap();
            assert_eq!(memo.get(text, || other), other);
        }
    }
}
